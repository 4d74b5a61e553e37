//! A future that waits for an object by one of its links.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::task::LinkId;
use crate::wait::waitable::Waitable;

/// A future that waits for a [`Waitable`] object of this thread, for executors on the same thread.
/// Made by awaiting a greenlet, an [`AsyncResult`](crate::AsyncResult) or an
/// [`Event`](crate::Event).
///
/// It waits by a link of the object: it is served among the waiting greenlets, in the order of its
/// first poll. The hub must run for that, so the executor must let it run while the future is
/// pending. An executor that blocks the thread between two polls waits forever.
///
/// # Cancellation
///
/// A future that is dropped removes its link, and leaves nothing behind.
///
/// # Panics
///
/// Panics when it is polled after it was ready.
#[must_use = "futures do nothing unless polled"]
pub struct WaitFuture<W: Waitable, R> {
    /// `None` once the future was ready.
    object: Option<W>,
    outcome: fn(&W) -> R,
    link: Option<Link>,
}

/// The link of a future that is pending.
struct Link {
    id: LinkId,
    state: Rc<LinkState>,
}

#[derive(Default)]
struct LinkState {
    /// `true` once the object has called the link.
    called: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl<W: Waitable, R> WaitFuture<W, R> {
    /// Creates a future that calls `outcome` once the object is ready, for objects that cannot be
    /// awaited themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    /// use ramie::hub::WaitFuture;
    /// use ramie::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(0);
    /// let mut free = pin!(WaitFuture::new(&semaphore, |semaphore| semaphore.counter()));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(free.as_mut().poll(&mut cx), Poll::Pending);
    /// semaphore.release();
    /// assert_eq!(free.poll(&mut cx), Poll::Ready(1));
    /// ```
    pub fn new(object: W, outcome: fn(&W) -> R) -> Self {
        WaitFuture { object: Some(object), outcome, link: None }
    }

    fn unlink(&mut self) {
        if let (Some(object), Some(link)) = (&self.object, self.link.take()) {
            object.unlink(link.id);
        }
    }
}

// The parts are never pinned.
impl<W: Waitable, R> Unpin for WaitFuture<W, R> {}

impl<W: Waitable, R> Future for WaitFuture<W, R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.get_mut();
        let object = this.object.as_ref().expect("the future was ready before");
        let called = this.link.as_ref().is_some_and(|link| link.state.called.get());
        if called || object.is_ready() {
            let outcome = (this.outcome)(object);
            this.unlink();
            this.object = None;
            return Poll::Ready(outcome);
        }
        let waker = cx.waker().clone();
        match &this.link {
            Some(link) => drop(link.state.waker.replace(Some(waker))),
            None => {
                let state = Rc::new(LinkState { called: Cell::default(), waker: Cell::new(Some(waker)) });
                let called = state.clone();
                let id = object.rawlink(Box::new(move || {
                    called.called.set(true);
                    if let Some(waker) = called.waker.take() {
                        waker.wake();
                    }
                }));
                this.link = Some(Link { id, state });
            }
        }
        Poll::Pending
    }
}

impl<W: Waitable, R> Drop for WaitFuture<W, R> {
    fn drop(&mut self) {
        self.unlink();
    }
}

impl<W: Waitable, R> fmt::Debug for WaitFuture<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFuture").field("linked", &self.link.is_some()).finish_non_exhaustive()
    }
}
