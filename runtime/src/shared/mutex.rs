//! A lock around a value, for any thread.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{self, PoisonError};

use ramie_hub::Limit;

use super::semaphore::Semaphore;

/// A lock around a value, held across waits: [`sync::Mutex`](crate::sync::Mutex) for sharing. It is never poisoned.
///
/// Unlike with `std::sync::Mutex`, a greenlet that has to wait for it does not stop its thread, so its holder may wait.
///
/// # Examples
///
/// ```
/// use std::{sync::Arc, thread, time::Duration};
/// use ramie::{shared::Mutex, sleep};
///
/// let total = Arc::new(Mutex::new(0));
/// let threads: Vec<_> = (0..4).map(|_| {
///     let total = total.clone();
///     thread::spawn(move || {
///         let mut total = total.lock();
///         let before = *total;
///         sleep(Duration::from_millis(1)); // nobody else gets in
///         *total = before + 1;
///     })
/// }).collect();
/// for thread in threads {
///     thread.join().unwrap();
/// }
/// assert_eq!(*total.lock(), 4);
/// ```
///
/// A guard stays on the thread that locked:
///
/// ```compile_fail,E0277
/// fn sends<T: Send>() {}
/// sends::<ramie::shared::MutexGuard<'_, u8>>();
/// ```
pub struct Mutex<T: ?Sized> {
    free: Semaphore,
    /// Locked exactly while the permit is held, so nobody ever waits for it.
    value: sync::Mutex<T>,
}

/// Gives access to the value; releases the lock when it is dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    /// Dropped first: whoever gets the permit finds the value free.
    value: sync::MutexGuard<'a, T>,
    _lock: Release<'a>,
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
        Mutex { free: Semaphore::new(1), value: sync::Mutex::new(value) }
    }

    /// The value, as nobody can hold the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting until the lock is free. Lets others run only if it waits.
    ///
    /// Who locks again what it holds waits for itself.
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
        // Poisoned by an unwinding that went past a guard, which means nothing here.
        MutexGuard { value: self.value.lock().unwrap_or_else(PoisonError::into_inner), _lock: lock }
    }

    /// Whether somebody holds the lock.
    pub fn is_locked(&self) -> bool {
        self.free.locked()
    }

    /// The value, without locking: a mutable reference shows that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().unwrap_or_else(PoisonError::into_inner)
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
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
