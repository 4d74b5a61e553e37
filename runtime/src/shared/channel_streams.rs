//! The ends of a channel as a stream and a sink of futures.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use ramie_hub::shared::PollWaiter;

use super::channel::{RECEIVERS, Receiver, SENDERS, SendError, Sender, State};

/// A stream of the messages of a channel, for executors on any thread. Returned by
/// [`Receiver::into_stream`].
///
/// It ends when every sender is dropped and no message is left. Dropping it loses no message, except
/// that it drops its receiver.
#[must_use = "streams do nothing unless polled"]
pub struct RecvStream<T: 'static> {
    /// Dropped first: a receiver that is dropped does not wait.
    waiter: PollWaiter<State<T>>,
    waits: bool,
    receiver: Receiver<T>,
}

impl<T: 'static> Receiver<T> {
    /// Returns a stream of the messages. The receiver belongs to it: use a clone to receive
    /// otherwise too.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "futures")] {
    /// use ramie::shared::channel;
    ///
    /// let (sender, receiver) = channel::unbounded::<u8>();
    /// let messages = receiver.into_stream();
    /// assert!(sender.send(1).is_ok());
    /// drop(messages);
    /// assert!(sender.send(2).is_err());
    /// # }
    /// ```
    pub fn into_stream(self) -> RecvStream<T> {
        RecvStream { waiter: self.queue.poll_waiter(RECEIVERS), waits: false, receiver: self }
    }
}

impl<T: 'static> RecvStream<T> {
    /// Returns the receiver.
    pub fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }
}

impl<T: 'static> Stream for RecvStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let RecvStream { waiter, waits, .. } = self.get_mut();
        waiter.poll(cx, |state, turn| state.recv(waits, turn)).map(Result::ok)
    }
}

/// A sink for the messages of a channel, for executors on any thread. Returned by
/// [`Sender::into_sink`].
///
/// It accepts one message and is ready for the next one once the channel has room for the first.
/// Closing it drops its sender.
///
/// # Cancellation
///
/// Dropping it drops a message that was accepted and not yet flushed, unless the capacity is zero
/// and the message was received already.
///
/// # Panics
///
/// Panics when it is used after it was closed, or when a message is given to it before it was ready.
#[must_use = "sinks do nothing unless polled"]
pub struct SendSink<T: 'static> {
    /// Dropped first: a sender that is dropped does not wait.
    waiter: PollWaiter<State<T>>,
    /// The accepted message, until it is in the channel.
    message: Option<T>,
    /// `true` until the accepted message is sent.
    sending: bool,
    /// `None` once the sink is closed.
    sender: Option<Sender<T>>,
}

// A message is never pinned.
impl<T: 'static> Unpin for SendSink<T> {}

impl<T: 'static> Sender<T> {
    /// Returns a sink for messages. The sender belongs to it: use a clone to send otherwise too.
    pub fn into_sink(self) -> SendSink<T> {
        let waiter = self.queue.poll_waiter(SENDERS);
        SendSink { waiter, message: None, sending: false, sender: Some(self) }
    }
}

impl<T: 'static> Sink<T> for SendSink<T> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        assert!(self.sender.is_some(), "the sink is closed");
        self.poll_flush(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: T) -> Result<(), SendError<T>> {
        let sink = self.get_mut();
        assert!(sink.sender.is_some() && !sink.sending, "the sink was not ready");
        sink.message = Some(message);
        sink.sending = true;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let SendSink { waiter, message, sending, .. } = self.get_mut();
        if !*sending {
            return Poll::Ready(Ok(()));
        }
        let sent = ready!(waiter.poll(cx, |state, turn| state.send(message, turn)));
        *sending = false;
        Poll::Ready(sent.map_err(|error| SendError(error.into_inner())))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let flushed = ready!(self.as_mut().poll_flush(cx));
        self.sender = None;
        Poll::Ready(flushed)
    }
}

impl<T> fmt::Debug for RecvStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSink").field("sending", &self.sending).finish_non_exhaustive()
    }
}
