//! The end of a hub: its greenlets are unwound, then its values are dropped.
//!
//! A greenlet that does not end is abandoned: its stack and its record stay as they are, and it
//! never runs again.

use std::collections::HashSet;
use std::fmt::Write;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use super::clock::nanos;
use super::loop_state::Phase;
use super::run_queue::Step;
use super::{Core, Mode};
use crate::error::Waiting;
use crate::exception::{Exception, GreenletExit};
use crate::inbox::lease::Lease;
use crate::scheduler::TimerAction;
use crate::scheduler::report::ErrorContext;
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::stderr;
use crate::task::{Interrupt, Record, WaitToken};

/// The time that greenlets have to end with their thread.
const LIMIT: Duration = Duration::from_secs(1);

/// The number of times that a greenlet is killed if it catches the exception and waits again.
const ROUNDS: u64 = 3;

/// The number of greenlets that a report names; it only counts the others.
const NAMED: usize = 20;

/// The time that the end of a thread waits for lent work before it prints a message.
const SILENT: Duration = Duration::from_secs(1);

/// The greenlets and the lent work that did not end with their hub.
pub(super) struct Remains {
    /// The number of unfinished greenlets.
    unfinished: usize,
    waiting: Vec<Waiting>,
    /// The work that another thread is running, with the greenlet that has lent it.
    lent: Vec<(Arc<Lease>, Waiting)>,
}

impl Remains {
    /// Returns the number of greenlets that were abandoned.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Returns `true` if a thread-local of the thread may still be in use, or half-changed.
    pub(super) fn needs_thread_locals(&self) -> bool {
        self.unfinished > 0 || !self.lent.is_empty()
    }

    /// Prints the names of the abandoned greenlets on stderr.
    pub(super) fn report(&self) {
        if self.unfinished == 0 {
            return;
        }
        let mut text = format!(
            "ramie: greenlets that did not end with their thread are abandoned: {}\n",
            self.unfinished
        );
        for waiting in self.waiting.iter().take(NAMED) {
            let _ = writeln!(text, "  {waiting}");
        }
        stderr::write(&text);
    }

    /// Blocks the thread until no other thread runs lent work: the work may use a thread-local, and
    /// the thread-locals are destroyed next.
    pub(super) fn wait(&self) {
        for (gate, waiting) in &self.lent {
            if !gate.wait_left(Some(SILENT)) {
                stderr::write(&format!(
                    "ramie: the end of a thread waits for work that was lent to another thread: {waiting}\n"
                ));
                gate.wait_left(None);
            }
        }
    }
}

impl Core {
    /// Unwinds every greenlet that ends soon: kills them and runs the loop. Called in main's place,
    /// while every thread-local that a greenlet can be using is alive.
    pub(super) fn wind_down(&self) {
        if self.tasks.len() == 1 || cfg!(panic = "abort") {
            return;
        }
        // The loop runs once more, and no program drives it.
        self.disarm_driver();
        self.mode.set(Mode::Hub);
        let begin = self.now();
        let end = begin.saturating_add(nanos(LIMIT));
        // No task is in this wait: the timer only ends the poll.
        let nobody = WaitToken { index: u32::MAX, wait: 0 };
        let timer = self.start_timer(end, || TimerAction::Wake(nobody), true);
        let mut killed = HashSet::new();
        let mut rounds = 0;
        self.kill_left(&mut killed);
        loop {
            if !self.queue.has_steps() && self.loop_state.phase() == Phase::Poll {
                let now = self.now();
                if self.tasks.len() == 1 || now >= end {
                    break;
                }
                // Kills the greenlets that were spawned since.
                self.kill_left(&mut killed);
                let idle =
                    !self.queue.has_steps() && self.queue.is_empty() && !self.foreign.inbox().signalled();
                if idle {
                    // The limit of the wind-down is a timer too.
                    let stuck = self.loop_state.refs() == 0 && self.timers.keeping() <= 1;
                    let due = now >= begin.saturating_add((rounds + 1) * (nanos(LIMIT) / ROUNDS));
                    if (stuck || due) && rounds + 1 < ROUNDS {
                        rounds += 1;
                        killed.clear();
                        self.kill_left(&mut killed);
                    } else if stuck || self.only_lenders_left() && self.thread_exit.ends_process() {
                        break;
                    }
                }
            }
            if let Err(escape) = guard(|| self.step()) {
                self.report(&ErrorContext::Destructor, escape);
            }
        }
        self.cancel_timer(timer);
        self.main.set_resumed(false);
        self.main.task().interrupted.set(false);
        self.main.task().thrown.take();
        self.mode.set(Mode::Main);
    }

    /// Kills every greenlet that is not in `killed`.
    fn kill_left(&self, killed: &mut HashSet<NonNull<Record>>) {
        for record in self.tasks.records() {
            if !self.main.is(&record) && killed.insert(record.as_ptr()) {
                let throw = Interrupt::new(Exception::new(GreenletExit));
                self.queue.push_step(Step::Throw(record, throw));
            }
        }
    }

    /// Returns `true` if every remaining greenlet waits for values that it has lent, which no kill
    /// ends.
    fn only_lenders_left(&self) -> bool {
        let left = self.tasks.records();
        left.iter().all(|record| self.main.is(record) || record.task.shielded.get())
    }

    /// Ends the hub for the end of the process, inside a greenlet or a callback: no user value is
    /// dropped.
    pub(super) fn close_for_exit(&self) -> Remains {
        Remains { unfinished: self.tasks.len() - 1, waiting: Vec::new(), lent: self.close_work() }
    }

    /// Closes the latches of lent work. Returns the work that has begun, with its lender.
    fn close_work(&self) -> Vec<(Arc<Lease>, Waiting)> {
        let begun = self.foreign.close_work().into_iter();
        begun.map(|(lease, lender)| (lease, self.describe(&lender))).collect()
    }

    /// Ends the hub: every component is closed, which drops every value that no frame of a greenlet
    /// can point to. `in_use` means that a frame of main is still inside.
    ///
    /// The hub cannot be found any more, so the destructors that run here do not come back to it. A
    /// panic in one of them would end the process: each component catches them.
    pub(super) fn close(&self, in_use: bool) -> Remains {
        // First, so that nothing arrives any more. A wake-up that is rejected from now on finds its
        // waiter leaving.
        self.foreign.close_inbox().into_iter().for_each(guard_drop);
        // Before values are dropped, so that no thread begins lent work in the meantime.
        let lent = self.close_work();
        for owed in self.foreign.close() {
            guard(|| owed.abandon()).unwrap_or_else(Escape::let_go);
        }
        let left = self.tasks.records();
        let unfinished = left.len() - 1;
        let named = left.iter().filter(|record| !self.main.is(record)).take(NAMED);
        let waiting = named.map(|record| self.describe(record)).collect();
        // In the order in which the loop would have come to them.
        self.queue.close();
        self.loop_state.close();
        self.timers.close();
        self.watches.close();
        self.driver.close();
        self.hooks.close();
        self.unwinding.close();
        self.main.close();
        self.reactor.close().into_iter().for_each(guard_drop);
        // If the hub is leaked, only the stacks in use are leaked with it.
        self.stacks.close();
        self.tasks.close();
        // Last, and only if no frame can be using them.
        if unfinished == 0 && !in_use {
            self.main.clear_locals();
        }
        Remains { unfinished, waiting, lent }
    }
}
