//! A rendezvous channel: `put` waits for a matching `get`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::{Lane, Limit, LinkId, Turn, WaitQueue, Waitable, Waits, WakePolicy};

use super::error::{TryGetError, TryPutError};

const PUTTERS: Lane = Lane::First;
const GETTERS: Lane = Lane::Second;

/// The item of a waiting putter. Empty after a getter has taken it.
type Offer<T> = Rc<Cell<Option<T>>>;

struct State<T> {
    /// The offers of the waiting putters that no getter has taken, in order.
    offers: RefCell<VecDeque<Offer<T>>>,
    /// The number of putters at the head of their lane that must still be notified that their offer
    /// was taken.
    taken: Cell<usize>,
}

impl<T: 'static> Waits for State<T> {
    const RULE: WakePolicy = WakePolicy::Ordered;

    fn is_ready(&self) -> bool {
        !self.offers.borrow().is_empty()
    }

    /// Selects a getter, which takes the first offer, and then the putter of that offer.
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

/// A rendezvous of two greenlets that hands over an item: gevent's `Channel`. Clones are the same
/// channel.
///
/// The channel stores nothing: `put` waits until a getter has taken the item, `get` waits until a
/// putter offers one. Putters and getters are matched in order of arrival. The getter runs first,
/// then the putter.
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

/// Takes an offer back if its putter leaves before a getter has taken it.
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
            // The offer was taken, and its putter leaves now, notified or interrupted.
            state.taken.set(state.taken.get().saturating_sub(1));
        }
    }
}

impl<T: 'static> Channel<T> {
    /// Creates a channel.
    pub fn new() -> Self {
        Channel {
            queue: WaitQueue::new(State { offers: RefCell::new(VecDeque::new()), taken: Cell::new(0) }),
        }
    }

    /// Returns the number of waiting putters minus the number of waiting getters.
    pub fn balance(&self) -> isize {
        // A putter that has handed over its item stays queued until it runs, but no longer waits
        // for a getter.
        let [_, getters] = self.queue.waiting();
        self.queue.offers.borrow().len() as isize - getters as isize
    }

    /// Hands an item over, waiting until a getter has taken it. Lets other greenlets run.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait hands nothing over and drops the item, unless the item
    /// was taken at that very moment.
    pub fn put(&self, item: T) {
        // Without a limit the wait returns only after the item was handed over.
        let _ = self.put_for(item, Limit::Never);
    }

    /// Hands an item over to a getter that is already waiting. Lets other greenlets run once.
    ///
    /// # Errors
    ///
    /// Returns [`TryPutError::Full`] with the item if no getter is waiting.
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        self.put_for(item, Limit::After(Duration::ZERO))
    }

    /// Hands an item over, waiting at most `timeout` for a getter. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns [`TryPutError::Full`] with the item.
    ///
    /// # Cancellation
    ///
    /// Same as for [`put`](Channel::put).
    pub fn put_timeout(&self, item: T, timeout: impl Into<Limit>) -> Result<(), TryPutError<T>> {
        self.put_for(item, timeout.into())
    }

    fn put_for(&self, item: T, limit: Limit) -> Result<(), TryPutError<T>> {
        let offer: Offer<T> = Rc::new(Cell::new(Some(item)));
        self.queue.offers.borrow_mut().push_back(offer.clone());
        let withdraw = Withdraw { channel: self, offer };
        let notified = |_: &State<T>, turn: Turn| turn.notified.then_some(());
        let waited = self.queue.wait(PUTTERS, limit, "Channel::put", notified);
        match withdraw.offer.take() {
            None => Ok(()),
            Some(item) => {
                debug_assert!(waited.is_err(), "a putter is notified after its offer was taken");
                Err(TryPutError::Full(item))
            }
        }
    }

    /// Takes an item, waiting until a putter offers one. Lets other greenlets run.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait takes nothing.
    pub fn get(&self) -> T {
        self.get_for(Limit::Never).unwrap_or_else(|_| unreachable!("a wait without limit ends with an item"))
    }

    /// Takes an item from a putter that is already waiting. Lets other greenlets run once.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError::Empty`] if no putter is waiting.
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.get_for(Limit::After(Duration::ZERO))
    }

    /// Takes an item, waiting at most `timeout` for one. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError::Empty`].
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](Channel::get).
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, TryGetError> {
        self.get_for(timeout.into())
    }

    fn get_for(&self, limit: Limit) -> Result<T, TryGetError> {
        // Queues first, even if an offer is available: longer waiters are served first. The getter
        // looks for an offer whether it was notified or timed out.
        let got = self.queue.wait(GETTERS, limit, "Channel::get", |_, turn| {
            if turn.notified || turn.last { self.take_offer() } else { None }
        });
        got.map_err(|_| TryGetError::Empty)
    }

    /// Takes an offered item, if there is one. Does not wait.
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
