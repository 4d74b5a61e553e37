//! Channels between threads, with ends that disconnect: [`ramie::channel`](crate::channel) for sharing, by the same names
//! and with the same errors.
//!
//! Both ends may be cloned and sent to other threads. When the last [`Receiver`] is gone, sending fails and gives the message
//! back; when the last [`Sender`] is gone, receiving ends once everything that was sent is received. Messages of one sender
//! are received in the order in which they were sent.
//!
//! Fairness, what lets others run, and what a kill leaves behind says the page of [`ramie::shared`](crate::shared).
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

use ramie_hub::shared::{Locked, Turn, WaitQueue, Waits};
use ramie_hub::{Lane, Limit, LinkId, TimedOut, Waitable};

pub use crate::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

const SENDERS: Lane = Lane::First;
const RECEIVERS: Lane = Lane::Second;

/// A message on its way. Where nothing is stored it is on offer, under the ticket of the sender that waits with it.
struct Parcel<T> {
    message: T,
    offer: Option<u64>,
}

struct State<T> {
    /// What is stored; without room, what is offered, and what was left for a receiver that waits.
    parcels: VecDeque<Parcel<T>>,
    room: Option<usize>,
    /// Offers that were taken and whose sender has not looked since.
    taken: usize,
    /// Receivers that wait, told or not.
    receiving: usize,
    senders: usize,
    receivers: usize,
}

impl<T> State<T> {
    fn stores_nothing(&self) -> bool {
        self.room == Some(0)
    }

    /// For how many messages there is room.
    fn free(&self) -> usize {
        // Without room there is some for each receiver that waits and has no message coming.
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

    /// Takes an offer back that nobody took; otherwise its sender knows now that somebody did.
    fn withdraw(&mut self, ticket: u64) -> Option<T> {
        match self.parcels.iter().position(|parcel| parcel.offer == Some(ticket)) {
            Some(at) => self.parcels.remove(at).map(|parcel| parcel.message),
            None => {
                self.taken -= 1;
                None
            }
        }
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

/// A channel for so many messages; with zero, a sender waits until its message is received.
pub fn bounded<T: 'static>(room: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(room))
}

/// A channel without limit: sending never waits.
pub fn unbounded<T: 'static>() -> (Sender<T>, Receiver<T>) {
    channel(None)
}

fn channel<T: 'static>(room: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let parcels = VecDeque::new();
    let queue = WaitQueue::new(State { parcels, room, taken: 0, receiving: 0, senders: 1, receivers: 1 });
    (Sender { queue: queue.clone() }, Receiver { queue })
}

/// The end of a channel that sends. Clones send into the same channel.
///
/// Messages must be [`Send`] for it to be:
///
/// ```compile_fail,E0277
/// fn sends<T: Send>() {}
/// sends::<ramie::shared::channel::Sender<std::rc::Rc<u8>>>();
/// ```
pub struct Sender<T: 'static> {
    queue: WaitQueue<State<T>>,
}

/// The end of a channel that receives. Clones receive from the same channel; each message goes to one of them.
pub struct Receiver<T: 'static> {
    queue: WaitQueue<State<T>>,
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
            // Nobody will ever receive them; offers are taken back by their senders. Dropped outside of the lock: a
            // message's destructor may use the channel.
            let parcels = std::mem::take(&mut state.parcels);
            let (offers, stored) = parcels.into_iter().partition(|parcel| parcel.offer.is_some());
            state.parcels = offers;
            drop::<Locked<'_, _>>(state);
            drop::<VecDeque<_>>(stored);
        }
    }
}

