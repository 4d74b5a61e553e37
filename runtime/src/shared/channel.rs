//! Channels between threads, with ends that disconnect: the thread-safe counterpart of
//! [`ramie::channel`](crate::channel), with the same names and errors.
//!
//! Both ends may be cloned and sent to other threads. When the last [`Receiver`] is dropped,
//! sending fails and gives the message back. When the last [`Sender`] is dropped, receiving fails
//! after all sent messages are received. Messages of one sender are received in the order in which
//! they were sent.
//!
//! See [`ramie::shared`](crate::shared) for fairness, for the calls that let other greenlets run,
//! and for the effect of a kill or a timeout.
//!
//! # Examples
//!
//! ```
//! use std::thread;
//! use ramie::shared::channel;
//!
//! let (sender, receiver) = channel::bounded(10);
//! for i in 0..3 {
//!     let sender = sender.clone();
//!     thread::spawn(move || sender.send(i).unwrap());
//! }
//! drop(sender);
//! assert_eq!(receiver.iter().sum::<i32>(), 3);
//! ```

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;

use ramie_hub::generic::Queue as _;
use ramie_hub::shared::{Locked, Turn, WaitQueue, Waits};
use ramie_hub::{Lane, Limit, LinkId, TimedOut, Waitable};

use crate::channel::attempt::{unless_empty, unless_full};

pub use crate::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

#[cfg(feature = "futures")]
pub use super::channel_streams::{RecvStream, SendSink};

pub(super) const SENDERS: Lane = Lane::First;
pub(super) const RECEIVERS: Lane = Lane::Second;

/// A message in the channel. With capacity zero it is an offer, identified by the ticket of the
/// sender that waits.
struct Parcel<T> {
    message: T,
    offer: Option<u64>,
}

pub(super) struct State<T> {
    /// The stored messages. With capacity zero: the offered messages, and messages left for a
    /// waiting receiver.
    parcels: VecDeque<Parcel<T>>,
    room: Option<usize>,
    /// The number of senders that have not yet re-checked since their offer was taken.
    taken: usize,
    /// The number of waiting receivers, notified or not.
    receiving: usize,
    senders: usize,
    receivers: usize,
}

impl<T> State<T> {
    fn len(&self) -> usize {
        self.parcels.len()
    }

    fn stores_nothing(&self) -> bool {
        self.room == Some(0)
    }

    /// Returns the number of messages for which there is room.
    fn free(&self) -> usize {
        // With capacity zero there is room for each waiting receiver that has no message assigned.
        let room = if self.stores_nothing() { self.receiving } else { self.room.unwrap_or(usize::MAX) };
        room.saturating_sub(self.parcels.len())
    }

    fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if self.receivers == 0 {
            Err(TrySendError::Disconnected(message))
        } else if self.free() == 0 {
            Err(TrySendError::Full(message))
        } else {
            self.parcels.push_back(Parcel { message, offer: None });
            Ok(())
        }
    }

    fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.parcels.pop_front() {
            Some(Parcel { message, offer }) => {
                self.taken += usize::from(offer.is_some());
                Ok(message)
            }
            None if self.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Takes an offer back if no receiver has taken it. Otherwise records that its sender has
    /// noticed.
    fn withdraw(&mut self, ticket: u64) -> Option<T> {
        match self.parcels.iter().position(|parcel| parcel.offer == Some(ticket)) {
            Some(at) => self.parcels.remove(at).map(|parcel| parcel.message),
            None => {
                self.taken -= 1;
                None
            }
        }
    }

    /// Makes one attempt of a sender that waits between attempts.
    pub(super) fn send(
        &mut self,
        message: &mut Option<T>,
        turn: Turn,
    ) -> Option<Result<(), SendTimeoutError<T>>> {
        if self.stores_nothing() {
            return self.offer(message, turn);
        }
        unless_full(self.try_send(message.take()?), turn.last, message)
    }

    /// Makes one attempt of a sender on a channel of capacity zero. The first attempt offers the
    /// message, later ones check if it was taken.
    fn offer(&mut self, message: &mut Option<T>, turn: Turn) -> Option<Result<(), SendTimeoutError<T>>> {
        if let Some(message) = message.take() {
            if self.receivers == 0 {
                return Some(Err(SendTimeoutError::Disconnected(message)));
            }
            self.parcels.push_back(Parcel { message, offer: Some(turn.ticket) });
            return None;
        }
        if self.parcels.iter().all(|parcel| parcel.offer != Some(turn.ticket)) {
            self.taken -= 1;
            return Some(Ok(()));
        }
        let gone = self.receivers == 0;
        if !gone && !turn.last {
            return None;
        }
        let back = self.withdraw(turn.ticket)?;
        Some(Err(if gone { SendTimeoutError::Disconnected(back) } else { SendTimeoutError::Timeout(back) }))
    }

    /// Makes one attempt of a receiver that waits between attempts. `waits` is `true` while it is
    /// counted.
    pub(super) fn recv(&mut self, waits: &mut bool, turn: Turn) -> Option<Result<T, RecvError>> {
        let received = unless_empty(self.try_recv());
        let waits_on = received.is_none() && !turn.last;
        match (*waits, waits_on) {
            (false, true) => self.receiving += 1,
            (true, false) => self.receiving -= 1,
            _ => {}
        }
        *waits = waits_on;
        received
    }
}

impl<T: 'static> Waits for State<T> {
    fn ready(&self, lane: Lane) -> usize {
        match lane {
            RECEIVERS if self.senders == 0 => usize::MAX,
            RECEIVERS => self.parcels.len(),
            SENDERS if self.receivers == 0 => usize::MAX,
            SENDERS if self.stores_nothing() => self.taken,
            SENDERS => self.free(),
        }
    }

    fn left(&mut self, lane: Lane, ticket: u64) -> Option<Box<dyn Any>> {
        match lane {
            RECEIVERS => {
                self.receiving -= 1;
                None
            }
            SENDERS if self.stores_nothing() => {
                self.withdraw(ticket).map(|message| Box::new(message) as Box<dyn Any>)
            }
            SENDERS => None,
        }
    }
}

fn channel<T: 'static>(room: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let parcels = VecDeque::new();
    let queue = WaitQueue::new(State { parcels, room, taken: 0, receiving: 0, senders: 1, receivers: 1 });
    (Sender { queue: queue.clone() }, Receiver { queue })
}

/// The sending end of a channel. Clones send into the same channel.
///
/// A sender is [`Send`] only if its messages are:
///
/// ```compile_fail,E0277
/// fn sends<T: Send>() {}
/// sends::<ramie::shared::channel::Sender<std::rc::Rc<u8>>>();
/// ```
pub struct Sender<T: 'static> {
    pub(super) queue: WaitQueue<State<T>>,
}

/// The receiving end of a channel. Clones receive from the same channel; each message goes to one
/// of them.
pub struct Receiver<T: 'static> {
    pub(super) queue: WaitQueue<State<T>>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.queue.lock().senders += 1;
        Sender { queue: self.queue.clone() }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.queue.lock().receivers += 1;
        Receiver { queue: self.queue.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.queue.lock().senders -= 1;
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.receivers -= 1;
        if state.receivers == 0 {
            // No receiver will take these messages; offers are taken back by their senders. Dropped
            // after the lock is released: the destructor of a message may use the channel.
            let parcels = std::mem::take(&mut state.parcels);
            let (offers, stored) = parcels.into_iter().partition(|parcel| parcel.offer.is_some());
            state.parcels = offers;
            drop::<Locked<'_, _>>(state);
            drop::<VecDeque<_>>(stored);
        }
    }
}

