//! The other semaphores of gevent: one that detects a surplus release, and one that never blocks.

use std::error::Error;
use std::fmt;
use std::mem::ManuallyDrop;

use ramie_hub::Limit;
use ramie_hub::{LinkId, Semaphore, Waitable};

/// A [`Semaphore`] that refuses to be released more often than it was acquired. Clones are the same
/// semaphore.
///
/// # Examples
///
/// ```
/// use ramie::sync::BoundedSemaphore;
///
/// let semaphore = BoundedSemaphore::new(1);
/// semaphore.acquire();
/// assert!(semaphore.release().is_ok());
/// assert!(semaphore.release().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct BoundedSemaphore {
    semaphore: Semaphore,
    permits: usize,
}

/// The error of releasing a [`BoundedSemaphore`] more often than it was acquired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverRelease;

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore was released too many times")
    }
}

impl Error for OverRelease {}

impl BoundedSemaphore {
    /// Creates a semaphore with `permits` permits, which is also its maximum.
    pub fn new(permits: usize) -> Self {
        BoundedSemaphore { semaphore: Semaphore::new(permits), permits }
    }

    /// Returns the number of free permits.
    pub fn counter(&self) -> usize {
        self.semaphore.counter()
    }

    /// Returns `true` if no permit is free.
    pub fn locked(&self) -> bool {
        self.semaphore.locked()
    }

    /// Acquires a permit; see [`Semaphore::acquire`].
    pub fn acquire(&self) {
        self.semaphore.acquire();
    }

    /// Acquires a permit if one is free.
    pub fn try_acquire(&self) -> bool {
        self.semaphore.try_acquire()
    }

    /// Acquires a permit, waiting at most `timeout`. Returns `true` if it was acquired. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`Semaphore::acquire`].
    pub fn acquire_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.semaphore.acquire_timeout(timeout)
    }

    /// Waits until a permit is free, without acquiring it. Returns the number of free permits. Lets
    /// other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the queue.
    pub fn wait(&self) -> usize {
        self.semaphore.wait()
    }

    /// Waits at most `timeout` until a permit is free, without acquiring it. Returns the number of
    /// free permits. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the queue.
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> usize {
        self.semaphore.wait_timeout(timeout)
    }

    /// Releases a permit and returns the number of free permits.
    ///
    /// # Errors
    ///
    /// Returns [`OverRelease`] if all permits are already free. Nothing changes then.
    pub fn release(&self) -> Result<usize, OverRelease> {
        if self.counter() >= self.permits {
            return Err(OverRelease);
        }
        Ok(self.semaphore.release())
    }

    /// Acquires a permit like [`acquire`](BoundedSemaphore::acquire). The permit is released when
    /// the returned guard is dropped, so a greenlet that is killed or unwinds keeps none.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait acquires no permit and leaves the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::sync::BoundedSemaphore;
    ///
    /// let semaphore = BoundedSemaphore::new(2);
    /// let permit = semaphore.permit();
    /// assert_eq!(semaphore.counter(), 1);
    /// drop(permit);
    /// assert_eq!(semaphore.counter(), 2);
    /// ```
    pub fn permit(&self) -> BoundedSemaphorePermit<'_> {
        self.acquire();
        BoundedSemaphorePermit { semaphore: self }
    }

    /// Acquires a permit with a guard, if one is free. Does not let other greenlets run.
    pub fn try_permit(&self) -> Option<BoundedSemaphorePermit<'_>> {
        self.try_acquire().then(|| BoundedSemaphorePermit { semaphore: self })
    }

    /// Acquires a permit with a guard, waiting at most `timeout`. Lets other greenlets run only if
    /// it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`permit`](BoundedSemaphore::permit).
    pub fn permit_timeout(&self, timeout: impl Into<Limit>) -> Option<BoundedSemaphorePermit<'_>> {
        self.acquire_timeout(timeout).then(|| BoundedSemaphorePermit { semaphore: self })
    }

    /// Runs `f` with a permit. The permit is released however `f` ends, unless all permits are free
    /// by then.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let _permit = self.permit();
        f()
    }
}

/// A guard that releases a permit of a [`BoundedSemaphore`] when it is dropped, unless all permits
/// are free by then. Returned by [`BoundedSemaphore::permit`] and its variants.
#[must_use = "the permit is released when the guard is dropped"]
pub struct BoundedSemaphorePermit<'a> {
    semaphore: &'a BoundedSemaphore,
}

impl BoundedSemaphorePermit<'_> {
    /// Keeps the permit taken. A later call of [`BoundedSemaphore::release`] releases it.
    pub fn forget(self) {
        let _kept = ManuallyDrop::new(self);
    }
}

impl Drop for BoundedSemaphorePermit<'_> {
    fn drop(&mut self) {
        // A permit too many may have been released by now: the bound holds all the same.
        let _ = self.semaphore.release();
    }
}

impl fmt::Debug for BoundedSemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundedSemaphorePermit").field(&self.semaphore).finish()
    }
}

impl Waitable for BoundedSemaphore {
    fn is_ready(&self) -> bool {
        self.semaphore.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.semaphore.rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        self.semaphore.unlink(id);
    }
}

/// A semaphore that never blocks, for code that expects a semaphore but must not wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DummySemaphore;

impl DummySemaphore {
    /// Returns one.
    pub fn counter(&self) -> usize {
        1
    }

    /// Returns `false`.
    pub fn locked(&self) -> bool {
        false
    }

    /// Does nothing.
    pub fn acquire(&self) {}

    /// Returns `true`.
    pub fn try_acquire(&self) -> bool {
        true
    }

    /// Returns `true` at once.
    pub fn acquire_timeout(&self, _timeout: impl Into<Limit>) -> bool {
        true
    }

    /// Returns one at once.
    pub fn wait(&self) -> usize {
        1
    }

    /// Does nothing and returns one.
    pub fn release(&self) -> usize {
        1
    }

    /// Runs `f`.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        f()
    }
}
