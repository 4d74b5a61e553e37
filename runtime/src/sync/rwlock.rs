//! A reader-writer lock around a value.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::ops::DerefMut;

use ramie_hub::{Lane, Limit, Turn, WaitQueue, Waits, WakePolicy};

use super::guard::{guard, lock};

const WRITERS: Lane = Lane::First;
const READERS: Lane = Lane::Second;

struct State {
    readers: Cell<usize>,
    writing: Cell<bool>,
    /// The number of waiting readers that go before the next writer: the readers that were waiting
    /// when the last writer released the lock.
    admitted: Cell<usize>,
}

impl Waits for State {
    const RULE: WakePolicy = WakePolicy::Ordered;

    fn is_ready(&self) -> bool {
        !self.writing.get()
    }

    fn next_lane(&self, [writers, readers]: [usize; 2], _last: Option<Lane>) -> Option<Lane> {
        if self.writing.get() {
            return None;
        }
        let readers_turn = readers > 0 && (self.admitted.get() > 0 || writers == 0);
        if readers_turn {
            return Some(READERS);
        }
        (writers > 0 && self.readers.get() == 0).then_some(WRITERS)
    }

    fn kind(&self) -> &'static str {
        "rwlock"
    }
}

/// A lock that allows many readers or one writer: the counterpart of `std::sync::RwLock`. It is
/// never poisoned.
///
/// A reader that arrives while a writer waits is queued behind it. When a writer releases the lock,
/// the readers that are waiting by then go first. Neither side can starve the other. A greenlet
/// that holds a read lock must not acquire another one: it deadlocks if a writer waits.
///
/// # Examples
///
/// ```
/// use ramie::sync::RwLock;
///
/// let lock = RwLock::new(5);
/// {
///     let (one, two) = (lock.read(), lock.read());
///     assert_eq!(*one + *two, 10);
/// }
/// *lock.write() += 1;
/// assert_eq!(lock.into_inner(), 6);
/// ```
pub struct RwLock<T: ?Sized> {
    queue: WaitQueue<State>,
    value: RefCell<T>,
}

/// A guard that gives shared access to the value and releases the lock when it is dropped.
pub struct RwLockReadGuard<'a, T: ?Sized> {
    value: Ref<'a, T>,
    _lock: StopReading<'a>,
}

/// A guard that gives exclusive access to the value and releases the lock when it is dropped.
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    value: RefMut<'a, T>,
    _lock: StopWriting<'a>,
}

struct StopReading<'a>(&'a WaitQueue<State>);

impl Drop for StopReading<'_> {
    fn drop(&mut self) {
        self.0.readers.set(self.0.readers.get() - 1);
        self.0.check();
    }
}

struct StopWriting<'a>(&'a WaitQueue<State>);

impl Drop for StopWriting<'_> {
    fn drop(&mut self) {
        let [_, readers] = self.0.waiting();
        self.0.writing.set(false);
        self.0.admitted.set(readers);
        self.0.check();
    }
}

/// Guards a waiter. If the waiter leaves without a notification, its share of `admitted` is
/// cancelled and the waiters it held back are notified.
struct LeaveLane<'a> {
    queue: &'a WaitQueue<State>,
    waits: bool,
}

impl LeaveLane<'_> {
    fn leave(&mut self) {
        if std::mem::take(&mut self.waits) {
            let [_, readers] = self.queue.waiting();
            self.queue.admitted.set(self.queue.admitted.get().min(readers));
            self.queue.check();
        }
    }
}

impl Drop for LeaveLane<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> RwLock<T> {
    /// Creates an unlocked lock.
    pub fn new(value: T) -> Self {
        let state = State { readers: Cell::new(0), writing: Cell::new(false), admitted: Cell::new(0) };
        RwLock { queue: WaitQueue::new(state), value: RefCell::new(value) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, waiting while a writer holds the lock or waits for it. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait does not take the lock.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.read_for(Limit::Never).unwrap_or_else(|| unreachable!("a wait without limit ends with the lock"))
    }

    /// Locks for reading if this needs no wait. Does not let other greenlets run.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let [writers, _] = self.queue.waiting();
        (!self.queue.writing.get() && writers == 0).then(|| self.reading())
    }

    /// Locks for reading, waiting at most `timeout`. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`read`](RwLock::read).
    pub fn read_timeout(&self, timeout: impl Into<Limit>) -> Option<RwLockReadGuard<'_, T>> {
        self.read_for(timeout.into())
    }

    /// Locks for writing, waiting while any reader or writer holds the lock. Lets other greenlets
    /// run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait does not take the lock.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.write_for(Limit::Never)
            .unwrap_or_else(|| unreachable!("a wait without limit ends with the lock"))
    }

    /// Locks for writing if this needs no wait. Does not let other greenlets run.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let [_, readers] = self.queue.waiting();
        // Otherwise a writer that locks again at once would starve the readers that are about to be
        // notified.
        let free = !self.queue.writing.get() && self.queue.readers.get() == 0;
        (free && self.queue.admitted.get().min(readers) == 0).then(|| self.writing())
    }

    /// Locks for writing, waiting at most `timeout`. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`write`](RwLock::write).
    pub fn write_timeout(&self, timeout: impl Into<Limit>) -> Option<RwLockWriteGuard<'_, T>> {
        self.write_for(timeout.into())
    }

    fn read_for(&self, limit: Limit) -> Option<RwLockReadGuard<'_, T>> {
        self.wait_for(READERS, limit, "RwLock::read", |turn| {
            if !turn.notified {
                return self.try_read();
            }
            (!self.queue.writing.get()).then(|| {
                self.queue.admitted.set(self.queue.admitted.get().saturating_sub(1));
                self.reading()
            })
        })
    }

    fn write_for(&self, limit: Limit) -> Option<RwLockWriteGuard<'_, T>> {
        self.wait_for(WRITERS, limit, "RwLock::write", |_| self.try_write())
    }

    fn wait_for<G>(
        &self,
        lane: Lane,
        limit: Limit,
        reason: &'static str,
        attempt: impl Fn(Turn) -> Option<G>,
    ) -> Option<G> {
        let mut lane_guard = LeaveLane { queue: &self.queue, waits: false };
        let locked = self.queue.wait(lane, limit, reason, |_, turn| {
            if turn.last {
                lane_guard.leave();
            }
            let guard = attempt(turn);
            lane_guard.waits = guard.is_none() && !turn.last;
            guard
        });
        locked.ok()
    }

    fn reading(&self) -> RwLockReadGuard<'_, T> {
        self.queue.readers.set(self.queue.readers.get() + 1);
        let lock = StopReading(&self.queue);
        RwLockReadGuard { value: self.value.borrow(), _lock: lock }
    }

    fn writing(&self) -> RwLockWriteGuard<'_, T> {
        self.queue.writing.set(true);
        let lock = StopWriting(&self.queue);
        RwLockWriteGuard { value: self.value.borrow_mut(), _lock: lock }
    }

    /// Returns the value without locking: the mutable reference proves that the lock is not held.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

guard!([T: ?Sized] RwLockReadGuard<'_, T>);
guard!([T: ?Sized] RwLockWriteGuard<'_, T>);
lock!([] RwLock<T>, "RwLock", try_read);
