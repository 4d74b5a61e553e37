//! The waker of a program that runs the hub in a loop of its own, and the trap that wakes it.
//!
//! Between two iterations the hub is not driven: only main runs. Main may queue an item then, or
//! start a timer, and the program must learn of it. A check at each push would cost every switch.
//! So the end of an iteration *arms* the ring of the run queue and the timers: the ring behaves as
//! if it were full, and the timers compare each deadline with the earliest one. The first push
//! comes to the slow path of a full ring, which disarms everything and wakes the driver.
//!
//! A wait of main drives the hub, so nothing is armed during it. While no driver is set, nothing is
//! ever armed.

use std::cell::Cell;
use std::task::Waker;

use super::unwind::guard_drop;
use super::{Core, current};
use crate::scheduler::report::ErrorContext;

/// The waker of the program that drives the hub.
#[derive(Default)]
pub(super) struct Driver {
    waker: Cell<Option<Waker>>,
    /// `true` if the waker must be woken when something is queued: the hub is not driven, and the
    /// program expects nothing from it before the next deadline.
    armed: Cell<bool>,
}

impl Driver {
    /// Runs `f`, which must not use the waker's cell, on the waker.
    fn with<R>(&self, f: impl FnOnce(Option<&Waker>) -> R) -> R {
        let waker = self.waker.take();
        let result = f(waker.as_ref());
        self.waker.set(waker);
        result
    }

    /// Returns `true` if a waker is set.
    pub(super) fn is_set(&self) -> bool {
        self.with(|waker| waker.is_some())
    }

    /// Drops the waker, which is a user value.
    pub(super) fn close(&self) {
        self.armed.set(false);
        guard_drop(self.waker.take());
    }
}

/// Wakes the driver of this thread's hub, if it is armed.
pub(super) fn alert() {
    if let Some(core) = current::try_core() {
        core.alert_driver();
    }
}

impl Core {
    /// Sets the waker of the program that drives the hub. A new waker is woken at once if something
    /// is queued already. Only main may call this.
    pub(crate) fn set_driver(&self, waker: Option<Waker>) {
        let same = self.driver.with(|old| match (old, &waker) {
            (Some(old), Some(new)) => old.will_wake(new),
            (None, None) => true,
            _ => false,
        });
        if same {
            return;
        }
        self.disarm_driver();
        self.main.set_driven(waker.is_some());
        let old = self.driver.waker.replace(waker);
        self.settle_driver();
        // Last, since its destructor is user code.
        drop(old);
    }

    /// Arms the driver, or wakes it at once if the hub has something to do.
    fn settle_driver(&self) {
        if self.has_work() {
            self.wake_driver();
        } else {
            self.arm_driver();
        }
    }

    /// Makes the driver be woken when something is queued or an earlier timer is started. Nothing may
    /// be queued.
    pub(super) fn arm_driver(&self) {
        if self.driver.is_set() {
            self.driver.armed.set(true);
            self.queue.arm();
            self.timers.arm(self.timers.next_deadline().unwrap_or(u64::MAX));
        }
    }

    /// Undoes [`arm_driver`](Core::arm_driver).
    pub(super) fn disarm_driver(&self) {
        if self.driver.armed.replace(false) {
            self.queue.disarm();
            self.timers.disarm();
        }
    }

    /// Wakes the driver if it is armed.
    #[inline]
    pub(super) fn alert_driver(&self) {
        if self.driver.armed.get() {
            self.wake_driver();
        }
    }

    /// Wakes the driver. The waker is user code and runs under the rules of the hub.
    #[cold]
    #[inline(never)]
    fn wake_driver(&self) {
        self.disarm_driver();
        let Some(waker) = self.driver.waker.take() else { return };
        self.as_hub(|| self.call(|| ErrorContext::Callback, || waker.wake_by_ref()));
        // Only main sets a driver, and main does not run under the rules of the hub.
        self.driver.waker.set(Some(waker));
    }

    /// Ends a wait of main. An iteration tells the program itself what is left, unless an exception
    /// ends it: `interrupted`.
    #[cold]
    #[inline(never)]
    pub(super) fn end_driving(&self, interrupted: bool) {
        if self.driver.is_set() && (interrupted || !self.main.polls_once()) {
            self.settle_driver();
        }
    }
}
