//! A result that is set later.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::error::GetError;
use crate::exception::{Exception, Failure};
use crate::greenlet::handle::Greenlet;
use crate::task::{Lane, LinkId, WakePolicy};
use crate::wait::future::WaitFuture;
use crate::wait::limit::Limit;
use crate::wait::turn::Turn;
use crate::wait::wait_queue::{WaitQueue, Waits};
use crate::wait::waitable::Waitable;

struct Outcome<T> {
    /// Shared, so that no borrow is held while the value is cloned: the value's own `clone` may
    /// wait.
    value: Option<Rc<T>>,
    /// `true` if there was a value that was moved out.
    taken: bool,
    failure: Option<Failure>,
}

struct Cell<T>(RefCell<Outcome<T>>);

impl<T: 'static> Waits for Cell<T> {
    const RULE: WakePolicy = WakePolicy::All;

    fn is_ready(&self) -> bool {
        let outcome = self.0.borrow();
        outcome.value.is_some() || outcome.taken || outcome.failure.is_some()
    }

    fn kind(&self) -> &'static str {
        "async result"
    }
}

/// A value or a failure that is set once it is known, and that any number of greenlets wait for.
/// Clones are the same result.
///
/// # Examples
///
/// ```
/// use ramie::sync::AsyncResult;
/// use ramie::spawn;
///
/// let result = AsyncResult::new();
/// let waiter = spawn({
///     let result = result.clone();
///     move || result.get().unwrap()
/// });
/// result.set(5);
/// assert_eq!(waiter.get().unwrap(), 5);
/// ```
pub struct AsyncResult<T> {
    queue: WaitQueue<Cell<T>>,
}

impl<T> Clone for AsyncResult<T> {
    fn clone(&self) -> Self {
        AsyncResult { queue: self.queue.clone() }
    }
}

impl<T: 'static> Default for AsyncResult<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static> AsyncResult<T> {
    /// Creates a result that is not ready.
    pub fn new() -> Self {
        AsyncResult {
            queue: WaitQueue::new(Cell(RefCell::new(Outcome { value: None, taken: false, failure: None }))),
        }
    }

    /// Sets the value and queues the wake-up of all waiters. Does not let other greenlets run.
    ///
    /// A second value replaces the first. A value takes precedence over a failure that was set
    /// before.
    pub fn set(&self, value: T) {
        let old = {
            let mut outcome = self.queue.0.borrow_mut();
            outcome.taken = false;
            outcome.value.replace(Rc::new(value))
        };
        drop(old);
        self.queue.check();
    }

    /// Sets a failure and queues the wake-up of all waiters. Does not let other greenlets run.
    pub fn set_exception<E: fmt::Debug + fmt::Display + 'static>(&self, error: E) {
        self.set_failure(Failure::from(Exception::new(error)));
    }

    /// Sets the failure of an ended greenlet.
    pub fn set_failure(&self, failure: Failure) {
        let old = self.queue.0.borrow_mut().failure.replace(failure);
        drop(old);
        self.queue.check();
    }

    /// Returns `true` if a value or a failure is set.
    pub fn ready(&self) -> bool {
        Waits::is_ready(&*self.queue)
    }

    /// Returns `true` if a value is set, also after the value was [taken](AsyncResult::take).
    pub fn successful(&self) -> bool {
        let outcome = self.queue.0.borrow();
        outcome.value.is_some() || outcome.taken
    }

    /// Returns the failure, if there is one and no value.
    pub fn exception(&self) -> Option<Failure> {
        let outcome = self.queue.0.borrow();
        outcome.failure.clone().filter(|_| outcome.value.is_none() && !outcome.taken)
    }

    /// Returns the number of waiters and links.
    pub fn linkcount(&self) -> usize {
        self.queue.linkcount()
    }

    /// Waits until the result is ready. Like [`Event::wait`](crate::Event::wait), it waits behind
    /// the waiters of a notification in progress.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn wait(&self) {
        self.wait_for(Limit::Never);
    }

    /// Waits for at most `timeout`. Returns `true` if the result is ready.
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait`](AsyncResult::wait).
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.wait_for(timeout.into())
    }

    /// Waits until the result is ready and moves the value out, or returns the failure.
    ///
    /// This is for values that cannot be cloned. The result stays ready: later readers get a
    /// failure that [is taken](Failure::is_taken), until another value is set. Does not let other
    /// greenlets run when the result is ready already.
    ///
    /// # Errors
    ///
    /// The failure that was set, when no value was set. A failure that is taken, when the value was
    /// moved out before or is being cloned by another greenlet.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the value where it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::sync::AsyncResult;
    ///
    /// struct Ticket(u32);
    ///
    /// let result = AsyncResult::new();
    /// result.set(Ticket(7));
    /// assert_eq!(result.take().unwrap().0, 7);
    /// assert!(result.take().is_err_and(|failure| failure.is_taken()));
    /// ```
    pub fn take(&self) -> Result<T, Failure> {
        self.get_ready(Limit::Never, "AsyncResult::take");
        let mut outcome = self.queue.0.borrow_mut();
        match outcome.value.take().map(Rc::try_unwrap) {
            Some(Ok(value)) => {
                outcome.taken = true;
                Ok(value)
            }
            Some(Err(shared)) => {
                outcome.value = Some(shared);
                Err(Failure::taken())
            }
            None if outcome.taken => Err(Failure::taken()),
            // The result was ready, and a ready result never becomes unready.
            None => Err(outcome.failure.clone().unwrap_or_else(Failure::taken)),
        }
    }

    fn wait_for(&self, limit: Limit) -> bool {
        self.wait_in_line(limit, "AsyncResult::wait")
    }

    fn get_ready(&self, limit: Limit, reason: &'static str) -> bool {
        self.ready() || self.wait_in_line(limit, reason)
    }

    fn wait_in_line(&self, limit: Limit, reason: &'static str) -> bool {
        let ready = |result: &Cell<T>, turn: Turn| (turn.notified || result.is_ready()).then_some(());
        self.queue.wait(Lane::First, limit, reason, ready).is_ok()
    }

    /// Returns a link for a greenlet, which copies the greenlet's value or failure to this result
    /// at its end.
    ///
    /// A greenlet that ends by a plain kill sets the failure that [is an exit](Failure::is_exit).
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::sync::AsyncResult;
    /// use ramie::spawn;
    ///
    /// let result = AsyncResult::new();
    /// spawn(|| 5).link(result.link_target());
    /// assert_eq!(result.get().unwrap(), 5);
    /// ```
    pub fn link_target(&self) -> impl FnOnce(&Greenlet<T>) + 'static
    where
        T: Clone,
    {
        let result = self.clone();
        move |greenlet| match greenlet.get() {
            Ok(value) => result.set(value),
            Err(failure) => result.set_failure(failure),
        }
    }
}

