//! A counter of permits that greenlets wait for.

use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;

use crate::shared;
use crate::sync::sharing::{Queue, Shared, Sharing};
use crate::task::{Lane, LinkId};
use crate::wait::limit::Limit;
use crate::wait::turn::Turn;
use crate::wait::wait_queue;
use crate::wait::waitable::Waitable;

#[derive(Debug)]
struct Permits(Cell<usize>);

impl Permits {
    fn take(&self) -> Option<()> {
        self.0.set(self.0.get().checked_sub(1)?);
        Some(())
    }

    /// Makes one check of a wait that takes nothing.
    fn look(&self, turn: Turn) -> Option<usize> {
        let counter = self.0.get();
        (counter > 0 || turn.notified).then_some(counter)
    }
}

impl wait_queue::Waits for Permits {
    fn is_ready(&self) -> bool {
        self.0.get() > 0
    }

    fn kind(&self) -> &'static str {
        "semaphore"
    }
}

impl shared::Waits for Permits {
    fn ready(&self, _lane: Lane) -> usize {
        self.0.get()
    }
}

/// A counter of permits. Clones are the same semaphore.
///
/// Programs name it `ramie::sync::Semaphore` for the greenlets of one thread, and
/// `ramie::shared::Semaphore` for any thread.
///
/// A call that finds a free permit takes it at once, ahead of the waiters. Waiters are served in
/// order. A waiter takes its permit itself when it runs, so neither a kill nor the end of a hub can
/// lose a permit.
pub struct Semaphore<K: Sharing> {
    queue: K::Queue<Permits>,
}

impl<K: Sharing> Semaphore<K> {
    /// Creates a semaphore with `permits` permits.
    pub fn new(permits: usize) -> Self {
        Semaphore { queue: Queue::new(Permits(Cell::new(permits))) }
    }

    /// Returns the number of free permits.
    #[inline]
    pub fn counter(&self) -> usize {
        self.queue.with(|permits| permits.0.get())
    }

    /// Returns `true` if no permit is free.
    pub fn locked(&self) -> bool {
        self.counter() == 0
    }

    /// Returns the number of waiters and links that are not yet notified.
    pub fn linkcount(&self) -> usize {
        self.queue.waiting().iter().sum()
    }

    /// Takes a permit if one is free. Does not let other greenlets run.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.queue.with(Permits::take).is_some()
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
    /// waits for one turn of the loop. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`acquire`](Semaphore::acquire).
    pub fn acquire_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.acquire_for(timeout.into())
    }

    // Not inlined: the loop is large for every place that takes a permit.
    #[inline(never)]
    fn acquire_for(&self, limit: Limit) -> bool {
        self.queue.wait(Lane::First, limit, "Semaphore::acquire", |permits, _| permits.take()).is_ok()
    }

    /// Waits until a permit is free, without taking it. Returns the number of free permits, which
    /// may be 0 if another caller took them since. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the queue.
    pub fn wait(&self) -> usize {
        self.wait_for(Limit::Never)
    }

    /// Waits until a permit is free, for at most `timeout`, without taking it. Returns the number
    /// of free permits. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait`](Semaphore::wait).
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> usize {
        self.wait_for(timeout.into())
    }

    #[inline(never)]
    fn wait_for(&self, limit: Limit) -> usize {
        self.queue.wait(Lane::First, limit, "Semaphore::wait", Permits::look).unwrap_or(0)
    }

    /// Gives a permit back, which any caller may have taken, and returns the number of free
    /// permits. Does not let other greenlets run.
    ///
    /// # Panics
    ///
    /// When the counter would exceed `usize::MAX`.
    pub fn release(&self) -> usize {
        self.queue.change(|permits| {
            let counter = permits.0.get().checked_add(1).expect("the counter must not exceed usize::MAX");
            permits.0.set(counter);
            counter
        })
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
    pub fn permit(&self) -> SemaphorePermit<'_, K> {
        self.acquire();
        SemaphorePermit { semaphore: self }
    }

    /// Takes a permit if one is free, and returns a guard that gives it back on drop. Does not let
    /// other greenlets run.
    pub fn try_permit(&self) -> Option<SemaphorePermit<'_, K>> {
        self.try_acquire().then(|| SemaphorePermit { semaphore: self })
    }

    /// Takes a permit, waiting for at most `timeout`, and returns a guard that gives it back on
    /// drop. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`permit`](Semaphore::permit).
    pub fn permit_timeout(&self, timeout: impl Into<Limit>) -> Option<SemaphorePermit<'_, K>> {
        self.acquire_timeout(timeout).then(|| SemaphorePermit { semaphore: self })
    }

    /// Runs `f` with a permit. The permit is given back however `f` ends.
    pub fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        let _permit = self.permit();
        f()
    }
}

impl Semaphore<Shared> {
    /// Returns a future that takes a permit, for executors on any thread; see
    /// [`acquire`](Semaphore::acquire). It does nothing before its first poll, and its place among
    /// the waiters is that of its first poll.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready takes no permit.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use std::pin::pin;
    /// use ramie::shared::Semaphore;
    ///
    /// let free = Semaphore::new(0);
    /// let mut acquired = pin!(free.acquire_async());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(acquired.as_mut().poll(&mut cx), Poll::Pending);
    /// free.release();
    /// assert_eq!(acquired.poll(&mut cx), Poll::Ready(()));
    /// assert_eq!(free.counter(), 0);
    /// ```
    pub fn acquire_async(&self) -> impl Future<Output = ()> + Send + Unpin + use<> {
        self.queue.wait_async(Lane::First, |permits: &mut Permits, _| permits.take())
    }

    /// Returns a future that takes a permit like [`acquire_async`](Semaphore::acquire_async), with a
    /// guard that gives the permit back when it is dropped.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready takes no permit.
    pub fn permit_async(&self) -> impl Future<Output = SemaphorePermit<'_, Shared>> + Send + Unpin {
        self.queue.wait_async(Lane::First, |permits: &mut Permits, _| {
            permits.take().map(|()| SemaphorePermit { semaphore: self })
        })
    }

    /// Returns a future that is ready when a permit is free, without taking it; see
    /// [`wait`](Semaphore::wait).
    ///
    /// # Cancellation
    ///
    /// A future that is dropped leaves the queue.
    pub fn wait_async(&self) -> impl Future<Output = usize> + Send + Unpin + use<> {
        self.queue.wait_async(Lane::First, |permits: &mut Permits, turn| permits.look(turn))
    }
}

/// A permit of a [`Semaphore`], given back when this is dropped. Returned by [`Semaphore::permit`]
/// and its variants.
#[must_use = "a permit that is dropped at once is given back at once"]
pub struct SemaphorePermit<'a, K: Sharing> {
    semaphore: &'a Semaphore<K>,
}

impl<K: Sharing> SemaphorePermit<'_, K> {
    /// Keeps the permit taken. A later call of [`Semaphore::release`] gives it back.
    pub fn forget(self) {
        let _kept = ManuallyDrop::new(self);
    }
}

impl<K: Sharing> Drop for SemaphorePermit<'_, K> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

impl<K: Sharing> fmt::Debug for SemaphorePermit<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SemaphorePermit").field(&self.semaphore).finish()
    }
}

impl<K: Sharing> Clone for Semaphore<K> {
    fn clone(&self) -> Self {
        Semaphore { queue: self.queue.clone() }
    }
}

impl<K: Sharing> Waitable for Semaphore<K> {
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

impl<K: Sharing> fmt::Debug for Semaphore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("counter", &self.counter())
            .field("links", &self.linkcount())
            .finish()
    }
}
