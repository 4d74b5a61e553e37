//! gevent's other semaphores: one that notices a release too many, and one that never blocks.

use std::error::Error;
use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use ramie_hub::{LinkId, Semaphore, Waitable};

/// A [`Semaphore`] that refuses to be released more often than it was acquired. Clones are the same semaphore.
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

/// A [`BoundedSemaphore`] was released more often than acquired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverRelease;

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore was released too many times")
    }
}

impl Error for OverRelease {}

impl BoundedSemaphore {
    /// A semaphore with that many permits, and never more.
    pub fn new(permits: usize) -> Self {
        BoundedSemaphore { semaphore: Semaphore::new(permits), permits }
    }

    /// How many permits are free.
    pub fn counter(&self) -> usize {
        self.semaphore.counter()
    }

    /// Whether no permit is free.
    pub fn locked(&self) -> bool {
        self.semaphore.locked()
    }

    /// Takes a permit; see [`Semaphore::acquire`].
    pub fn acquire(&self) {
        self.semaphore.acquire();
    }

    /// Takes a permit if one is free.
    pub fn try_acquire(&self) -> bool {
        self.semaphore.try_acquire()
    }

    /// Takes a permit, waiting at most that long; says whether it got one.
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.semaphore.acquire_timeout(timeout)
    }

    /// Takes a permit, waiting at most until then; says whether it got one.
    pub fn acquire_deadline(&self, deadline: Instant) -> bool {
        self.semaphore.acquire_deadline(deadline)
    }

    /// Waits until a permit is free, without taking it; returns how many are free.
    pub fn wait(&self) -> usize {
        self.semaphore.wait()
    }

    /// Waits at most that long until a permit is free, without taking it; returns how many are free.
    pub fn wait_timeout(&self, timeout: Duration) -> usize {
        self.semaphore.wait_timeout(timeout)
    }

    /// Gives a permit back and returns how many are free now.
    ///
    /// # Errors
    ///
    /// [`OverRelease`] when all are free already; nothing changes.
    pub fn release(&self) -> Result<usize, OverRelease> {
        if self.counter() >= self.permits {
            return Err(OverRelease);
        }
        Ok(self.semaphore.release())
    }

    /// Takes a permit as [`acquire`](BoundedSemaphore::acquire) does. It is given back when what this returns is dropped, so a
    /// greenlet that is killed or unwinds keeps none.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no permit and leaves the line.
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

    /// Takes a permit, to be given back when it is dropped, if one is free. Does not let others run.
    pub fn try_permit(&self) -> Option<BoundedSemaphorePermit<'_>> {
        self.try_acquire().then(|| BoundedSemaphorePermit { semaphore: self })
    }

    /// Takes a permit, to be given back when it is dropped, waiting at most that long.
    pub fn permit_timeout(&self, timeout: Duration) -> Option<BoundedSemaphorePermit<'_>> {
        self.acquire_timeout(timeout).then(|| BoundedSemaphorePermit { semaphore: self })
    }

    /// Takes a permit, to be given back when it is dropped, waiting at most until then.
    pub fn permit_deadline(&self, deadline: Instant) -> Option<BoundedSemaphorePermit<'_>> {
        self.acquire_deadline(deadline).then(|| BoundedSemaphorePermit { semaphore: self })
    }

    /// Runs `f` with a permit, which is given back however `f` ends, unless all are free by then.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let _permit = self.permit();
        f()
    }
}

/// A permit of a [`BoundedSemaphore`], which is given back when this is dropped, unless all are free by then. Made by [`BoundedSemaphore::permit`] and its kin.
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct BoundedSemaphorePermit<'a> {
    semaphore: &'a BoundedSemaphore,
}

impl BoundedSemaphorePermit<'_> {
    /// Keeps the permit taken: whoever calls [`BoundedSemaphore::release`] later gives it back.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for BoundedSemaphorePermit<'_> {
    fn drop(&mut self) {
        // One too many may have been released meanwhile: the bound holds all the same.
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

/// A semaphore that never blocks: for code that takes one and is to run without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DummySemaphore;

impl DummySemaphore {
    /// Always one.
    pub fn counter(&self) -> usize {
        1
    }

    /// Never.
    pub fn locked(&self) -> bool {
        false
    }

    /// Does nothing.
    pub fn acquire(&self) {}

    /// Always succeeds.
    pub fn try_acquire(&self) -> bool {
        true
    }

    /// Always succeeds, at once.
    pub fn acquire_timeout(&self, _timeout: Duration) -> bool {
        true
    }

    /// Returns one, at once.
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
