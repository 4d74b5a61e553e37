//! Waiting that nothing cuts short: for a frame that others borrow from.
//!
//! Who lends makes a [`Lender`] first. It is refused where nothing can wait, and from then on the frame is left in one way
//! only: by [`Lender::settle`], after [`Lender::outwait`] has seen that nobody holds anything of it. Any other way ends the
//! process.
//!
//! While it waits the task is *shielded*: what is thrown into it goes to the throws that are put off and only wakes it, so
//! that it can send its borrowers home. The first of them is returned, to be raised when all are back; the others stay
//! where they are, for the waits to come.

use std::mem::ManuallyDrop;
use std::process;

use crate::exception::Exception;
use crate::scheduler::current::{self, CoreRef};
use crate::scheduler::{Core, Mode};
use crate::stderr;
use crate::task::{Throw, Token};
use crate::wait::timeout::Timeout;

/// Those who borrow from a frame.
pub(crate) trait Debts {
    /// How many still may touch what they borrowed.
    fn left(&self) -> usize;
    /// Says whom to wake when none is left.
    fn tell(&self, token: Token);
    /// Sends them home with an exception. Returns what was raised in the running greenlet meanwhile.
    fn recall(&self, core: &Core, exception: &Exception) -> Option<Exception>;
    /// Who they are, for the report of those that never come back.
    fn debtors(&self) -> String;
}

/// The right to lend from a frame, which is the duty to stay in it. Dropped instead of settled, it ends the process.
pub(crate) struct Lender {
    core: CoreRef,
    in_main: bool,
}

impl Lender {
    /// Raises [`BlockingSwitchOutError`](crate::BlockingSwitchOutError) where nothing can wait.
    pub(crate) fn new() -> Self {
        let core = current::core();
        if core.in_hub() {
            core.refuse_in_hub();
        }
        let in_main = core.mode.get() == Mode::Main;
        if in_main {
            core.lent.set(core.lent.get() + 1);
        }
        Lender { core, in_main }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Waits until no debts are left, whatever comes; returns the first exception that came, to be raised after all is
    /// settled. With `leaving` there is one already that takes its place.
    pub(crate) fn outwait(
        &self,
        debts: &dyn Debts,
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
            if let Some(exception) = debts.recall(core, exception) {
                task.mask(Timeout::throw_again(exception));
            }
        };
        let mut first: Option<Throw> = None;
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
                // Nothing is left that could wake it. As long as that sends somebody home it is not the end.
                let left = debts.left();
                if left >= left_when_stuck {
                    give_up(&format!("it waits for ever for {}\n{exception}", debts.debtors()));
                }
                left_when_stuck = left;
                recall(&exception);
                if leaving.is_none() {
                    first.get_or_insert(Throw::new(exception));
                }
            }
        }
        task.posture.set(core.posture(task));
        let raise = match first {
            Some(throw) if !core.reaches(task, &throw) => {
                // It would end the process here, in a destructor: it waits for the end of the unwinding.
                task.rare().masked.borrow_mut().push_front(throw.unclaimed());
                None
            }
            first => first.map(|throw| throw.exception),
        };
        if task.has_masked() {
            core.deferred.borrow_mut().push(record.clone());
        }
        raise
    }

    /// The same for a destructor that runs while a callback of the hub unwinds, where nothing can be raised.
    #[cold]
    fn outwait_in_hub(&self, debts: &dyn Debts, reason: &'static str, leaving: Option<&Exception>) {
        let core = &*self.core;
        let task = core.tasks.running();
        // On the hub's stack the running task is main, which is parked in a wait of its own.
        let on_its_own = core.covered_mode() != Mode::Hub;
        let shielded = task.shielded.replace(on_its_own || task.shielded.get());
        if let Some(exception) = leaving {
            debts.recall(core, exception);
        }
        while debts.left() > 0 {
            let token = core.token();
            debts.tell(token);
            core.park(token, reason);
            if on_its_own {
                if let Some(exception) = task.thrown.take() {
                    give_up(&format!("it waits for ever for {}\n{exception}", debts.debtors()));
                }
            }
        }
        task.shielded.set(shielded);
    }

    /// Nobody holds anything of the frame any more: it may be left.
    pub(crate) fn settle(self) {
        let this = ManuallyDrop::new(self);
        if this.in_main {
            this.core.lent.set(this.core.lent.get() - 1);
            this.core.end_if_overdue();
        }
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        give_up("it was about to be left");
    }
}

/// The frame can neither be left nor waited in.
#[cold]
fn give_up(why: &str) -> ! {
    stderr::write(&format!(
        "ramie: a frame is lent, and {why}\nThe process ends, as what was lent is still in use.\n"
    ));
    process::abort();
}
