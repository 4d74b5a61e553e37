//! Waits in the hub, which are refused, except where a refusal would end the process.
//!
//! A callback of the hub must not wait: a wait in it raises [`BlockingSwitchOutError`]. But a
//! destructor that waits while a callback *unwinds* cannot be left by an exception: Rust ends the
//! process for that. Such a wait is therefore allowed:
//!
//! * On the stack of a greenlet (a spawn callback, an error handler), the greenlet itself waits.
//! * On the hub's stack, the loop runs nested inside the destructor, until the wait is over. The
//!   state of the loop is in the hub and not in its frames, so the nested loop continues at the
//!   position of the outer one, and the outer loop at the position where the nested one stops. Only
//!   the main greenlet must wait, since its frames are further down on this stack.
//!
//! No interrupt reaches such a wait. A nested wait that nothing can end any more ends the process,
//! with a message.

use std::cell::{Cell, RefCell};
use std::process;
use std::thread;

use super::{Core, Mode};
use crate::error::{BlockingSwitchOutError, WaitWhileBorrowed};
use crate::exception::Exception;
use crate::scheduler::report::ErrorContext;
use crate::scheduler::unwind::guard;
use crate::stderr;
use crate::task::{Kind, WaitToken, WakeReason};

/// One nested wait.
struct Nested {
    wait: u64,
    reason: &'static str,
    verdict: Option<WakeReason>,
}

/// The nested waits, and the rule that a wait in the hub is refused by.
#[derive(Default)]
pub(super) struct NestedWaits {
    /// The waits of destructors in callbacks that unwind, the innermost last.
    waits: RefCell<Vec<Nested>>,
    /// The operation that calls user code while an object is borrowed.
    borrowed: Cell<Option<&'static str>>,
}

impl NestedWaits {
    /// Sets the operation that calls user code while an object is borrowed. Returns the outer one.
    pub(super) fn set_borrowed(&self, call: Option<&'static str>) -> Option<&'static str> {
        self.borrowed.replace(call)
    }

    fn depth(&self) -> usize {
        self.waits.borrow().len()
    }

    /// Begins a nested wait. Returns its depth.
    fn begin(&self, wait: u64, reason: &'static str) -> usize {
        let mut waits = self.waits.borrow_mut();
        waits.push(Nested { wait, reason, verdict: None });
        waits.len() - 1
    }

    /// Returns the outcome of the wait at this depth, once it is over.
    fn verdict(&self, depth: usize) -> Option<WakeReason> {
        self.waits.borrow()[depth].verdict
    }

    /// Ends the wait at this depth.
    fn end(&self, depth: usize) {
        self.waits.borrow_mut().truncate(depth);
    }

    /// Sets the outcome of a wait that is not over. Returns `true` if it is the innermost one.
    fn resume(&self, wait: u64, verdict: WakeReason) -> bool {
        let mut waits = self.waits.borrow_mut();
        let innermost = waits.len().wrapping_sub(1);
        let at = waits.iter().position(|nested| nested.wait == wait && nested.verdict.is_none());
        if let Some(at) = at {
            waits[at].verdict = Some(verdict);
        }
        at == Some(innermost)
    }

    /// Returns the reason of the innermost wait.
    fn reason(&self) -> Option<&'static str> {
        self.waits.borrow().last().map(|nested| nested.reason)
    }
}

impl Core {
    /// Refuses a wait in the hub, unless a refusal would end the process.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse_in_hub(&self) {
        if self.unwinds_in_hub() {
            return;
        }
        match self.nested.borrowed.get() {
            Some(call) => self.raise(Exception::new(WaitWhileBorrowed { call })),
            None => self.raise(Exception::new(BlockingSwitchOutError)),
        }
    }

    /// Returns `true` if a callback of the hub is unwinding now.
    ///
    /// std has one count of panics for the thread. While a parked greenlet is in the middle of an
    /// unwinding, the count says nothing about a callback; then a callback is assumed to be calm.
    pub(crate) fn unwinds_in_hub(&self) -> bool {
        thread::panicking() && self.unwinding.parked() == self.nested.depth()
    }

    /// Returns the mode of the stack that a callback runs on: of the hub's stack, or of the stack
    /// of the greenlet that calls it under the hub's rules.
    pub(crate) fn covered_mode(&self) -> Mode {
        let running = self.tasks.running();
        if running.kind != Kind::Main {
            Mode::Greenlet
        } else if running.wait.get() == 0 && !self.main.is_resumed() && self.nested.depth() == 0 {
            Mode::Main
        } else {
            Mode::Hub
        }
    }

    /// Waits in the hub.
    #[cold]
    #[inline(never)]
    pub(super) fn suspend_in_hub(&self, token: WaitToken, reason: &'static str) -> Option<WakeReason> {
        self.refuse_in_hub();
        let covered = self.covered_mode();
        if covered == Mode::Hub {
            return Some(self.drive_nested(token, reason));
        }
        let borrowed = self.nested.set_borrowed(None);
        self.mode.set(covered);
        let verdict = self.suspend_apart(token, reason);
        self.mode.set(Mode::Hub);
        self.nested.set_borrowed(borrowed);
        verdict
    }

    /// Runs the loop until this wait is over.
    fn drive_nested(&self, token: WaitToken, reason: &'static str) -> WakeReason {
        let depth = self.nested.begin(token.wait, reason);
        // The unwinding here accounts for the thread's count of panics, for all tasks that run
        // during the wait.
        self.unwinding.park();
        self.main.set_resumed(false);
        let borrowed = self.nested.set_borrowed(None);
        let verdict = loop {
            if let Some(verdict) = self.nested.verdict(depth) {
                break verdict;
            }
            if let Err(escape) = guard(|| self.turn()) {
                self.report(&ErrorContext::Destructor, escape);
            }
            self.main.set_resumed(false);
        };
        self.nested.set_borrowed(borrowed);
        self.nested.end(depth);
        if depth == 0 {
            self.queue.release_held();
        }
        self.unwinding.unpark();
        // The loop below continues the wait around this one, if that is over as well.
        let outer_is_over = depth > 0 && self.nested.verdict(depth - 1).is_some();
        self.main.set_resumed(outer_is_over || self.main.task().wait.get() == 0);
        verdict
    }

    /// Holds back a direct wake of main whose turn has come below a nested wait, where main cannot
    /// run. Returns `false` for every other direct wake.
    #[inline]
    pub(super) fn holds_back(&self, token: WaitToken) -> bool {
        let held = self.nested.depth() > 0 && token.index == self.main.task().index.get();
        if held {
            self.queue.hold(token);
        }
        held
    }

    /// Ends the nested wait that the token names, if there is one.
    #[cold]
    #[inline(never)]
    pub(super) fn resume_nested(&self, token: WaitToken, verdict: WakeReason) {
        if self.nested.resume(token.wait, verdict) {
            // Makes the loop return to that wait.
            self.main.set_resumed(true);
        }
    }

    /// Ends the process if there is a nested wait, because nothing can happen any more, or because
    /// main must get an exception and the nested wait prevents it.
    pub(super) fn give_up_nested(&self) {
        if let Some(reason) = self.nested.reason() {
            stderr::write(&format!(
                "ramie: a callback of the hub unwinds, and a destructor in it waits forever, in {reason}\n"
            ));
            process::abort();
        }
    }
}
