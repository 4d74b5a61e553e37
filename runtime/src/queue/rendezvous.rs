//! A hand-over without a store: whoever puts waits for whoever gets.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::{Lane, Limit, LinkId, Rule, WaitQueue, Waitable, Waits};

use super::error::{GetError, PutError};

const PUTTERS: Lane = Lane::First;
const GETTERS: Lane = Lane::Second;

/// What a putter offers; empty once a getter has taken it.
type Offer<T> = Rc<Cell<Option<T>>>;

struct State<T> {
    /// The offers of the waiting putters that nobody has taken, in order.
    offers: RefCell<VecDeque<Offer<T>>>,
    /// How many putters at the head of their lane had their offer taken and have not been told.
    taken: Cell<usize>,
}

impl<T: 'static> Waits for State<T> {
    const RULE: Rule = Rule::Lanes;

    fn is_ready(&self) -> bool {
        !self.offers.borrow().is_empty()
    }

    /// A getter, which takes the first offer; then the putter whose offer it was.
    fn next_lane(&self, waiting: [usize; 2], _last: Option<Lane>) -> Option<Lane> {
        if self.taken.get() > 0 {
            return Some(PUTTERS);
        }
        (waiting[1] > 0 && self.is_ready()).then_some(GETTERS)
    }

    fn kind(&self) -> &'static str {
        "channel"
    }
}

/// A place where two greenlets meet to hand over an item: gevent's `Channel`. Clones are the same channel.
///
/// Nothing is stored: `put` waits until somebody has taken the item, `get` until somebody offers one. Pairs meet in
/// order of arrival; the getter goes on first, then the putter.
///
/// # Examples
///
/// ```
/// use ramie::queue::Channel;
///
/// let channel = Channel::new();
/// let putter = ramie::spawn({
///     let channel = channel.clone();
///     move || channel.put("hello")
/// });
/// assert_eq!(channel.get(), "hello");
/// putter.join();
/// ```
pub struct Channel<T> {
    queue: WaitQueue<State<T>>,
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Channel { queue: self.queue.clone() }
    }
}

impl<T: 'static> Default for Channel<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes back an offer that nobody took, when its putter leaves.
struct Withdraw<'a, T: 'static> {
    channel: &'a Channel<T>,
    offer: Offer<T>,
}

impl<T: 'static> Drop for Withdraw<'_, T> {
    fn drop(&mut self) {
        let state = &self.channel.queue;
        let before = state.offers.borrow().len();
        state.offers.borrow_mut().retain(|offer| !Rc::ptr_eq(offer, &self.offer));
        if state.offers.borrow().len() == before {
            // It was taken, and its putter, told or interrupted, goes now.
            state.taken.set(state.taken.get().saturating_sub(1));
        }
    }
}

impl<T: 'static> Channel<T> {
    /// A channel at which nobody waits.
    pub fn new() -> Self {
        Channel {
            queue: WaitQueue::new(State { offers: RefCell::new(VecDeque::new()), taken: Cell::new(0) }),
        }
    }

    /// How many putters wait, less how many getters do.
    pub fn balance(&self) -> isize {
        // A putter whose item was taken stands in line until its turn, but waits for nobody.
        let [_, getters] = self.queue.waiting();
        self.queue.offers.borrow().len() as isize - getters as isize
    }

    /// Hands an item over, waiting until somebody has taken it.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits hands nothing over, and drops the item; unless the item was taken at that very
    /// moment.
    pub fn put(&self, item: T) {
        // Without a limit it is handed over, or the wait does not return.
        let _ = self.put_for(item, Limit::Never);
    }

    /// Hands an item over to a getter that waits already. Lets others run once.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] with the item when nobody waits for it.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_for(item, Limit::After(Duration::ZERO))
    }

    /// Hands an item over, waiting at most that long for somebody to take it.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] with the item.
    pub fn put_timeout(&self, item: T, timeout: impl Into<Limit>) -> Result<(), PutError<T>> {
        self.put_for(item, timeout.into())
    }

    fn put_for(&self, item: T, limit: Limit) -> Result<(), PutError<T>> {
        let offer: Offer<T> = Rc::new(Cell::new(Some(item)));
        self.queue.offers.borrow_mut().push_back(offer.clone());
        let withdraw = Withdraw { channel: self, offer };
        let waited = self.queue.wait(PUTTERS, limit, "Channel::put");
        match withdraw.offer.take() {
            None => Ok(()),
            Some(item) => {
                debug_assert!(waited.is_err(), "a putter is told when its offer was taken");
                Err(PutError::Full(item))
            }
        }
    }

    /// Takes an item over, waiting until somebody offers one.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits takes nothing.
    pub fn get(&self) -> T {
        loop {
            if let Ok(item) = self.get_for(Limit::Never) {
                return item;
            }
        }
    }

    /// Takes an item over from a putter that waits already. Lets others run once.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] when nobody offers one.
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_for(Limit::After(Duration::ZERO))
    }

    /// Takes an item over, waiting at most that long for one.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`].
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, GetError> {
        self.get_for(timeout.into())
    }

    fn get_for(&self, limit: Limit) -> Result<T, GetError> {
        // In line first: who waits longer is served first, even if an offer is there. Told or not, it looks.
        let _ = self.queue.wait(GETTERS, limit, "Channel::get");
        self.take_offer().ok_or(GetError::Empty)
    }

    /// Takes an item over if one is offered, without waiting.
    pub(crate) fn take_offer(&self) -> Option<T> {
        let offer = self.queue.offers.borrow_mut().pop_front()?;
        self.queue.taken.set(self.queue.taken.get() + 1);
        self.queue.check();
        offer.take()
    }
}

impl<T: 'static> Waitable for Channel<T> {
    fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink_in(GETTERS, f)
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

impl<T: 'static> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("balance", &self.balance()).finish_non_exhaustive()
    }
}
