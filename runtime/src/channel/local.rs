//! The channel of one thread: its state, and the operations of its two ends.
//!
//! A channel with a capacity stores messages. In a channel of capacity zero, a waiting sender
//! offers its message, and a receiver takes the oldest offer.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::generic::Queue as _;
use ramie_hub::{AnyGreenlet, Lane, Limit, LinkId, Turn, WaitQueue, Waitable, Waits, WakePolicy, getcurrent};

use super::attempt::{unless_empty, unless_full};
use super::ends;
use super::error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};

const SENDERS: Lane = Lane::First;
const RECEIVERS: Lane = Lane::Second;

/// A message in the channel. With capacity zero, its sender waits until `taken` is set.
struct Parcel<T> {
    message: T,
    taken: Option<Rc<Cell<bool>>>,
}

struct State<T> {
    /// The stored messages. With capacity zero, the messages that waiting senders offer.
    parcels: RefCell<VecDeque<Parcel<T>>>,
    room: Option<usize>,
    /// With capacity zero: the number of senders at the head of their lane that must still be
    /// notified that their message was taken.
    taken: Cell<usize>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// With capacity zero: one entry for each raw link in the lanes, naming its greenlet.
    selecting: Rc<RefCell<Vec<AnyGreenlet>>>,
}

/// The entry in `selecting` of one raw link. Removed when the closure of the link is dropped.
struct Selecting {
    all: Rc<RefCell<Vec<AnyGreenlet>>>,
    greenlet: AnyGreenlet,
}

impl Drop for Selecting {
    fn drop(&mut self) {
        let mut all = self.all.borrow_mut();
        let mine = all.iter().position(|greenlet| *greenlet == self.greenlet);
        mine.map(|at| all.swap_remove(at));
    }
}

impl<T> State<T> {
    fn len(&self) -> usize {
        self.parcels.borrow().len()
    }

    fn stores_nothing(&self) -> bool {
        self.room == Some(0)
    }

    fn has_room(&self) -> bool {
        self.fits(self.len())
    }

    /// Returns `true` if a message fits beside so many.
    #[inline]
    fn fits(&self, stored: usize) -> bool {
        self.room.is_none_or(|room| stored < room)
    }

    /// With capacity zero: returns `true` if the first sender must be notified. It must if its
    /// message was taken. It must also if no message is offered, the first sender is a `select`,
    /// and another greenlet waits to receive.
    fn can_meet(&self, [senders, receivers]: [usize; 2]) -> bool {
        let met_itself = || {
            let selecting = self.selecting.borrow();
            selecting.len() == senders + receivers && selecting.windows(2).all(|two| two[0] == two[1])
        };
        self.taken.get() > 0 || (self.len() == 0 && receivers > 0 && !met_itself())
    }

    /// Wraps the closure of a raw link so that the link counts in `selecting`, if the capacity is
    /// zero.
    fn selecting(&self, f: Box<dyn FnOnce()>) -> Box<dyn FnOnce()> {
        if !self.stores_nothing() {
            return f;
        }
        let here = Selecting { all: self.selecting.clone(), greenlet: getcurrent() };
        self.selecting.borrow_mut().push(here.greenlet.clone());
        Box::new(move || {
            drop(here);
            f();
        })
    }
}

impl<T: 'static> Waits for State<T> {
    const RULE: WakePolicy = WakePolicy::Ordered;

    /// Returns `true` if a receiver need not wait: there is a message, or every sender is dropped.
    fn is_ready(&self) -> bool {
        self.len() > 0 || self.senders.get() == 0
    }

    fn next_lane(&self, waiting: [usize; 2], last: Option<Lane>) -> Option<Lane> {
        let senders_turn = if self.stores_nothing() { self.can_meet(waiting) } else { self.has_room() };
        let senders_turn = senders_turn || self.receivers.get() == 0;
        let sender = (waiting[0] > 0 && senders_turn).then_some(SENDERS);
        let receiver = (waiting[1] > 0 && self.is_ready()).then_some(RECEIVERS);
        if last == Some(SENDERS) { receiver.or(sender) } else { sender.or(receiver) }
    }

    fn kind(&self) -> &'static str {
        "channel"
    }
}

