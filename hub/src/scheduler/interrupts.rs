//! Masks interrupts while a task unwinds. An exception raised in a destructor that runs during
//! unwinding would abort the process.
//!
//! std keeps one panic count for the thread. A task that waits in the middle of an unwinding leaves
//! the count raised for all tasks of the thread, so each task records its known unwinding state
//! when it waits: its [`UnwindState`].

use std::cell::Cell;
use std::thread;

use super::run_queue::Step;
use super::state::Core;
use crate::error::LoopExit;
use crate::exception::Exception;
use crate::scheduler::current;
use crate::scheduler::unwind::guard_drop;
use crate::stderr;
use crate::task::{Interrupt, State, Task, UnwindState, WakeReason, switch};

/// Returns `true` if the caller runs in a destructor during an unwinding, as far as is known.
///
/// [`std::thread::panicking`] is also true for other greenlets while one waits in such a destructor.
#[doc(hidden)]
pub fn unwinding() -> bool {
    match current::try_core() {
        Some(core) => core.unwind_state(&core.current().task) != UnwindState::No,
        None => thread::panicking(),
    }
}

impl Core {
    /// Returns the unwinding state of the task that is about to wait, according to std's panic
    /// count.
    pub(crate) fn unwind_state(&self, task: &Task) -> UnwindState {
        if !thread::panicking() {
            // An earlier exception was caught, perhaps by a `catch_unwind` that is not ours.
            task.raised.set(false);
            return UnwindState::No;
        }
        // The count is one for the whole thread. It belongs to this task if the task raised, or if
        // the count was zero when the task was resumed. From then on the count belongs to the task
        // until the thread is calm.
        if task.raised.get() || !self.resumed_panicking.get() || task.unwind_state.get() == UnwindState::Yes {
            UnwindState::Yes
        } else {
            UnwindState::Unknown
        }
    }

    pub(crate) fn raise_masked(&self, task: &Task) {
        loop {
            let Some(throw) = task.cold().masked.borrow_mut().pop_front() else { return };
            if throw.claim() {
                self.raise(throw.exception);
            }
        }
    }

    /// Handles a payload that was dropped with its exception: code has caught the interrupt of the
    /// running task without reading it. The interrupt is raised once more.
    #[cold]
    pub(crate) fn swallowed(&self, exception: Exception) {
        if self.in_hub() {
            return;
        }
        let task = self.tasks.running();
        let rare = task.cold();
        let same = |cell: &Cell<Option<Exception>>| {
            let kept = cell.take();
            let same = kept.as_ref().is_some_and(|kept| kept.same(&exception));
            cell.set(kept);
            same
        };
        // Not an exception that the code here has raised itself, and not a `LoopExit`, which may
        // have become wrong since.
        if !same(&rare.delivered) || exception.is::<LoopExit>() {
            return;
        }
        let sender = rare.sender.take();
        rare.sender.set(sender.clone());
        if let Some(sender) = &sender {
            sender.swallowed();
        }
        if same(&rare.swallowed) {
            // Named by its type, since its text is formatted by user code.
            stderr::write(&format!(
                "ramie: {} caught {} twice with catch_unwind and did not look at it\n",
                self.name(&self.current()),
                exception.type_name(),
            ));
            return;
        }
        if let Some(last) = rare.swallowed.replace(Some(exception.clone())) {
            guard_drop(last);
        }
        task.mask(Interrupt { exception, sender }.unclaimed());
        // If the next wait cannot tell whether the task is unwinding itself, the interrupt is
        // raised when that is known.
        self.deferred.borrow_mut().push(self.current());
    }

    /// Returns `true` if an interrupt may be raised in the task at its present position.
    pub(crate) fn reaches(&self, task: &Task, throw: &Interrupt) -> bool {
        !self.masked(task) || throw.stays_inside(task.raises.get())
    }

    /// Takes the first deferred interrupt that may be raised in the running task now.
    pub(crate) fn take_due(&self, task: &Task) -> Option<Interrupt> {
        task.unwind_state.set(self.unwind_state(task));
        loop {
            let throw = {
                let mut masked = task.cold().masked.borrow_mut();
                let at = masked.iter().position(|throw| self.reaches(task, throw))?;
                masked.remove(at)?
            };
            if throw.claim() {
                return Some(throw);
            }
        }
    }

    /// Returns the exception count of the running task, if the task is (or may be) unwinding now.
    pub(crate) fn unwinding_since(&self) -> Option<u64> {
        if !thread::panicking() {
            return None;
        }
        let record = self.current();
        (self.unwind_state(&record.task) != UnwindState::No).then(|| record.task.raises.get())
    }

    /// Returns `true` if an interrupt would hit a destructor that runs during an unwinding, and so
    /// end the process.
    pub(crate) fn masked(&self, task: &Task) -> bool {
        match task.unwind_state.get() {
            UnwindState::No => false,
            UnwindState::Yes => switch::COUNTS_APART || thread::panicking(),
            UnwindState::Unknown => thread::panicking() && self.unwinding.get() == 0,
        }
    }

    /// Returns `true` if an interrupt waits for the end of an unwinding.
    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.borrow().is_empty()
    }

    /// Delivers deferred interrupts to tasks that have ended their unwinding.
    pub(crate) fn retry_deferred(&self) {
        if !switch::COUNTS_APART && thread::panicking() {
            return;
        }
        let deferred = self.deferred.take();
        for record in deferred {
            let parked = record.task.wait.get() != 0 && record.task.state.get() == State::Running;
            if !parked || self.masked(&record.task) {
                // Running or ended tasks handle it themselves: `park` raises masked interrupts.
                if record.task.has_masked() && !record.task.ready() {
                    self.deferred.borrow_mut().push(record);
                }
                continue;
            }
            if record.task.shielded.get() {
                // A shielded task takes its interrupts itself.
                self.agenda.borrow_mut().push_back(Step::Wake(record.task.token(), WakeReason::Woken));
                continue;
            }
            let throw = record.task.cold().masked.borrow_mut().pop_front();
            if let Some(throw) = throw {
                self.agenda.borrow_mut().push_back(Step::Throw(record, throw));
            }
        }
    }
}
