//! A channel for one message, from any thread to any other.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use ramie_hub::shared::{PollWaiter, WaitQueue, Waits};
use ramie_hub::{Lane, Limit, LinkId, TimedOut, Waitable};

use crate::channel::{RecvError, RecvTimeoutError, TryRecvError};

/// The lane of a receiver that outlives its wait.
const BORROWED: Lane = Lane::First;
/// The lane of a receiver that is consumed by its wait.
const OWNED: Lane = Lane::Second;

struct State<T> {
    message: Option<T>,
    sender: bool,
    receiver: bool,
}

impl<T> State<T> {
    fn look(&mut self) -> Option<Result<T, RecvError>> {
        match self.message.take() {
            Some(message) => Some(Ok(message)),
            None => (!self.sender).then_some(Err(RecvError)),
        }
    }
}

impl<T: 'static> Waits for State<T> {
    fn ready(&self, _lane: Lane) -> usize {
        if self.message.is_some() || !self.sender { usize::MAX } else { 0 }
    }

    fn left(&mut self, lane: Lane, _ticket: u64) -> Option<Box<dyn Any>> {
        if lane == BORROWED {
            return None;
        }
        // Recorded now, because the receiver of an abandoned hub is never dropped.
        self.receiver = false;
        self.message.take().map(|message| Box::new(message) as Box<dyn Any>)
    }
}

/// The sending end of a one-shot channel.
pub struct Sender<T: 'static> {
    queue: WaitQueue<State<T>>,
}

/// The receiving end of a one-shot channel.
pub struct Receiver<T: 'static> {
    queue: WaitQueue<State<T>>,
}

/// Creates a channel for one message.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::shared::oneshot;
///
/// let (answer, question) = oneshot::channel();
/// thread::spawn(move || answer.send(6 * 7));
/// assert_eq!(question.recv(), Ok(42));
/// ```
pub fn channel<T: 'static>() -> (Sender<T>, Receiver<T>) {
    let queue = WaitQueue::new(State { message: None, sender: true, receiver: true });
    (Sender { queue: queue.clone() }, Receiver { queue })
}

impl<T: 'static> Sender<T> {
    /// Sends the message and wakes the receiver. Never waits, and does not let other greenlets run.
    ///
    /// A sent message is not necessarily received: the receiver may still be dropped.
    ///
    /// # Errors
    ///
    /// Returns the message if the receiver is dropped.
    pub fn send(self, message: T) -> Result<(), T> {
        let mut state = self.queue.lock();
        if !state.receiver {
            return Err(message);
        }
        state.message = Some(message);
        Ok(())
    }

    /// Returns `true` if the receiver is dropped, so that no message needs to be made.
    pub fn is_disconnected(&self) -> bool {
        !self.queue.lock().receiver
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.queue.lock().sender = false;
    }
}

impl<T: 'static> Receiver<T> {
    /// Waits for the message. Lets other greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`RecvError`] if the sender is dropped without having sent, or if the message was
    /// already received.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout drops the receiver, and the message if it was sent.
    pub fn recv(self) -> Result<T, RecvError> {
        self.look(OWNED, Limit::Never, "oneshot::Receiver::recv").unwrap_or(Err(RecvError))
    }

    /// Takes the message if it was sent. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError::Empty`] if it was not yet sent, and [`TryRecvError::Disconnected`]
    /// if the sender was dropped without having sent or the message was already received.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.queue.lock().look() {
            Some(received) => received.map_err(|RecvError| TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Waits at most `timeout` for the message. The receiver remains usable.
    ///
    /// # Errors
    ///
    /// Returns [`RecvTimeoutError`].
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout loses nothing: a later call gets the message.
    pub fn recv_timeout(&self, timeout: impl Into<Limit>) -> Result<T, RecvTimeoutError> {
        self.recv_for(timeout.into())
    }

    fn recv_for(&self, limit: Limit) -> Result<T, RecvTimeoutError> {
        match self.look(BORROWED, limit, "oneshot::Receiver::recv_timeout") {
            Ok(received) => received.map_err(|RecvError| RecvTimeoutError::Disconnected),
            Err(TimedOut) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Returns a future that receives the message, for executors on any thread; see
    /// [`recv`](Receiver::recv). Awaiting the receiver itself is the same.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready drops the receiver, and the message if it was
    /// sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use std::pin::pin;
    /// use ramie::shared::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel();
    /// let mut received = pin!(receiver.recv_async());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(received.as_mut().poll(&mut cx), Poll::Pending);
    /// sender.send(42).unwrap();
    /// assert_eq!(received.poll(&mut cx), Poll::Ready(Ok(42)));
    /// ```
    pub fn recv_async(self) -> RecvFuture<T> {
        RecvFuture { waiter: self.queue.poll_waiter(BORROWED), receiver: Some(self) }
    }

    fn look(&self, lane: Lane, limit: Limit, reason: &'static str) -> Result<Result<T, RecvError>, TimedOut> {
        self.queue.wait(lane, limit, reason, |state, _| state.look())
    }
}

/// A future that receives the message of a one-shot channel. Returned by [`Receiver::recv_async`].
///
/// # Panics
///
/// It panics when it is polled after it was ready.
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct RecvFuture<T: 'static> {
    /// Dropped first: a receiver that is dropped does not wait.
    waiter: PollWaiter<State<T>>,
    /// `None` once the future was ready.
    receiver: Option<Receiver<T>>,
}

impl<T: 'static> Future for RecvFuture<T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(self.receiver.is_some(), "the future was ready before");
        let polled = self.waiter.poll(cx, |state, _| state.look());
        if polled.is_ready() {
            self.receiver = None;
        }
        polled
    }
}

impl<T: 'static> IntoFuture for Receiver<T> {
    type Output = Result<T, RecvError>;
    type IntoFuture = RecvFuture<T>;

    fn into_future(self) -> RecvFuture<T> {
        self.recv_async()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unreceived = {
            let mut state = self.queue.lock();
            state.receiver = false;
            state.message.take()
        };
        drop(unreceived);
    }
}

/// Ready when the message was sent or the sender is dropped.
impl<T: 'static> Waitable for Receiver<T> {
    fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink_in(BORROWED, f)
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("disconnected", &self.is_disconnected()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}