fn channel<T: 'static>(room: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let queue = WaitQueue::new(State {
        parcels: RefCell::new(VecDeque::new()),
        room,
        taken: Cell::new(0),
        senders: Cell::new(1),
        receivers: Cell::new(1),
        selecting: Rc::default(),
    });
    (Sender { queue: queue.clone() }, Receiver { queue })
}

/// The sending end of a channel. Clones send into the same channel.
pub struct Sender<T: 'static> {
    queue: WaitQueue<State<T>>,
}

/// The receiving end of a channel. Clones receive from the same channel; each message goes to one
/// of them.
pub struct Receiver<T: 'static> {
    queue: WaitQueue<State<T>>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.queue.senders.set(self.queue.senders.get() + 1);
        Sender { queue: self.queue.clone() }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.queue.receivers.set(self.queue.receivers.get() + 1);
        Receiver { queue: self.queue.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.queue.senders.set(self.queue.senders.get() - 1);
        if self.queue.senders.get() == 0 {
            self.queue.check();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.queue.receivers.set(self.queue.receivers.get() - 1);
        if self.queue.receivers.get() == 0 {
            self.queue.check();
            if !self.queue.stores_nothing() {
                // No receiver will take these messages. Taken out first, because the destructor of
                // a message may use the channel.
                let parcels = std::mem::take(&mut *self.queue.parcels.borrow_mut());
                drop(parcels);
            }
        }
    }
}

/// Takes an offer back if its sender leaves before a receiver has taken it.
struct Withdraw<'a, T: 'static> {
    state: &'a State<T>,
    taken: Rc<Cell<bool>>,
}

impl<T> Withdraw<'_, T> {
    fn take_back(&self) -> Option<T> {
        let mut parcels = self.state.parcels.borrow_mut();
        let mine =
            |parcel: &Parcel<T>| parcel.taken.as_ref().is_some_and(|taken| Rc::ptr_eq(taken, &self.taken));
        let at = parcels.iter().position(mine)?;
        parcels.remove(at).map(|parcel| parcel.message)
    }
}

impl<T> Drop for Withdraw<'_, T> {
    fn drop(&mut self) {
        let unsent = self.take_back();
        if self.taken.get() {
            self.state.taken.set(self.state.taken.get() - 1);
        }
        drop(unsent);
    }
}

