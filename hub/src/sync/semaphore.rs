//! A counter of permits that greenlets wait for.

use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;

use crate::task::{Lane, LinkId};
use crate::wait::limit::Limit;
use crate::wait::wait_queue::{WaitQueue, Waits};
use crate::wait::waitable::Waitable;

#[derive(Debug)]
struct Permits(Cell<usize>);

impl Waits for Permits {
    fn is_ready(&self) -> bool {
        self.0.get() > 0
    }

    fn kind(&self) -> &'static str {
        "semaphore"
    }
}

/// A counter of permits: gevent's `Semaphore`. Clones are the same semaphore.
///
/// A caller that finds a free permit takes it at once, ahead of the waiters. Waiters are served in
/// order. A permit is never handed to a greenlet that is not running, so a kill cannot lose a
/// permit.
///
/// # Examples
///
/// ```
/// use ramie::sync::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// semaphore.acquire();
/// assert!(!semaphore.try_acquire());
/// assert_eq!(semaphore.release(), 1);
/// ```
#[derive(Clone)]
pub struct Semaphore {
    queue: WaitQueue<Permits>,
}

impl Semaphore {
    /// Creates a semaphore with `permits` permits.
    pub fn new(permits: usize) -> Self {
        Semaphore { queue: WaitQueue::new(Permits(Cell::new(permits))) }
    }

    /// Returns the number of free permits.
    pub fn counter(&self) -> usize {
        self.queue.0.get()
    }

    /// Returns `true` if no permit is free.
    pub fn locked(&self) -> bool {
        self.counter() == 0
    }

    /// Returns the number of waiters and links.
    pub fn linkcount(&self) -> usize {
        self.queue.linkcount()
    }

    /// Takes a permit if one is free. Does not let other greenlets run.
    pub fn try_acquire(&self) -> bool {
        let counter = self.counter();
        self.queue.0.set(counter.saturating_sub(1));
        counter > 0
    }

    /// Takes a permit, waiting for one if none is free. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no permit and leaves the queue. A kill or a timeout between this
    /// call and [`release`](Semaphore::release) leaves the permit taken:
    /// [`permit`](Semaphore::permit) gives it back in any case.
    pub fn acquire(&self) {
        self.acquire_for(Limit::Never);
    }

    /// Takes a permit, waiting for at most `timeout`. Returns `true` if it took one. A zero timeout
    /// waits for one turn of the loop.
    pub fn acquire_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.acquire_for(timeout.into())
    }

    fn acquire_for(&self, limit: Limit) -> bool {
        if self.try_acquire() {
            return true;
        }
        let limit = limit.fixed();
        loop {
            let waited = self.queue.wait(Lane::First, limit, "Semaphore::acquire");
            if self.try_acquire() {
                return true;
            }
            if waited.is_err() {
                return false;
            }
        }
    }

    /// Waits until a permit is free, without taking it. Returns the number of free permits, which
    /// may be 0.
    pub fn wait(&self) -> usize {
        self.wait_for(Limit::Never)
    }

    /// Waits until a permit is free, for at most `timeout`, without taking it. Returns the number
    /// of free permits.
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> usize {
        self.wait_for(timeout.into())
    }

    fn wait_for(&self, limit: Limit) -> usize {
        if self.locked() {
            // The counter decides, whatever the outcome of the wait.
            let _ = self.queue.wait(Lane::First, limit, "Semaphore::wait");
        }
        self.counter()
    }

    /// Gives a permit back, which any greenlet may have taken, and returns the number of free
    /// permits. Does not let other greenlets run.
    ///
    /// # Panics
    ///
    /// When the counter would exceed `usize::MAX`.
    pub fn release(&self) -> usize {
        let counter = self.counter().checked_add(1).expect("the counter must not exceed usize::MAX");
        self.queue.0.set(counter);
        self.queue.check();
        counter
    }

    /// Takes a permit as [`acquire`](Semaphore::acquire) does, and returns a guard that gives the
    /// permit back when it is dropped. A greenlet that is killed or unwinds therefore keeps no
    /// permit.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no permit and leaves the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::sync::Semaphore;
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

    /// Takes a permit if one is free, and returns a guard that gives it back on drop. Does not let
    /// other greenlets run.
    pub fn try_permit(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire().then(|| SemaphorePermit { semaphore: self })
    }

    /// Takes a permit, waiting for at most `timeout`, and returns a guard that gives it back on
    /// drop.
    pub fn permit_timeout(&self, timeout: impl Into<Limit>) -> Option<SemaphorePermit<'_>> {
        self.acquire_timeout(timeout).then(|| SemaphorePermit { semaphore: self })
    }

    /// Runs `f` with a permit. The permit is given back however `f` ends.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let _permit = self.permit();
        f()
    }
}

/// A permit of a [`Semaphore`], given back when this is dropped. Made by [`Semaphore::permit`] and
/// its variants.
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
}

impl SemaphorePermit<'_> {
    /// Keeps the permit taken. A later call of [`Semaphore::release`] gives it back.
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
        f.debug_struct("Semaphore")
            .field("counter", &self.counter())
            .field("links", &self.linkcount())
            .finish()
    }
}
