//! A condition variable: waiting for a change of the value that a lock guards.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use ramie_hub::{Lane, Limit, Turn, WaitQueue, Waits};

use super::local::MutexGuard;

/// The number of waiters to notify.
#[derive(Debug)]
struct Signals(Cell<usize>);

impl Waits for Signals {
    fn is_ready(&self) -> bool {
        self.0.get() > 0
    }

    fn kind(&self) -> &'static str {
        "condition variable"
    }
}

/// A condition variable for a [`Mutex`](super::Mutex): the counterpart of `std::sync::Condvar`.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ramie::{spawn, sync::{Condvar, Mutex}};
///
/// let shared = Rc::new((Mutex::new(false), Condvar::new()));
/// let waiter = spawn({
///     let shared = shared.clone();
///     move || {
///         let ready = shared.1.wait_while(shared.0.lock(), |ready| !*ready);
///         *ready
///     }
/// });
/// *shared.0.lock() = true;
/// shared.1.notify_one();
/// assert!(waiter.get().unwrap());
/// ```
pub struct Condvar {
    queue: WaitQueue<Signals>,
}

/// The result of a wait with a limit on a [`Condvar`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Returns `true` if the wait timed out.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// Guards a waiter that leaves. On drop, signals beyond the number of remaining waiters are
/// discarded.
struct Leave<'a>(&'a Condvar);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let signals = &self.0.queue.0;
        signals.set(signals.get().min(self.0.queue.linkcount()));
    }
}

/// Guards a notification that is not used yet. If the notified waiter ends while it waits for the
/// lock, the notification is passed on to the next waiter.
struct HandOn<'a>(Option<&'a Condvar>);

impl Drop for HandOn<'_> {
    fn drop(&mut self) {
        if let Some(condvar) = self.0 {
            condvar.notify_one();
        }
    }
}

impl Condvar {
    /// Creates a condition variable.
    pub fn new() -> Self {
        Condvar { queue: WaitQueue::new(Signals(Cell::new(0))) }
    }

    /// Releases the lock, waits for a notification, and locks again. Lets other greenlets run.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait, or while it waits for the lock, unwinds with the lock
    /// released. A notification that was already received is passed on to the next waiter.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_for(guard, Limit::Never).0
    }

    /// Waits while `condition` returns `true`. Lets other greenlets run if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait`](Condvar::wait).
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        let mut guard = guard;
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Waits at most `timeout` for a notification. The time to lock again is not limited. Lets
    /// other greenlets run.
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait`](Condvar::wait).
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: impl Into<Limit>,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        self.wait_for(guard, timeout.into())
    }

    /// Waits at most `timeout`, while `condition` returns `true`. Lets other greenlets run if it
    /// waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait`](Condvar::wait).
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let limit = Limit::After(timeout).fixed();
        let mut guard = guard;
        let mut late = WaitTimeoutResult(false);
        while condition(&mut guard) {
            if late.timed_out() {
                return (guard, late);
            }
            (guard, late) = self.wait_for(guard, limit);
        }
        (guard, WaitTimeoutResult(false))
    }

    fn wait_for<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Limit,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let mutex = guard.unlock();
        let told = {
            let _leave = Leave(self);
            let take =
                |signals: &Signals, turn: Turn| turn.notified.then(|| signals.0.set(signals.0.get() - 1));
            self.queue.wait(Lane::First, limit, "Condvar::wait", take).is_ok()
        };
        let mut hand_on = HandOn(told.then_some(self));
        let guard = mutex.lock();
        hand_on.0 = None;
        (guard, WaitTimeoutResult(!told))
    }

    /// Queues the wake-up of the first waiter that has no wake-up queued yet. Does not let other
    /// greenlets run.
    pub fn notify_one(&self) {
        self.signal(self.queue.0.get() + 1);
    }

    /// Queues the wake-up of all waiters. Does not let other greenlets run.
    pub fn notify_all(&self) {
        self.signal(usize::MAX);
    }

    fn signal(&self, signals: usize) {
        self.queue.0.set(signals.min(self.queue.linkcount()));
        self.queue.check();
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("waiting", &self.queue.linkcount()).finish()
    }
}
