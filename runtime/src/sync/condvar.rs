//! Waiting for a change of what a lock guards.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use ramie_hub::{Lane, Limit, WaitQueue, Waits};

use super::mutex::MutexGuard;

/// How many of those who wait are to be told.
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

/// A place to wait for a change under a [`Mutex`](super::Mutex): `std::sync::Condvar`'s counterpart.
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

/// Whether a wait on a [`Condvar`] ended because its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// A waiter that leaves: a signal for which nobody is left goes with it.
struct Leave<'a>(&'a Condvar);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let signals = &self.0.queue.0;
        signals.set(signals.get().min(self.0.queue.linkcount()));
    }
}

/// A notification that is not used yet: it goes to the next in line if its waiter is ended while it waits for the lock.
struct HandOn<'a>(Option<&'a Condvar>);

impl Drop for HandOn<'_> {
    fn drop(&mut self) {
        if let Some(condvar) = self.0 {
            condvar.notify_one();
        }
    }
}

impl Condvar {
    /// A condition variable on which nobody waits.
    pub fn new() -> Self {
        Condvar { queue: WaitQueue::new(Signals(Cell::new(0))) }
    }

    /// Releases the lock, waits until it is notified, and locks again. Others run meanwhile.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits, also for the lock, unwinds with the lock released; a notification goes to the
    /// next in line.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_for(guard, Limit::Never).0
    }

    /// Waits as long as `condition` holds.
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

    /// Waits at most that long for a notification; the time to lock again comes on top.
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: impl Into<Limit>,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        self.wait_for(guard, timeout.into())
    }

    /// Waits at most that long, and as long as `condition` holds.
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
            let told = self.queue.wait(Lane::First, limit, "Condvar::wait").is_ok();
            if told {
                self.queue.0.set(self.queue.0.get() - 1);
            }
            told
        };
        let mut hand_on = HandOn(told.then_some(self));
        let guard = mutex.lock();
        hand_on.0 = None;
        (guard, WaitTimeoutResult(!told))
    }

    /// Queues the wake-up of the first in line that none is queued for yet. Does not let others run.
    pub fn notify_one(&self) {
        self.signal(self.queue.0.get() + 1);
    }

    /// Queues the wake-up of everybody in line. Does not let others run.
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
