//! The clock of a hub, its running timers, and the action of each.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Core;
use super::clock::{Clock, nanos};
use super::driver;
use super::events::TimerAction;
use super::unwind::guard_drop;
use crate::timers::{TimerId, Timers};

/// The payload of a timer.
struct TimerEntry {
    action: TimerAction,
    /// `true` if the timer keeps the loop alive.
    keeps: bool,
}

/// The clock and the timers of a hub. Times are in nanoseconds since the creation of the hub.
pub(super) struct TimerQueue {
    clock: Clock,
    timers: RefCell<Timers<TimerEntry>>,
    /// The number of running timers that do not keep the loop alive.
    unref: Cell<usize>,
    /// A timer with an earlier deadline wakes the driver when it is started; 0 while the queue is not
    /// armed.
    alert_before: Cell<u64>,
    /// The allocation of the last scope timeout, kept for the next one: it is in the cache.
    spare: Cell<Option<Rc<dyn Any>>>,
}

impl TimerQueue {
    pub(super) fn new() -> TimerQueue {
        TimerQueue {
            clock: Clock::new(),
            timers: RefCell::new(Timers::new()),
            unref: Cell::new(0),
            alert_before: Cell::new(0),
            spare: Cell::new(None),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    #[inline]
    fn at(&self, instant: Instant) -> u64 {
        self.clock.at(instant)
    }

    /// Returns an instant at which a time of the hub has been reached. Returns `None` for one that the
    /// system cannot represent.
    pub(super) fn instant(&self, at: u64) -> Option<Instant> {
        self.clock.instant(at)
    }

    // Not inlined, to keep the frame of a wait as small as possible: with many waiters it is far
    // from the cache.
    #[inline(never)]
    fn start(&self, deadline: u64, action: impl FnOnce() -> TimerAction, keeps: bool) -> TimerId {
        let id = self.timers.borrow_mut().start_with(deadline, || TimerEntry { action: action(), keeps });
        if deadline < self.alert_before.get() {
            driver::alert();
        }
        id
    }

    /// Makes the next timer with an earlier deadline than this wake the driver.
    pub(super) fn arm(&self, before: u64) {
        self.alert_before.set(before);
    }

    /// Undoes [`arm`](TimerQueue::arm).
    pub(super) fn disarm(&self) {
        self.alert_before.set(0);
    }

    /// Cancels a timer. Returns its action, whose destructor is user code.
    #[inline]
    fn cancel(&self, id: TimerId) -> Option<TimerAction> {
        let entry = self.timers.borrow_mut().cancel(id)?;
        Some(self.forget(entry))
    }

    /// Takes the next timer that is due at this time. Returns its action.
    #[inline(always)]
    pub(super) fn pop_due(&self, now: u64) -> Option<TimerAction> {
        let due = self.timers.borrow_mut().pop_due(now)?;
        Some(self.forget(due.payload))
    }

    /// Updates the count for a timer that has fired or was cancelled.
    #[inline]
    fn forget(&self, entry: TimerEntry) -> TimerAction {
        if !entry.keeps {
            self.unref.set(self.unref.get() - 1);
        }
        entry.action
    }

    #[inline(always)]
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.timers.borrow_mut().next_deadline()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.timers.borrow().len()
    }

    /// Returns the number of running timers that keep the loop alive.
    #[inline]
    pub(super) fn keeping(&self) -> usize {
        self.len() - self.unref.get()
    }

    /// Drops every timer.
    pub(super) fn close(&self) {
        while let Some(action) = self.pop_due(u64::MAX) {
            if let TimerAction::Timeout(timeout) = &action {
                // Expired first, so that it does not cancel a timer of another hub when it is
                // dropped later.
                timeout.expire();
            }
            guard_drop(action);
        }
        // Releases the memory as well, in case the hub is leaked.
        drop(self.timers.replace(Timers::new()));
        guard_drop(self.spare.take());
    }
}

/// The clock and the timers for other folders.
impl Core {
    /// Returns the present time, in nanoseconds since this hub was created.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.timers.now()
    }

    /// Converts a point in time to the hub's time. A time before the hub's creation becomes 0.
    #[inline]
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        self.timers.at(instant)
    }

    /// Returns the time `after` from now.
    #[inline]
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(nanos(after))
    }

    #[inline(always)]
    pub(crate) fn start_timer(
        &self,
        deadline: u64,
        action: impl FnOnce() -> TimerAction,
        keeps: bool,
    ) -> TimerId {
        if !keeps {
            self.timers.unref.set(self.timers.unref.get() + 1);
        }
        self.timers.start(deadline, action, keeps)
    }

    #[inline]
    pub(crate) fn cancel_timer(&self, id: TimerId) {
        drop(self.timers.cancel(id));
    }

    /// Returns the number of running timers.
    pub(crate) fn timer_count(&self) -> usize {
        self.timers.len()
    }

    /// Takes the allocation that was kept last for a scope timeout.
    #[inline]
    pub(crate) fn take_spare_timeout(&self) -> Option<Rc<dyn Any>> {
        self.timers.spare.take()
    }

    /// Keeps an allocation for the next scope timeout. The replaced one is dropped.
    #[inline]
    pub(crate) fn keep_spare_timeout(&self, spare: Rc<dyn Any>) {
        self.timers.spare.set(Some(spare));
    }
}
