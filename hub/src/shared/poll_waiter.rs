//! The wait of a future in a shared state.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::wait_queue::{WaitQueue, Waits};
use super::waiter::Target;
use crate::task::Lane;
use crate::wait::turn::Turn;

/// A waiter for futures and streams that are written by hand: the counterpart of
/// [`WaitQueue::wait`] for executors, on any thread. Made by [`WaitQueue::poll_waiter`].
///
/// A waiter keeps its place in the lane from one poll to the next. When it is dropped, it leaves the
/// lane, and an unused wake-up is passed on to the next waiter. It must be dropped for that: one
/// that is leaked during a wait keeps its place and loses one wake-up.
///
/// # Examples
///
/// A stream's `poll_next` for a shared list:
///
/// ```
/// use std::task::{Context, Poll};
/// use ramie::hub::Lane;
/// use ramie::shared::{PollWaiter, WaitQueue, Waits};
///
/// struct List(Vec<u32>);
///
/// impl Waits for List {
///     fn ready(&self, _lane: Lane) -> usize {
///         self.0.len()
///     }
/// }
///
/// struct Items {
///     waiter: PollWaiter<List>,
/// }
///
/// impl Items {
///     fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<u32>> {
///         self.waiter.poll(cx, |list, _| list.0.pop()).map(Some)
///     }
/// }
///
/// let list = WaitQueue::new(List(Vec::new()));
/// let mut items = Items { waiter: list.poll_waiter(Lane::First) };
/// let mut cx = Context::from_waker(std::task::Waker::noop());
/// assert_eq!(items.poll_next(&mut cx), Poll::Pending);
/// list.lock().0.push(7);
/// assert_eq!(items.poll_next(&mut cx), Poll::Ready(Some(7)));
/// ```
pub struct PollWaiter<S: Waits> {
    queue: WaitQueue<S>,
    lane: Lane,
    /// The ticket of the wait, while there is one.
    ticket: Option<u64>,
    /// `true` while the waiter is in the lane or notified.
    stands: bool,
}

impl<S: Waits> PollWaiter<S> {
    /// Returns the state with its waiters.
    pub fn queue(&self) -> &WaitQueue<S> {
        &self.queue
    }

    /// Calls `look` with the state, under the lock, if this is the first poll of a wait or the waiter
    /// was notified. If there is no result, the waiter enters the lane or keeps its place in it, and
    /// the waker of `cx` is woken when it may proceed; the waker of an earlier poll is dropped. The
    /// first poll calls `look` a second time before it enters.
    ///
    /// After a result the waiter is in no lane, and the next poll begins a new wait. Creates no hub.
    pub fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&mut S, Turn) -> Option<R>,
    ) -> Poll<R> {
        let ticket = match self.ticket {
            Some(ticket) => ticket,
            None => {
                let mut locked = self.queue.lock();
                let ticket = locked.ticket();
                if let Some(served) = look(&mut locked, Turn::first(ticket)) {
                    return Poll::Ready(served);
                }
                // Before the unlock, so that a panic of the waker's `clone` is noticed as the end of
                // the wait.
                self.ticket = Some(ticket);
                ticket
            }
        };
        // The functions of a waker are user code: the new one is cloned before the lock. The old one,
        // or the new one after a result, is dropped after the unlock, also when `look` panics.
        let mut target = Target::Future(cx.waker().clone());
        let mut locked = self.queue.lock();
        if self.stands {
            match locked.renew(self.lane, ticket, target) {
                Ok(old) => {
                    drop(locked);
                    drop(old);
                    return Poll::Pending;
                }
                Err(kept) => target = kept,
            }
        }
        let notified = std::mem::take(&mut self.stands);
        if let Some(served) = look(&mut locked, Turn { ticket, notified, last: false }) {
            self.ticket = None;
            return Poll::Ready(served);
        }
        locked.enter(self.lane, ticket, target);
        self.stands = true;
        Poll::Pending
    }

    /// Leaves the lane as a dropped waiter does, and calls [`Waits::left`] if a wait has begun.
    pub fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let stands = std::mem::take(&mut self.stands);
            self.queue.inner.leave(self.lane, ticket, stands);
        }
    }
}

impl<S: Waits> Drop for PollWaiter<S> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<S: Waits> WaitQueue<S> {
    /// Creates a waiter for a future or a stream. It enters the lane when it is polled.
    pub fn poll_waiter(&self, lane: Lane) -> PollWaiter<S> {
        PollWaiter { queue: self.clone(), lane, ticket: None, stands: false }
    }

    /// Returns a future that calls `look` like [`wait`](WaitQueue::wait), for executors on any
    /// thread. It does nothing before its first poll, and its place in the lane is that of its first
    /// poll. `look` is called as [`PollWaiter::poll`] says.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped leaves the lane and calls [`Waits::left`].
    ///
    /// # Panics
    ///
    /// The future panics when it is polled after it was ready.
    pub fn wait_async<R, F: FnMut(&mut S, Turn) -> Option<R>>(
        &self,
        lane: Lane,
        look: F,
    ) -> impl Future<Output = R> + Unpin + use<S, R, F> {
        AsyncWait { waiter: Some(self.poll_waiter(lane)), look }
    }
}

struct AsyncWait<S: Waits, F> {
    /// `None` once the future was ready.
    waiter: Option<PollWaiter<S>>,
    look: F,
}

// The parts are never pinned.
impl<S: Waits, F> Unpin for AsyncWait<S, F> {}

impl<S: Waits, R, F: FnMut(&mut S, Turn) -> Option<R>> Future for AsyncWait<S, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let AsyncWait { waiter, look } = self.get_mut();
        let polled = waiter.as_mut().expect("the future was ready before").poll(cx, look);
        if polled.is_ready() {
            *waiter = None;
        }
        polled
    }
}

impl<S: Waits> fmt::Debug for PollWaiter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollWaiter").field("waits", &self.stands).finish_non_exhaustive()
    }
}
