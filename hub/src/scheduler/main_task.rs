//! The main greenlet: the thread's own stack, which the loop runs on while main waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;

use super::Core;
use super::unwind::guard_drop;
use crate::error::LoopExit;
use crate::exception::Exception;
use crate::stderr;
use crate::task::{Interrupt, Kind, NoBody, State, Task, TaskPtr, TaskRef, WaitToken, WakeReason};

/// The main greenlet, and what it alone waits for.
pub(super) struct MainTask {
    record: TaskRef,
    /// Set when main's wait is over: the loop then returns to main.
    resumed: Cell<bool>,
    /// The number of times that main has continued after the loop ran.
    drives: Cell<u64>,
    /// The number of frames of main that are lent.
    lent: Cell<usize>,
    /// `true` if the thread is ending, and the hub should have ended when main continued.
    overdue: Cell<bool>,
    /// Set while `Hub::join` waits until the loop has nothing left.
    joins: Cell<bool>,
    /// Set while `Hub::kill_all` waits for the next greenlet to die.
    death_waiter: Cell<Option<WaitToken>>,
    /// The number of urgent exceptions, to be read at every switch.
    urgent_count: Cell<usize>,
    /// `true` while main runs one iteration of the loop.
    polls_once: Cell<bool>,
    /// `true` if a driver is set.
    driven: Cell<bool>,
    /// The number of reasons that make a wait of main more than a run of the loop: the urgent
    /// exceptions, and a driver. To be read at every wait of main.
    special: Cell<usize>,
    /// Exceptions that are delivered before everything else.
    urgent: RefCell<VecDeque<Exception>>,
}

impl MainTask {
    /// Creates the main greenlet of the hub with this number. It runs.
    pub(super) fn new(hub: u64) -> MainTask {
        let mut task = Task::new(Kind::Main, Location::caller(), 0, None, None);
        task.state = Cell::new(State::Running);
        task.hub = Cell::new(hub);
        MainTask {
            record: TaskRef::new(NoBody, || task),
            resumed: Cell::new(false),
            drives: Cell::new(0),
            lent: Cell::new(0),
            overdue: Cell::new(false),
            joins: Cell::new(false),
            death_waiter: Cell::new(None),
            urgent_count: Cell::new(0),
            polls_once: Cell::new(false),
            driven: Cell::new(false),
            special: Cell::new(0),
            urgent: RefCell::default(),
        }
    }

    #[inline(always)]
    pub(super) fn record(&self) -> &TaskRef {
        &self.record
    }

    #[inline(always)]
    pub(super) fn task(&self) -> &Task {
        &self.record.task
    }

    /// Returns `true` if this is the record of main.
    pub(super) fn is(&self, record: &TaskRef) -> bool {
        record.is(&self.record)
    }

