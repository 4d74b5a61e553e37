//! Uninterruptible waits, for frames that others borrow from.
//!
//! Code that lends from its frame first creates a [`FrameGuard`]. That is refused where nothing can
//! wait. From then on the frame is left in one way only: by [`FrameGuard::release`], after
//! [`FrameGuard::wait_uninterruptibly`] has found that no borrower is left. Any other way ends the process.
//!
//! While it waits, the task is uninterruptible (*shielded*): interrupts are deferred and only wake
//! it, so that it can cancel its borrowers. The first one is returned, to be raised once all
//! borrowers have ended; the others stay deferred for later waits.

use std::mem::ManuallyDrop;
use std::process;

use crate::exception::Exception;
use crate::scheduler::current::{self, CoreRef};
use crate::scheduler::{Core, Mode};
use crate::stderr;
use crate::task::{Interrupt, WaitToken};
use crate::wait::timeout::Timeout;

/// The borrowers of a frame.
pub(crate) trait Borrowers {
    /// Returns the number of borrowers that may still access the frame.
    fn left(&self) -> usize;
    /// Sets the token to wake when no borrower is left.
    fn tell(&self, token: WaitToken);
    /// Cancels the borrowers with an exception. Returns an exception that was raised in the running
    /// greenlet during the call.
    fn interrupt(&self, core: &Core, exception: &Exception) -> Option<Exception>;
    /// Describes the borrowers, for the report that they never end.
    fn describe(&self) -> String;
}

/// Guards a frame that others borrow from. Must be released with `release`: dropping it aborts the
/// process.
pub(crate) struct FrameGuard {
    core: CoreRef,
    in_main: bool,
}

impl FrameGuard {
    /// Creates a guard. Raises [`BlockingSwitchOutError`](crate::BlockingSwitchOutError) where
    /// nothing can wait.
    pub(crate) fn new() -> Self {
        let core = current::core();
        if core.in_hub() {
            core.refuse_in_hub();
        }
        let in_main = core.mode() == Mode::Main;
        if in_main {
            core.lend_main();
        }
        FrameGuard { core, in_main }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Waits until no borrower is left, without interruption. Returns the first exception that
    /// arrived, to be raised after the guard is released. With `leaving`, that exception takes its
    /// place.
    pub(crate) fn wait_uninterruptibly(
        &self,
        debts: &dyn Borrowers,
        reason: &'static str,
        leaving: Option<Exception>,
    ) -> Option<Exception> {
        let core = &*self.core;
        if core.in_hub() {
            self.outwait_in_hub(debts, reason, leaving.as_ref());
            return None;
        }
        let record = core.current();
        let task = &record.task;
        let recall = |exception: &Exception| {
            if let Some(exception) = debts.interrupt(core, exception) {
                task.mask(Timeout::throw_again(exception));
            }
        };
        let mut first: Option<Interrupt> = None;
        if let Some(exception) = &leaving {
            recall(exception);
        }
        let mut left_when_stuck = usize::MAX;
        loop {
            if first.is_none() && leaving.is_none() {
                first = core.take_due(task);
                if let Some(throw) = &first {
                    recall(&throw.exception);
                }
            }
            if debts.left() == 0 {
                break;
            }
            let token = core.token();
            debts.tell(token);
            task.shielded.set(true);
            core.park(token, reason);
            task.shielded.set(false);
            if let Some(exception) = task.thrown.take() {
                // Nothing is left that could wake the task. As long as an exception ends further
                // borrowers, the wait continues.
                let left = debts.left();
                if left >= left_when_stuck {
                    give_up(&format!("it waits forever for {}\n{exception}", debts.describe()));
                }
                left_when_stuck = left;
                recall(&exception);
                if leaving.is_none() {
                    first.get_or_insert(Interrupt::new(exception));
                }
            }
        }
        task.unwind_state.set(core.unwind_state(task));
        let raise = match first {
            Some(throw) if !core.reaches(task, &throw) => {
                // Raised here, in a destructor, the exception would end the process: it waits for
                // the end of the unwinding.
                task.cold().masked.borrow_mut().push_front(throw.unclaimed());
                None
            }
            first => first.map(|throw| throw.exception),
        };
        if task.has_masked() {
            core.defer(record.clone());
        }
        raise
    }

    /// Waits like `wait_uninterruptibly` in a destructor that runs while a callback of the hub unwinds, where
    /// nothing can be raised.
    #[cold]
    fn outwait_in_hub(&self, debts: &dyn Borrowers, reason: &'static str, leaving: Option<&Exception>) {
        let core = &*self.core;
        let task = core.running();
        // On the hub's stack the running task is main, which is parked in a wait of its own.
        let on_its_own = core.covered_mode() != Mode::Hub;
        let shielded = task.shielded.replace(on_its_own || task.shielded.get());
        if let Some(exception) = leaving {
            debts.interrupt(core, exception);
        }
        while debts.left() > 0 {
            let token = core.token();
            debts.tell(token);
            core.park(token, reason);
            if on_its_own {
                if let Some(exception) = task.thrown.take() {
                    give_up(&format!("it waits forever for {}\n{exception}", debts.describe()));
                }
            }
        }
        task.shielded.set(shielded);
    }

    /// Releases the guard when no borrower is left: the frame may be left.
    pub(crate) fn release(self) {
        let this = ManuallyDrop::new(self);
        if this.in_main {
            this.core.unlend_main();
        }
    }
}

impl Drop for FrameGuard {
    fn drop(&mut self) {
        give_up("it was about to be left");
    }
}

/// Ends the process: the frame can neither be left nor waited in.
#[cold]
fn give_up(why: &str) -> ! {
    stderr::write(&format!(
        "ramie: a frame is lent, and {why}\nThe process ends, because the lent frame is still in use.\n"
    ));
    process::abort();
}