impl<T: 'static> Sender<T> {
    /// Sends a message if there is room. Lets other greenlets run only if the capacity is zero and
    /// a receiver is waiting.
    ///
    /// # Errors
    ///
    /// Returns [`TrySendError`] with the message.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        if self.queue.receivers.get() == 0 {
            return Err(TrySendError::Disconnected(message));
        }
        if self.queue.stores_nothing() {
            let [_, receivers] = self.queue.waiting();
            if receivers <= self.queue.len() {
                return Err(TrySendError::Full(message));
            }
            return self.offer(message, Limit::After(Duration::ZERO)).map_err(|error| match error {
                SendTimeoutError::Timeout(message) => TrySendError::Full(message),
                SendTimeoutError::Disconnected(message) => TrySendError::Disconnected(message),
            });
        }
        self.store(message).map_err(TrySendError::Full)
    }

    /// Stores a message if there is room. There must be a receiver.
    #[inline]
    fn store(&self, message: T) -> Result<(), T> {
        let mut parcels = self.queue.parcels.borrow_mut();
        if !self.queue.fits(parcels.len()) {
            return Err(message);
        }
        parcels.push_back(Parcel { message, taken: None });
        drop(parcels);
        self.queue.check();
        Ok(())
    }

    #[inline]
    fn send_for(&self, message: T, limit: Limit) -> Result<(), SendTimeoutError<T>> {
        if self.queue.receivers.get() > 0 {
            // A wait begins with the same attempt.
            match self.store(message) {
                Ok(()) => Ok(()),
                Err(message) => self.send_slowly(message, limit),
            }
        } else {
            Err(SendTimeoutError::Disconnected(message))
        }
    }

    /// Sends a message that there was no room for.
    #[inline(never)]
    fn send_slowly(&self, message: T, limit: Limit) -> Result<(), SendTimeoutError<T>> {
        if self.queue.stores_nothing() {
            return self.offer(message, limit);
        }
        let mut message = Some(message);
        let sent = self.queue.wait(SENDERS, limit, "Sender::send", |_, turn| {
            unless_full(self.try_send(message.take()?), turn.last, &mut message)
        });
        sent.unwrap_or_else(|_| unreachable!("the last attempt returns the message"))
    }

    /// Offers a message in a channel of capacity zero, and waits until it is taken.
    fn offer(&self, message: T, limit: Limit) -> Result<(), SendTimeoutError<T>> {
        if self.queue.receivers.get() == 0 {
            return Err(SendTimeoutError::Disconnected(message));
        }
        let taken = Rc::new(Cell::new(false));
        self.queue.parcels.borrow_mut().push_back(Parcel { message, taken: Some(taken.clone()) });
        let withdraw = Withdraw { state: &self.queue, taken };
        // The result of the wait does not matter: the message was taken, or it is taken back.
        let notified = |_: &State<T>, turn: Turn| turn.notified.then_some(());
        let _ = self.queue.wait(SENDERS, limit, "Sender::send", notified);
        match withdraw.take_back() {
            None => Ok(()),
            Some(message) if self.queue.receivers.get() == 0 => Err(SendTimeoutError::Disconnected(message)),
            Some(message) => Err(SendTimeoutError::Timeout(message)),
        }
    }
}

impl<T: 'static> Receiver<T> {
    /// Receives a message if there is one. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.take().ok_or_else(|| {
            let gone = self.queue.senders.get() == 0;
            if gone { TryRecvError::Disconnected } else { TryRecvError::Empty }
        })
    }

    /// Takes the first message.
    #[inline]
    fn take(&self) -> Option<T> {
        let parcel = self.queue.parcels.borrow_mut().pop_front()?;
        if let Some(taken) = parcel.taken {
            taken.set(true);
            self.queue.taken.set(self.queue.taken.get() + 1);
        }
        self.queue.check();
        Some(parcel.message)
    }

    #[inline]
    fn recv_for(&self, limit: Limit) -> Result<T, RecvTimeoutError> {
        // A wait begins with the same attempt.
        match self.take() {
            Some(message) => Ok(message),
            None => self.recv_slowly(limit),
        }
    }

    /// Receives a message when there was none.
    #[inline(never)]
    fn recv_slowly(&self, limit: Limit) -> Result<T, RecvTimeoutError> {
        let received =
            self.queue.wait(RECEIVERS, limit, "Receiver::recv", |_, _| unless_empty(self.try_recv()));
        match received {
            Ok(received) => received.map_err(|RecvError| RecvTimeoutError::Disconnected),
            Err(_) => Err(RecvTimeoutError::Timeout),
        }
    }
}

/// Ready when there is a message or every sender is dropped.
impl<T: 'static> Waitable for Receiver<T> {
    fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink_in(RECEIVERS, self.queue.selecting(f))
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

/// Ready when there is room or every receiver is dropped. A channel of capacity zero has room while
/// more receivers wait than messages are offered.
impl<T: 'static> Waitable for Sender<T> {
    fn is_ready(&self) -> bool {
        let state = &self.queue;
        let room = if state.stores_nothing() { state.waiting()[1] > state.len() } else { state.has_room() };
        room || state.receivers.get() == 0
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink_in(SENDERS, self.queue.selecting(f))
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

ends::ends!();
