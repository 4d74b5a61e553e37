//! A mutual exclusion lock around a value.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};

use ramie_hub::Limit;
use ramie_hub::Semaphore;

/// A mutual exclusion lock that may be held across waits: the counterpart of `std::sync::Mutex`. It
/// is never poisoned.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ramie::{joinall, spawn, sync::Mutex, yield_now};
///
/// let total = Rc::new(Mutex::new(0));
/// let greenlets: Vec<_> = (0..10).map(|_| {
///     let total = total.clone();
///     spawn(move || {
///         let mut total = total.lock();
///         let before = *total;
///         yield_now(); // no other greenlet gets the lock
///         *total = before + 1;
///     })
/// }).collect();
/// joinall(&greenlets);
/// assert_eq!(*total.lock(), 10);
/// ```
pub struct Mutex<T: ?Sized> {
    free: Semaphore,
    value: RefCell<T>,
}

/// A guard that gives access to the value and releases the lock when it is dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    /// Borrowed exactly while the lock is held. Dropped before the lock is released; the release
    /// lets no other greenlet run.
    value: RefMut<'a, T>,
    _lock: Release<'a>,
    mutex: &'a Mutex<T>,
}

/// Returns the permit on drop.
struct Release<'a>(&'a Semaphore);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    pub fn new(value: T) -> Self {
        Mutex { free: Semaphore::new(1), value: RefCell::new(value) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting until the lock is free. Lets other greenlets run only if it waits.
    ///
    /// A greenlet that locks a mutex that it already holds deadlocks: see [`RLock`](super::RLock).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait does not take the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.free.acquire();
        self.guard()
    }

    /// Locks if the lock is free. Does not let other greenlets run.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.free.try_acquire().then(|| self.guard())
    }

    /// Locks, waiting at most `timeout`.
    pub fn lock_timeout(&self, timeout: impl Into<Limit>) -> Option<MutexGuard<'_, T>> {
        self.free.acquire_timeout(timeout).then(|| self.guard())
    }

    fn guard(&self) -> MutexGuard<'_, T> {
        let lock = Release(&self.free);
        MutexGuard { value: self.value.borrow_mut(), _lock: lock, mutex: self }
    }

    /// Returns `true` if the lock is held.
    pub fn is_locked(&self) -> bool {
        self.free.locked()
    }

    /// Returns the value without locking: the mutable reference proves that the lock is not held.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Releases the lock and returns the mutex, so that the caller can lock it again.
    pub(super) fn unlock(self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(value) => debug.field("value", &&*value),
            None => debug.field("value", &format_args!("<locked>")),
        };
        debug.finish()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
