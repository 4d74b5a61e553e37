//! A counting semaphore for any thread.

use ramie_hub::generic::{self, Shared};

/// A counter of permits: the thread-safe counterpart of
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
pub type Semaphore = generic::Semaphore<Shared>;

/// A permit of a [`Semaphore`], given back when this is dropped, on any thread. Returned by
/// [`Semaphore::permit`](generic::Semaphore::permit) and its variants.
pub type SemaphorePermit<'a> = generic::SemaphorePermit<'a, Shared>;
