//! A counter of permits, for any thread.

use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

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

/// A counter of permits: [`sync::Semaphore`](crate::sync::Semaphore) for sharing. Clones are the same semaphore.
///
/// Whoever asks while a permit is free takes it at once, ahead of those who wait; those who wait are told in order. A
/// permit is never handed to somebody who does not run: neither a kill nor the end of a hub can lose one that is free.
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
    /// A semaphore with that many permits.
    pub fn new(permits: usize) -> Self {
        Semaphore { queue: WaitQueue::new(Permits(permits)) }
    }

    /// How many permits are free.
    pub fn counter(&self) -> usize {
        self.queue.lock().0
    }

    /// Whether no permit is free.
    pub fn locked(&self) -> bool {
        self.counter() == 0
    }

    /// Takes a permit if one is free. Does not let others run.
    pub fn try_acquire(&self) -> bool {
        self.queue.lock().take().is_some()
    }

    /// Takes a permit, waiting for one if none is free. Lets others run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no permit and leaves the line. One that comes between this and
    /// [`release`](Semaphore::release) leaves the permit taken: [`permit`](Semaphore::permit) gives it back in any case.
    pub fn acquire(&self) {
        self.acquire_for(Limit::Never);
    }

    /// Takes a permit, waiting at most that long; says whether it got one. Zero waits for one turn of the loop.
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.acquire_for(Limit::After(timeout))
    }

    /// Takes a permit, waiting at most until then; says whether it got one.
    pub fn acquire_deadline(&self, deadline: Instant) -> bool {
        self.acquire_for(Limit::At(deadline))
    }

    /// How many wait for it or are linked and have not been told.
    pub fn linkcount(&self) -> usize {
        self.queue.lock().waiting().iter().sum()
    }

    fn acquire_for(&self, limit: Limit) -> bool {
        self.queue.wait(Lane::First, limit, "shared::Semaphore::acquire", |permits, _| permits.take()).is_ok()
    }

    /// Gives a permit back, whoever took it and on whichever thread; returns how many are free now. Does not let others run.
    ///
    /// # Panics
    ///
    /// When the counter would exceed `usize::MAX`.
    pub fn release(&self) -> usize {
        let mut permits = self.queue.lock();
        permits.0 = permits.0.checked_add(1).expect("a semaphore counts to usize::MAX");
        permits.0
    }

    /// Takes a permit as [`acquire`](Semaphore::acquire) does. It is given back when what this returns is dropped, so a
    /// greenlet that is killed or unwinds keeps none.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no permit and leaves the line.
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

    /// Takes a permit, to be given back when it is dropped, if one is free. Does not let others run.
    pub fn try_permit(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire().then(|| SemaphorePermit { semaphore: self })
    }

    /// Takes a permit, to be given back when it is dropped, waiting at most that long.
    pub fn permit_timeout(&self, timeout: Duration) -> Option<SemaphorePermit<'_>> {
        self.acquire_timeout(timeout).then(|| SemaphorePermit { semaphore: self })
    }

    /// Takes a permit, to be given back when it is dropped, waiting at most until then.
    pub fn permit_deadline(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        self.acquire_deadline(deadline).then(|| SemaphorePermit { semaphore: self })
    }

    /// Runs `f` with a permit, which is given back however `f` ends.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let _permit = self.permit();
        f()
    }
}

/// A permit of a [`Semaphore`], which is given back when this is dropped, on any thread. Made by [`Semaphore::permit`] and its kin.
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
}

impl SemaphorePermit<'_> {
    /// Keeps the permit taken: whoever calls [`Semaphore::release`] later gives it back.
    pub fn forget(self) {
        mem::forget(self);
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