impl<T: 'static> Sender<T> {
    /// Sends a message, waiting for room if there is none. Lets others run only if it waits.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the message when every receiver is gone, before or while it waited.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits has not sent the message, which is dropped; unless the channel stores nothing and
    /// the message was received at that very moment.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.send_for(message, Limit::Never).map_err(|error| SendError(error.into_inner()))
    }

    /// Sends a message if there is room. Does not let others run.
    ///
    /// A channel that stores nothing has room for as many messages as receivers wait. Should one of them be killed before it
    /// comes to take its message, the next that receives gets it.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] with the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.queue.lock().try_send(message)
    }

    /// Sends a message, waiting at most that long for room.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`] with the message.
    ///
    /// # Cancellation
    ///
    /// As with [`send`](Sender::send).
    pub fn send_timeout(&self, message: T, timeout: impl Into<Limit>) -> Result<(), SendTimeoutError<T>> {
        self.send_for(message, timeout.into())
    }

    fn send_for(&self, message: T, limit: Limit) -> Result<(), SendTimeoutError<T>> {
        let mut message = Some(message);
        let sent = self.queue.wait(SENDERS, limit, "shared::Sender::send", |state, turn| {
            if state.stores_nothing() {
                return offer(state, turn, &mut message);
            }
            match state.try_send(message.take()?) {
                Ok(()) => Some(Ok(())),
                Err(TrySendError::Disconnected(back)) => Some(Err(SendTimeoutError::Disconnected(back))),
                Err(TrySendError::Full(back)) if turn.last => Some(Err(SendTimeoutError::Timeout(back))),
                Err(TrySendError::Full(back)) => {
                    message = Some(back);
                    None
                }
            }
        });
        sent.unwrap_or_else(|TimedOut| unreachable!("the last look gives the message back"))
    }

    /// How many messages are stored, or offered.
    pub fn len(&self) -> usize {
        self.queue.lock().parcels.len()
    }

    /// Whether no message is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how many messages there is room; `None` is without limit.
    pub fn capacity(&self) -> Option<usize> {
        self.queue.lock().room
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        self.queue.is(&other.queue)
    }
}

/// One look of a sender where nothing is stored: the first offers the message, the others see what has become of it.
fn offer<T>(
    state: &mut State<T>,
    turn: Turn,
    message: &mut Option<T>,
) -> Option<Result<(), SendTimeoutError<T>>> {
    if let Some(message) = message.take() {
        if state.receivers == 0 {
            return Some(Err(SendTimeoutError::Disconnected(message)));
        }
        state.parcels.push_back(Parcel { message, offer: Some(turn.ticket) });
        return None;
    }
    if state.parcels.iter().all(|parcel| parcel.offer != Some(turn.ticket)) {
        state.taken -= 1;
        return Some(Ok(()));
    }
    let gone = state.receivers == 0;
    if !gone && !turn.last {
        return None;
    }
    let back = state.withdraw(turn.ticket)?;
    Some(Err(if gone { SendTimeoutError::Disconnected(back) } else { SendTimeoutError::Timeout(back) }))
}

impl<T: 'static> Receiver<T> {
    /// Receives a message, waiting for one if none is there. Lets others run only if it waits.
    ///
    /// # Errors
    ///
    /// [`RecvError`] when every sender is gone and nothing is left.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits has received nothing.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_for(Limit::Never).map_err(|_| RecvError)
    }

    /// Receives a message if one is there. Does not let others run.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.queue.lock().try_recv()
    }

    /// Receives a message, waiting at most that long for one.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`].
    ///
    /// # Cancellation
    ///
    /// As with [`recv`](Receiver::recv).
    pub fn recv_timeout(&self, timeout: impl Into<Limit>) -> Result<T, RecvTimeoutError> {
        self.recv_for(timeout.into())
    }

    fn recv_for(&self, limit: Limit) -> Result<T, RecvTimeoutError> {
        let mut waits = false;
        let received = self.queue.wait(RECEIVERS, limit, "shared::Receiver::recv", |state, turn| {
            let received = match state.try_recv() {
                Ok(message) => Some(Ok(message)),
                Err(TryRecvError::Disconnected) => Some(Err(RecvTimeoutError::Disconnected)),
                Err(TryRecvError::Empty) if turn.last => Some(Err(RecvTimeoutError::Timeout)),
                Err(TryRecvError::Empty) => None,
            };
            match (&received, waits) {
                (None, false) => state.receiving += 1,
                (Some(_), true) => state.receiving -= 1,
                _ => {}
            }
            waits = received.is_none();
            received
        });
        received.unwrap_or(Err(RecvTimeoutError::Timeout))
    }

    /// Iterates over messages until every sender is gone; waits for each.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Iterates over the messages that are there; waits for none.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// How many messages are stored, or offered.
    pub fn len(&self) -> usize {
        self.queue.lock().parcels.len()
    }

    /// Whether no message is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how many messages there is room; `None` is without limit.
    pub fn capacity(&self) -> Option<usize> {
        self.queue.lock().room
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        self.queue.is(&other.queue)
    }
}

/// Ready when a message is there, or every sender is gone. To wait for it is not to wait for a message: where nothing is
/// stored, [`Sender::try_send`] does not count it.
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

crate::channel::iterators::iterators!();

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}
