//! A mutual exclusion lock around a value.

use std::future::poll_fn;
use std::ops::DerefMut;
use std::pin::Pin;

use ramie_hub::Limit;
use ramie_hub::generic::{Guarded, Semaphore, SemaphorePermit, Shared, Sharing};

use super::guard::{guard, lock};

/// A mutual exclusion lock that may be held across waits. It is never poisoned.
///
/// Programs name it `ramie::sync::Mutex` for the greenlets of one thread, and
/// `ramie::shared::Mutex` for any thread.
pub struct Mutex<T: ?Sized, K: Sharing> {
    free: Semaphore<K>,
    /// Borrowed exactly while the permit is held, so that borrowing it never blocks or fails.
    value: K::Value<T>,
}

/// A guard that gives access to the value and releases the lock when it is dropped.
pub struct MutexGuard<'a, T: ?Sized, K: Sharing> {
    /// Dropped first: the next holder of the permit must find the value free.
    value: <K::Value<T> as Guarded<T>>::Ref<'a>,
    _permit: SemaphorePermit<'a, K>,
    mutex: &'a Mutex<T, K>,
}

impl<T, K: Sharing> Mutex<T, K>
where
    K::Value<T>: Sized,
{
    /// Creates an unlocked mutex.
    pub fn new(value: T) -> Self {
        Mutex { free: Semaphore::new(1), value: Guarded::new(value) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized, K: Sharing> Mutex<T, K> {
    /// Locks, waiting until the lock is free. Lets other greenlets run only if it waits.
    ///
    /// A greenlet or thread that locks a mutex that it already holds deadlocks: see
    /// [`RLock`](crate::sync::RLock).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait does not take the lock.
    pub fn lock(&self) -> MutexGuard<'_, T, K> {
        self.guard(self.free.permit())
    }

    /// Locks if the lock is free. Does not let other greenlets run.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T, K>> {
        self.free.try_permit().map(|permit| self.guard(permit))
    }

    /// Locks, waiting at most `timeout`. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`lock`](Mutex::lock).
    pub fn lock_timeout(&self, timeout: impl Into<Limit>) -> Option<MutexGuard<'_, T, K>> {
        self.free.permit_timeout(timeout).map(|permit| self.guard(permit))
    }

    fn guard<'a>(&'a self, permit: SemaphorePermit<'a, K>) -> MutexGuard<'a, T, K> {
        MutexGuard { value: self.value.borrow(), _permit: permit, mutex: self }
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

impl<T: ?Sized> Mutex<T, Shared> {
    /// Returns a future that locks, for executors on any thread; see [`lock`](Mutex::lock). It does
    /// nothing before its first poll, and its place among the waiters is that of its first poll.
    ///
    /// The guard must stay on the thread that polled, so a task that holds it across an `.await`
    /// is not `Send`.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready does not take the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use std::pin::pin;
    /// use ramie::shared::Mutex;
    ///
    /// let total = Mutex::new(1);
    /// let guard = total.lock();
    /// let mut locked = pin!(total.lock_async());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(locked.as_mut().poll(&mut cx).is_pending());
    /// drop(guard);
    /// let Poll::Ready(mut guard) = locked.poll(&mut cx) else { panic!("the lock is free") };
    /// *guard += 1;
    /// ```
    pub fn lock_async(&self) -> impl Future<Output = MutexGuard<'_, T, Shared>> + Unpin {
        let mut permit = self.free.permit_async();
        poll_fn(move |cx| Pin::new(&mut permit).poll(cx).map(|permit| self.guard(permit)))
    }
}

impl<'a, T: ?Sized, K: Sharing> MutexGuard<'a, T, K> {
    /// Releases the lock and returns the mutex, so that the caller can lock it again.
    pub(super) fn unlock(self) -> &'a Mutex<T, K> {
        self.mutex
    }
}

impl<T: ?Sized, K: Sharing> DerefMut for MutexGuard<'_, T, K> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

guard!([T: ?Sized, K: Sharing] MutexGuard<'_, T, K>);
lock!([K: Sharing] Mutex<T, K>, "Mutex", try_lock, K::Value<T>: Sized);
