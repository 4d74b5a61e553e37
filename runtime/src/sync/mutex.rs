//! A lock around a value.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};

use ramie_hub::Limit;
use ramie_hub::Semaphore;

/// A lock around a value, held across waits: `std::sync::Mutex`'s counterpart. It is never poisoned.
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
///         yield_now(); // nobody else gets in
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

/// Gives access to the value; releases the lock when it is dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    /// Borrowed exactly while the lock is held. Dropped first, and the release after it lets nobody run.
    value: RefMut<'a, T>,
    _lock: Release<'a>,
    mutex: &'a Mutex<T>,
}

/// Gives the permit back.
struct Release<'a>(&'a Semaphore);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl<T> Mutex<T> {
    /// A lock that is free.
    pub fn new(value: T) -> Self {
        Mutex { free: Semaphore::new(1), value: RefCell::new(value) }
    }

    /// The value, as nobody can hold the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting until the lock is free. Lets others run only if it waits.
    ///
    /// A greenlet that locks again what it holds waits for itself: see [`RLock`](super::RLock).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits leaves the lock to others.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.free.acquire();
        self.guard()
    }

    /// Locks if the lock is free. Does not let others run.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.free.try_acquire().then(|| self.guard())
    }

    /// Locks, waiting at most that long.
    pub fn lock_timeout(&self, timeout: impl Into<Limit>) -> Option<MutexGuard<'_, T>> {
        self.free.acquire_timeout(timeout).then(|| self.guard())
    }

    fn guard(&self) -> MutexGuard<'_, T> {
        let lock = Release(&self.free);
        MutexGuard { value: self.value.borrow_mut(), _lock: lock, mutex: self }
    }

    /// Whether somebody holds the lock.
    pub fn is_locked(&self) -> bool {
        self.free.locked()
    }

    /// The value, without locking: a mutable reference shows that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Releases the lock and returns it, for who will lock it again.
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
