//! A counting semaphore for any thread.

use std::fmt;
use std::mem::ManuallyDrop;

use ramie_hub::shared::{WaitQueue, Waits};
use ramie_hub::{Lane, Limit, LinkId, Waitable};

#[derive(Debug)]
struct Permits(usize);

impl Permits {
    fn take(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

impl Waits for Permits {
    fn ready(&self, _lane: Lane) -> usize {
        self.0
    }
}

/// A counting semaphore: the thread-safe counterpart of
/// [`sync::Semaphore`](crate::sync::Semaphore). Clones are the same semaphore.
///
/// A call that finds a free permit takes it at once, ahead of the waiters. Waiters are notified in
/// order. A waiter takes its permit itself when it runs, so neither a kill nor the end of a hub can
/// lose a free permit.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::shared::Semaphore;
///
/// let free = Semaphore::new(0);
/// thread::spawn({
///     let free = free.clone();
///     move || free.release()
/// });
/// free.acquire();
/// assert!(!free.try_acquire());
/// ```
#[derive(Clone)]
pub struct Semaphore {
    queue: WaitQueue<Permits>,
}

impl Semaphore {
    /// Creates a semaphore with `permits` permits.
    pub fn new(permits: usize) -> Self {
        Semaphore { queue: WaitQueue::new(Permits(permits)) }
    }

    /// Returns the number of free permits.
    pub fn counter(&self) -> usize {
        self.queue.lock().0
    }

    /// Returns `true` if no permit is free.
    pub fn locked(&self) -> bool {
        self.counter() == 0
    }

    /// Acquires a permit if one is free. Does not let other greenlets run.
    pub fn try_acquire(&self) -> bool {
        self.queue.lock().take().is_some()
    }

    /// Acquires a permit, waiting for one if none is free. Lets other greenlets run only if it
    /// waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait acquires no permit and leaves the queue. A kill or a
    /// timeout between this call and [`release`](Semaphore::release) leaves the permit taken:
    /// [`permit`](Semaphore::permit) releases it in any case.
    pub fn acquire(&self) {
        self.acquire_for(Limit::Never);
    }

    /// Acquires a permit, waiting at most `timeout`. Returns `true` if it was acquired. A timeout
    /// of zero waits for one iteration of the loop.
    pub fn acquire_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.acquire_for(timeout.into())
    }

    /// Returns the number of waiters and links that are not yet notified.
    pub fn linkcount(&self) -> usize {
        self.queue.lock().waiting().iter().sum()
    }

    fn acquire_for(&self, limit: Limit) -> bool {
        self.queue.wait(Lane::First, limit, "shared::Semaphore::acquire", |permits, _| permits.take()).is_ok()
    }

    /// Releases a permit and returns the number of free permits. Any thread may release any permit.
    /// Does not let other greenlets run.
    ///
    /// # Panics
    ///
    /// Panics if the counter would exceed `usize::MAX`.
    pub fn release(&self) -> usize {
        let mut permits = self.queue.lock();
        permits.0 = permits.0.checked_add(1).expect("the number of permits must not exceed usize::MAX");
        permits.0
    }

    /// Acquires a permit like [`acquire`](Semaphore::acquire). The permit is released when the
    /// returned guard is dropped, so a greenlet that is killed or unwinds keeps none.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait acquires no permit and leaves the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::shared::Semaphore;
    ///
    /// let semaphore = Semaphore::new(2);
    /// let permit = semaphore.permit();
    /// assert_eq!(semaphore.counter(), 1);
    /// drop(permit);
    /// assert_eq!(semaphore.counter(), 2);
    /// ```
    pub fn permit(&self) -> SemaphorePermit<'_> {
        self.acquire();
        SemaphorePermit { semaphore: self }
    }

    /// Acquires a permit with a guard, if one is free. Does not let other greenlets run.
    pub fn try_permit(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire().then(|| SemaphorePermit { semaphore: self })
    }

    /// Acquires a permit with a guard, waiting at most `timeout`.
    pub fn permit_timeout(&self, timeout: impl Into<Limit>) -> Option<SemaphorePermit<'_>> {
        self.acquire_timeout(timeout).then(|| SemaphorePermit { semaphore: self })
    }

    /// Runs `f` with a permit. The permit is released however `f` ends.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let _permit = self.permit();
        f()
    }
}

/// A guard that releases a permit of a [`Semaphore`] when it is dropped, on any thread. Returned by
/// [`Semaphore::permit`] and its variants.
#[must_use = "the permit is released when the guard is dropped"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
}

impl SemaphorePermit<'_> {
    /// Keeps the permit taken. A later call of [`Semaphore::release`] releases it.
    pub fn forget(self) {
        let _kept = ManuallyDrop::new(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SemaphorePermit").field(&self.semaphore).finish()
    }
}

impl Waitable for Semaphore {
    fn is_ready(&self) -> bool {
        !self.locked()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("counter", &self.counter()).finish_non_exhaustive()
    }
}
