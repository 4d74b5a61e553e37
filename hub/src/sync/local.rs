//! The primitives of one thread.

use super::sharing::Local;
use super::{event, semaphore};

/// A flag that the greenlets of one thread wait for: gevent's and Python's `Event`. Clones are the
/// same event.
///
/// # Examples
///
/// ```
/// use ramie::spawn;
/// use ramie::sync::Event;
///
/// let event = Event::new();
/// let waiter = spawn({
///     let event = event.clone();
///     move || event.wait()
/// });
/// event.set();
/// waiter.join();
/// ```
pub type Event = event::Event<Local>;

/// A counter of permits that the greenlets of one thread wait for: gevent's `Semaphore`. Clones are
/// the same semaphore.
///
/// A call that finds a free permit takes it at once, ahead of the waiters. Waiters are served in
/// order. A permit is never handed to a greenlet that is not running, so a kill cannot lose a
/// permit.
///
/// # Examples
///
/// ```
/// use ramie::spawn;
/// use ramie::sync::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// semaphore.acquire();
/// assert!(!semaphore.try_acquire());
/// let waiter = spawn({
///     let semaphore = semaphore.clone();
///     move || semaphore.acquire()
/// });
/// assert_eq!(semaphore.release(), 1);
/// waiter.join();
/// ```
pub type Semaphore = semaphore::Semaphore<Local>;

/// A permit of a [`Semaphore`], given back when this is dropped. Returned by
/// [`Semaphore::permit`](semaphore::Semaphore::permit) and its variants.
pub type SemaphorePermit<'a> = semaphore::SemaphorePermit<'a, Local>;
