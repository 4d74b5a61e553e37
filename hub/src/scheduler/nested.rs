//! Waits in the hub, which are refused, except where refusing one would end the process.
//!
//! A callback of the hub must not wait: a wait in it raises [`BlockingSwitchOutError`]. But a destructor that waits while a
//! callback *unwinds* cannot be left by an exception: Rust ends the process for that. So such a wait is waited:
//!
//! * On the stack of a greenlet (a spawn callback, an error handler), the greenlet itself waits.
//! * On the hub's stack, the loop runs nested inside the destructor, until the wait is over. All that the loop knows is in
//!   the hub and not in its frames, so the nested one continues where the outer one stands, and the outer one where the
//!   nested one stops. Only the main greenlet has to wait, as its frames are further down on this stack.
//!
//! No throw reaches such a wait. A nested wait that nothing can end any more ends the process, with a message.

use std::process;
use std::thread;

use super::state::{Core, Mode};
use crate::error::{BlockingSwitchOutError, WaitWhileBorrowed};
use crate::exception::Exception;
use crate::scheduler::report::ErrorContext;
use crate::scheduler::unwind::guard;
use crate::stderr;
use crate::task::{Kind, Token, Verdict};

/// One nested wait.
pub(crate) struct Nested {
    wait: u64,
    reason: &'static str,
    verdict: Option<Verdict>,
}

impl Core {
    /// Refuses what waits in the hub, unless refusing it would end the process.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse_in_hub(&self) {
        if self.unwinds_in_hub() {
            return;
        }
        match self.borrowed.get() {
            Some(call) => self.raise(Exception::new(WaitWhileBorrowed { call })),
            None => self.raise(Exception::new(BlockingSwitchOutError)),
        }
    }

    /// Whether a callback of the hub is unwinding now.
    ///
    /// std has one count of panics for the thread. While a parked greenlet is in the middle of an unwinding the count says
    /// nothing about a callback; then a callback is taken to be calm.
    pub(crate) fn unwinds_in_hub(&self) -> bool {
        thread::panicking() && self.unwinding.get() == self.nested.borrow().len()
    }

    /// The mode of the stack that a callback runs on: of the hub's, or of the greenlet's that calls it under the hub's rules.
    pub(crate) fn covered_mode(&self) -> Mode {
        let running = self.tasks.running();
        if running.kind != Kind::Main {
            Mode::Greenlet
        } else if running.wait.get() == 0 && !self.main_resumed.get() && self.nested.borrow().is_empty() {
            Mode::Main
        } else {
            Mode::Hub
        }
    }

    /// A wait in the hub.
    #[cold]
    #[inline(never)]
    pub(super) fn suspend_in_hub(&self, token: Token, reason: &'static str) -> Option<Verdict> {
        self.refuse_in_hub();
        let covered = self.covered_mode();
        if covered == Mode::Hub {
            return Some(self.drive_nested(token, reason));
        }
        let borrowed = self.borrowed.take();
        self.mode.set(covered);
        let verdict = self.suspend_apart(token, reason);
        self.mode.set(Mode::Hub);
        self.borrowed.set(borrowed);
        verdict
    }

    /// Runs the loop until this wait is over.
    fn drive_nested(&self, token: Token, reason: &'static str) -> Verdict {
        let depth = self.nested.borrow().len();
        self.nested.borrow_mut().push(Nested { wait: token.wait, reason, verdict: None });
        // What unwinds here explains the thread's count of panics to everybody who runs meanwhile.
        self.unwinding.set(self.unwinding.get() + 1);
        self.main_resumed.set(false);
        let borrowed = self.borrowed.take();
        let verdict = loop {
            let verdict = self.nested.borrow()[depth].verdict;
            if let Some(verdict) = verdict {
                break verdict;
            }
            if let Err(escape) = guard(|| self.turn()) {
                self.report(&ErrorContext::Destructor, escape);
            }
            self.main_resumed.set(false);
        };
        self.borrowed.set(borrowed);
        self.nested.borrow_mut().truncate(depth);
        self.unwinding.set(self.unwinding.get() - 1);
        self.main_resumed.set(self.main.task.wait.get() == 0);
        verdict
    }

    /// Ends the nested wait that the token names, if there is one.
    #[cold]
    #[inline(never)]
    pub(super) fn resume_nested(&self, token: Token, verdict: Verdict) {
        let mut nested = self.nested.borrow_mut();
        let innermost = nested.len().wrapping_sub(1);
        let at = nested.iter().position(|nested| nested.wait == token.wait && nested.verdict.is_none());
        if let Some(at) = at {
            nested[at].verdict = Some(verdict);
            if at == innermost {
                // Has the loop returned to.
                self.main_resumed.set(true);
            }
        }
    }

    /// Nothing can happen any more, or main is to be told that nothing will. A nested wait stands in the way.
    pub(super) fn give_up_nested(&self) {
        let reason = self.nested.borrow().last().map(|nested| nested.reason);
        if let Some(reason) = reason {
            stderr::write(&format!(
                "ramie: a callback of the hub unwinds, and a destructor in it waits forever, in {reason}\n"
            ));
            process::abort();
        }
    }
}