impl<T: 'static> Sender<T> {
    /// Sends a message if there is room. Does not let other greenlets run.
    ///
    /// A channel of capacity zero has room for as many messages as there are waiting receivers. If
    /// one of them is killed before it takes its message, the next receiver gets the message.
    ///
    /// # Errors
    ///
    /// Returns [`TrySendError`] with the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.queue.lock().try_send(message)
    }

    /// Returns a future that sends a message, for executors on any thread; see
    /// [`send`](Sender::send). It does nothing before its first poll, and its place among the waiting
    /// senders is that of its first poll.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send).
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready has sent nothing, and the message is dropped with
    /// it. The one exception is a capacity of zero: the message may have been received already, and
    /// is then not dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use std::pin::pin;
    /// use ramie::shared::channel;
    ///
    /// let (sender, receiver) = channel::bounded(1);
    /// sender.send(1).unwrap();
    /// let mut sent = pin!(sender.send_async(2));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(sent.as_mut().poll(&mut cx).is_pending());
    /// assert_eq!(receiver.recv(), Ok(1));
    /// assert_eq!(sent.poll(&mut cx), Poll::Ready(Ok(())));
    /// assert_eq!(receiver.recv(), Ok(2));
    /// ```
    pub fn send_async(&self, message: T) -> impl Future<Output = Result<(), SendError<T>>> + Unpin {
        let mut message = Some(message);
        self.queue.wait_async(SENDERS, move |state: &mut State<T>, turn| {
            let sent = state.send(&mut message, turn)?;
            Some(sent.map_err(|error| SendError(error.into_inner())))
        })
    }

    fn send_for(&self, message: T, limit: Limit) -> Result<(), SendTimeoutError<T>> {
        let mut message = Some(message);
        let send = |state: &mut State<T>, turn| state.send(&mut message, turn);
        let sent = self.queue.wait(SENDERS, limit, "shared::Sender::send", send);
        sent.unwrap_or_else(|TimedOut| unreachable!("the last attempt returns the message"))
    }
}

impl<T: 'static> Receiver<T> {
    /// Receives a message if there is one. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.queue.lock().try_recv()
    }

    /// Returns a future that receives a message, for executors on any thread; see
    /// [`recv`](Receiver::recv). It does nothing before its first poll, and its place among the
    /// waiting receivers is that of its first poll.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready has received nothing: no message is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use std::pin::pin;
    /// use ramie::shared::channel;
    ///
    /// let (sender, receiver) = channel::unbounded();
    /// let mut received = pin!(receiver.recv_async());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(received.as_mut().poll(&mut cx), Poll::Pending);
    /// sender.send(5).unwrap();
    /// assert_eq!(received.poll(&mut cx), Poll::Ready(Ok(5)));
    /// ```
    pub fn recv_async(&self) -> impl Future<Output = Result<T, RecvError>> + Unpin {
        let mut waits = false;
        self.queue.wait_async(RECEIVERS, move |state: &mut State<T>, turn| state.recv(&mut waits, turn))
    }

    fn recv_for(&self, limit: Limit) -> Result<T, RecvTimeoutError> {
        let mut waits = false;
        let recv = |state: &mut State<T>, turn| state.recv(&mut waits, turn);
        let received = self.queue.wait(RECEIVERS, limit, "shared::Receiver::recv", recv);
        match received {
            Ok(received) => received.map_err(|RecvError| RecvTimeoutError::Disconnected),
            Err(TimedOut) => Err(RecvTimeoutError::Timeout),
        }
    }
}

/// Ready when there is a message or every sender is dropped. Waiting through this trait does not
/// count as a waiting receiver: with capacity zero, [`Sender::try_send`] ignores it.
impl<T: 'static> Waitable for Receiver<T> {
    fn is_ready(&self) -> bool {
        self.queue.lock().ready(RECEIVERS) > 0
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink_in(RECEIVERS, f)
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

crate::channel::ends::ends!();