impl<T: Clone + 'static> AsyncResult<T> {
    /// Waits until the result is ready and returns a clone of the value, or the failure, which is
    /// the same for all readers.
    ///
    /// Does not let other greenlets run when the result is ready already.
    ///
    /// # Errors
    ///
    /// The failure that was set, when no value was set.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn get(&self) -> Result<T, Failure> {
        self.get_ready(Limit::Never, "AsyncResult::get");
        self.outcome()
    }

    /// Returns a clone of the value, or the failure, of a result that is ready.
    fn outcome(&self) -> Result<T, Failure> {
        self.try_get().map_err(|error| match error {
            GetError::Failed(failure) => failure,
            // The result was ready, and a ready result never becomes unready.
            GetError::TimedOut => Failure::from(Exception::new(crate::error::TimedOut)),
        })
    }

    /// Waits for at most `timeout`; see [`get`](AsyncResult::get).
    ///
    /// # Errors
    ///
    /// [`GetError::TimedOut`] when the result is not ready by then, and the errors of
    /// [`get`](AsyncResult::get).
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](AsyncResult::get).
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, GetError> {
        self.get_ready(timeout.into(), "AsyncResult::get");
        self.try_get()
    }

    /// Returns a clone of the value or the failure without waiting.
    ///
    /// # Errors
    ///
    /// [`GetError::TimedOut`] when the result is not ready, and the errors of
    /// [`get`](AsyncResult::get).
    pub fn try_get(&self) -> Result<T, GetError> {
        match self.value() {
            Some(value) => Ok(value),
            None if self.queue.0.borrow().taken => Err(GetError::Failed(Failure::taken())),
            None => Err(self.exception().map_or(GetError::TimedOut, GetError::Failed)),
        }
    }

    /// Returns a clone of the value, if there is one.
    pub fn value(&self) -> Option<T> {
        let value = self.queue.0.borrow().value.clone();
        value.map(|value| T::clone(&value))
    }
}

impl<T: 'static> Waitable for AsyncResult<T> {
    fn is_ready(&self) -> bool {
        self.ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

/// Awaiting a reference waits until the result is ready, and returns what
/// [`get`](AsyncResult::get) returns. For executors on the same thread that let the hub run; see
/// [`WaitFuture`].
impl<'a, T: Clone + 'static> IntoFuture for &'a AsyncResult<T> {
    type Output = Result<T, Failure>;
    type IntoFuture = WaitFuture<&'a AsyncResult<T>, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        WaitFuture::new(self, |result| result.outcome())
    }
}

impl<T: 'static> fmt::Debug for AsyncResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult").field("ready", &self.ready()).field("links", &self.linkcount()).finish()
    }
}
