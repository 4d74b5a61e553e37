//! Masks interrupts while a task unwinds. An exception raised in a destructor that runs during
//! unwinding would abort the process.
//!
//! std keeps one panic count for the thread. A task that waits in the middle of an unwinding leaves
//! the count raised for all tasks of the thread, so each task records its known unwinding state
//! when it waits: its [`UnwindState`].

use std::cell::{Cell, RefCell};
use std::thread;

use super::Core;
use super::run_queue::Step;
use crate::error::LoopExit;
use crate::exception::Exception;
use crate::scheduler::current;
use crate::scheduler::unwind::guard_drop;
use crate::stderr;
use crate::task::{Interrupt, State, Task, TaskRef, UnwindState, WakeReason, switch};

/// The unwindings of this thread's tasks, as far as they are known, and the tasks that an interrupt
/// waits for.
pub(super) struct Unwinding {
    /// `true` if std counted a panic on this thread when the present task was resumed.
    resumed_panicking: Cell<bool>,
    /// The number of parked tasks, and of nested waits, that are known to be unwinding.
    parked: Cell<usize>,
    /// The tasks with an interrupt that waits for the end of their unwinding.
    deferred: RefCell<Vec<TaskRef>>,
}

impl Unwinding {
    pub(super) fn new() -> Unwinding {
        Unwinding { resumed_panicking: Cell::new(false), parked: Cell::new(0), deferred: RefCell::default() }
    }

    /// Records whether std counts a panic on this thread when a task is resumed.
    #[inline(always)]
    pub(super) fn note_resumed(&self, panicking: bool) {
        self.resumed_panicking.set(panicking);
    }

    /// Counts a task that is parked in the middle of its unwinding.
    #[inline]
    pub(super) fn park(&self) {
        self.parked.set(self.parked.get() + 1);
    }

    /// Counts a task that continues its unwinding.
    #[inline]
    pub(super) fn unpark(&self) {
        self.parked.set(self.parked.get() - 1);
    }

    /// Returns the number of parked tasks that are known to be unwinding.
    pub(super) fn parked(&self) -> usize {
        self.parked.get()
    }

    /// Returns `true` if an interrupt waits for the end of an unwinding.
    #[inline(always)]
    pub(super) fn has_deferred(&self) -> bool {
        !self.deferred.borrow().is_empty()
    }

    pub(super) fn defer(&self, record: TaskRef) {
        self.deferred.borrow_mut().push(record);
    }

    fn take_deferred(&self) -> Vec<TaskRef> {
        self.deferred.take()
    }

    /// Drops the references to the tasks.
    pub(super) fn close(&self) {
        guard_drop(self.take_deferred());
    }
}

/// Returns `true` if the caller runs in a destructor during an unwinding, as far as is known.
///
/// [`std::thread::panicking`] is also true for other greenlets while one waits in such a destructor.
#[doc(hidden)]
pub fn unwinding() -> bool {
    match current::try_core() {
        Some(core) => core.unwind_state(&core.running()) != UnwindState::No,
        None => thread::panicking(),
    }
}

impl Core {
    /// Records that the task has an interrupt that waits for the end of its unwinding.
    pub(crate) fn defer(&self, record: TaskRef) {
        self.pace.call_for_loop();
        self.unwinding.defer(record);
    }

    /// Returns the unwinding state of the task that is about to wait, according to std's panic
    /// count.
    #[inline(always)]
    pub(crate) fn unwind_state(&self, task: &Task) -> UnwindState {
        if !thread::panicking() {
            return self.calm(task);
        }
        self.unwind_state_while_counted(task)
    }

    /// Returns the unwinding state of a task while std counts no panic on this thread.
    #[inline(always)]
    pub(super) fn calm(&self, task: &Task) -> UnwindState {
        // An earlier exception was caught, perhaps by a `catch_unwind` that is not ours.
        task.raised.set(false);
        UnwindState::No
    }

    #[cold]
    fn unwind_state_while_counted(&self, task: &Task) -> UnwindState {
        // The count is one for the whole thread. It belongs to this task if the task raised, or if
        // the count was zero when the task was resumed. From then on the count belongs to the task
        // until the thread is calm.
        if task.raised.get()
            || !self.unwinding.resumed_panicking.get()
            || task.unwind_state.get() == UnwindState::Yes
        {
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
        let timeout = rare.timeout.take();
        rare.timeout.set(timeout.clone());
        if let Some(timeout) = &timeout {
            timeout.swallowed();
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
        task.mask(Interrupt { exception, timeout }.unclaimed());
        // If the next wait cannot tell whether the task is unwinding itself, the interrupt is
        // raised when that is known.
        self.defer(self.current());
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
    #[inline]
    pub(crate) fn unwinding_since(&self) -> Option<u64> {
        if thread::panicking() { self.exceptions_if_unwinding() } else { None }
    }

    #[cold]
    fn exceptions_if_unwinding(&self) -> Option<u64> {
        let record = self.current();
        (self.unwind_state(&record.task) != UnwindState::No).then(|| record.task.raises.get())
    }

    /// Returns `true` if an interrupt would hit a destructor that runs during an unwinding, and so
    /// end the process.
    pub(crate) fn masked(&self, task: &Task) -> bool {
        match task.unwind_state.get() {
            UnwindState::No => false,
            UnwindState::Yes => switch::COUNTS_APART || thread::panicking(),
            UnwindState::Unknown => thread::panicking() && self.unwinding.parked() == 0,
        }
    }

    /// Delivers deferred interrupts to tasks that have ended their unwinding.
    pub(crate) fn retry_deferred(&self) {
        if !switch::COUNTS_APART && thread::panicking() {
            return;
        }
        for record in self.unwinding.take_deferred() {
            let parked = record.task.wait.get() != 0 && record.task.state.get() == State::Running;
            if !parked || self.masked(&record.task) {
                // Running or ended tasks handle it themselves: `park` raises masked interrupts.
                if record.task.has_masked() && !record.task.ready() {
                    self.unwinding.defer(record);
                }
                continue;
            }
            if record.task.shielded.get() {
                // A shielded task takes its interrupts itself.
                self.queue.push_step(Step::Wake(record.task.token(), WakeReason::Woken));
                continue;
            }
            let throw = record.task.cold().masked.borrow_mut().pop_front();
            if let Some(throw) = throw {
                self.queue.push_step(Step::Throw(record, throw));
            }
        }
    }
}