    /// Returns `true` if the loop must return to main.
    #[inline(always)]
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed.get()
    }

    #[inline(always)]
    pub(super) fn set_resumed(&self, resumed: bool) {
        self.resumed.set(resumed);
    }

    /// Counts that main continues after the loop has run. Returns the count.
    #[inline]
    pub(super) fn goes_on(&self) -> u64 {
        let count = self.drives.get() + 1;
        self.drives.set(count);
        count
    }

    /// Records that the hub should have ended.
    pub(super) fn set_overdue(&self) {
        self.overdue.set(true);
    }

    /// Returns `true` if the hub should have ended, and no frame of main is lent.
    pub(super) fn must_end(&self) -> bool {
        self.overdue.get() && self.lent.get() == 0
    }

    /// Takes the wait for the next greenlet to die.
    #[inline(always)]
    pub(super) fn take_death_waiter(&self) -> Option<WaitToken> {
        self.death_waiter.take()
    }

    #[inline(always)]
    pub(super) fn has_urgent(&self) -> bool {
        self.urgent_count.get() > 0
    }

    pub(super) fn push_urgent(&self, exception: Exception) {
        self.urgent.borrow_mut().push_back(exception);
        self.urgent_count.set(self.urgent_count.get() + 1);
        self.special.set(self.special.get() + 1);
    }

    fn pop_urgent(&self) -> Option<Exception> {
        let exception = self.urgent.borrow_mut().pop_front()?;
        self.urgent_count.set(self.urgent_count.get() - 1);
        self.special.set(self.special.get() - 1);
        Some(exception)
    }

    /// Returns `true` if a wait of main is more than a run of the loop.
    #[inline(always)]
    pub(super) fn waits_specially(&self) -> bool {
        self.special.get() > 0
    }

    /// Sets whether main runs one iteration of the loop.
    pub(super) fn set_polls_once(&self, polls_once: bool) {
        self.polls_once.set(polls_once);
    }

    /// Returns `true` while main runs one iteration of the loop.
    pub(super) fn polls_once(&self) -> bool {
        self.polls_once.get()
    }

    /// Sets whether a driver is set.
    pub(super) fn set_driven(&self, driven: bool) {
        let before = self.driven.replace(driven);
        self.special.set(self.special.get() + usize::from(driven) - usize::from(before));
    }

    /// Drops the exceptions.
    pub(super) fn close(&self) {
        self.urgent_count.set(0);
        self.special.set(0);
        self.driven.set(false);
        guard_drop(self.urgent.take());
    }

    /// Drops the locals of main, which no frame uses any more.
    pub(super) fn clear_locals(&self) {
        if let Some(cold) = self.task().cold_if_used() {
            cold.locals.clear(guard_drop);
        }
    }
}

impl Core {
    /// Returns the main greenlet.
    pub(crate) fn main(&self) -> &TaskRef {
        self.main.record()
    }

    /// Records that a frame of main is lent.
    pub(crate) fn lend_main(&self) {
        self.main.lent.set(self.main.lent.get() + 1);
    }

    /// Records that a frame of main is lent no more. Ends the hub if that was due.
    pub(crate) fn unlend_main(&self) {
        self.main.lent.set(self.main.lent.get() - 1);
        self.end_if_overdue();
    }

    /// Sets whether main waits until the loop has nothing left. The loop clears it then.
    pub(crate) fn set_joining(&self, joining: bool) {
        self.main.joins.set(joining);
    }

    /// Returns `true` if main waits until the loop has nothing left.
    pub(crate) fn is_joining(&self) -> bool {
        self.main.joins.get()
    }

    /// Sets the wait that ends when the next greenlet dies.
    pub(crate) fn set_death_waiter(&self, token: WaitToken) {
        self.main.death_waiter.set(Some(token));
    }

    /// Raises the next urgent exception in main, if main can be interrupted now.
    pub(super) fn deliver_urgent(&self) {
        let main = self.main.task();
        if main.wait.get() == 0 || self.masked(main) {
            return;
        }
        if let Some(exception) = self.main.pop_urgent() {
            if main.shielded.get() {
                main.mask(Interrupt::new(exception));
            } else {
                main.interrupt(exception);
            }
            self.switch_to(TaskPtr::of(self.main.record()));
        }
    }

    /// Raises `LoopExit` in main, with all suspended greenlets, because nothing is left that could
    /// wake main.
    pub(super) fn run_dry(&self) {
        self.give_up_nested();
        let main = self.main.task();
        if self.main.joins.take() {
            self.resume(main.token(), WakeReason::Woken);
            return;
        }
        self.interrupt_main(Exception::new(LoopExit { waiting: self.waiting() }));
    }

    /// Raises in main an exception that ends its wait.
    pub(super) fn interrupt_main(&self, exception: Exception) {
        self.give_up_nested();
        let main = self.main.task();
        if self.masked(main) && !main.shielded.get() {
            stderr::write(&format!(
                "ramie: in a destructor of the main greenlet that unwinds: {exception}\n"
            ));
            std::process::abort();
        }
        main.interrupt(exception);
        self.switch_to(TaskPtr::of(self.main.record()));
    }
}
