//! Queues with a limit, an end, and a count of what is not done yet: gevent's `Queue` and its kinds.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use ramie_hub::{Lane, Limit, LinkId, Rule, WaitError, WaitQueue, Waitable, Waits, while_borrowed};

use super::error::{GetError, NoTaskLeft, PutError, ShutDown};
use super::order::{Fifo, Lifo, Order, Smallest};

/// Those who put wait in this lane.
const PUTTERS: Lane = Lane::First;
/// What a queue panics with that a comparison or a clone of one of its items uses.
const IN_USE: &str = "a comparison or a clone of an item must not use the queue that holds the item";
/// Those who get or peek wait in this one.
const GETTERS: Lane = Lane::Second;

struct State<T, O> {
    items: RefCell<O>,
    maxsize: Cell<Option<usize>>,
    unfinished: Cell<usize>,
    shut: Cell<bool>,
    kind: PhantomData<fn() -> T>,
}

impl<T: 'static, O: Order<T> + 'static> State<T, O> {
    fn len(&self) -> usize {
        self.items.try_borrow().expect(IN_USE).size()
    }

    fn pop(&self) -> Option<T> {
        self.order(O::pop)
    }

    fn order<R>(&self, f: impl FnOnce(&mut O) -> R) -> R {
        let mut items = self.items.try_borrow_mut().expect(IN_USE);
        if O::CALLS_ITEMS {
            while_borrowed("a comparison of two items", || f(&mut items))
        } else {
            f(&mut items)
        }
    }

    fn has_room(&self) -> bool {
        self.maxsize.get().is_none_or(|maxsize| self.len() < maxsize)
    }
}

impl<T: 'static, O: Order<T> + 'static> Waits for State<T, O> {
    const RULE: Rule = Rule::Lanes;

    /// Whether a getter need not wait: there is something to get, or there never will be.
    fn is_ready(&self) -> bool {
        self.len() > 0 || self.shut.get()
    }

    /// A putter, then a getter, then a putter again, as long as there is one that can go on.
    fn next_lane(&self, waiting: [usize; 2], last: Option<Lane>) -> Option<Lane> {
        let putter = (waiting[0] > 0 && self.has_room()).then_some(PUTTERS);
        let getter = (waiting[1] > 0 && self.is_ready()).then_some(GETTERS);
        if last == Some(PUTTERS) { getter.or(putter) } else { putter.or(getter) }
    }

    fn kind(&self) -> &'static str {
        "queue"
    }
}

/// The tasks that were put and not yet reported as done; those who join wait for it.
struct Undone(Cell<bool>);

impl Waits for Undone {
    const RULE: Rule = Rule::Everybody;

    fn is_ready(&self) -> bool {
        !self.0.get()
    }
}

/// A queue that greenlets put into and get from: gevent's `Queue` (and `JoinableQueue`). Clones are the same queue.
///
/// Whoever asks while there is room, or an item, is served at once, ahead of those who wait; those who wait are served
/// in order, putters and getters in turn. [`LifoQueue`] and [`PriorityQueue`] differ in what comes out first.
///
/// # Examples
///
/// ```
/// use ramie::queue::Queue;
/// use ramie::spawn;
///
/// let queue = Queue::bounded(2);
/// let consumer = spawn({
///     let queue = queue.clone();
///     move || queue.iter().sum::<u32>()
/// });
/// for i in 1..=4 {
///     queue.put(i)?; // waits when two are in the queue
/// }
/// queue.shutdown();
/// assert_eq!(consumer.get().unwrap(), 10);
/// # Ok::<(), ramie::queue::ShutDown<u32>>(())
/// ```
pub struct Queue<T, O = Fifo<T>> {
    queue: WaitQueue<State<T, O>>,
    undone: WaitQueue<Undone>,
}

/// A [`Queue`] from which the last item that was put comes out first.
pub type LifoQueue<T> = Queue<T, Lifo<T>>;

/// A [`Queue`] from which the smallest item comes out first, and equal ones in the order in which they were put.
///
/// The queue is borrowed while two items are compared. A comparison that waits raises
/// [`WaitWhileBorrowed`](crate::WaitWhileBorrowed), and one that uses the queue panics, in the caller of the queue; the queue
/// then holds the same items as before, and one that was being put as well.
pub type PriorityQueue<T> = Queue<T, Smallest<T>>;

impl<T, O> Clone for Queue<T, O> {
    fn clone(&self) -> Self {
        Queue { queue: self.queue.clone(), undone: self.undone.clone() }
    }
}

impl<T: 'static, O: Order<T> + 'static> Default for Queue<T, O> {
    fn default() -> Self {
        Self::with_maxsize(None, [])
    }
}

impl<T: 'static> Queue<T> {
    /// A queue without limit.
    pub fn unbounded() -> Self {
        Self::default()
    }

    /// A queue for so many items. Zero admits none: see [`Channel`](super::Channel) for a hand-over.
    pub fn bounded(maxsize: usize) -> Self {
        Self::with_maxsize(Some(maxsize), [])
    }
}

impl<T: 'static, O: Order<T> + 'static> Queue<T, O> {
    /// A queue for so many items, or without limit, that holds some already; these may exceed the limit and count as
    /// unfinished.
    pub fn with_maxsize(maxsize: Option<usize>, items: impl IntoIterator<Item = T>) -> Self {
        let mut order = O::default();
        for item in items {
            order.push(item);
        }
        let unfinished = order.size();
        Queue {
            queue: WaitQueue::new(State {
                items: RefCell::new(order),
                maxsize: Cell::new(maxsize),
                unfinished: Cell::new(unfinished),
                shut: Cell::new(false),
                kind: PhantomData,
            }),
            undone: WaitQueue::new(Undone(Cell::new(unfinished > 0))),
        }
    }

    /// How many items it holds: gevent's `qsize`.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has no room.
    pub fn is_full(&self) -> bool {
        !self.queue.has_room()
    }

    /// How many items it may hold.
    pub fn maxsize(&self) -> Option<usize> {
        self.queue.maxsize.get()
    }

    /// Changes how many items it may hold. Those who wait for room that is there now are told.
    pub fn set_maxsize(&self, maxsize: Option<usize>) {
        self.queue.maxsize.set(maxsize);
        self.queue.check();
    }

    /// How many wait to put, and how many to get or to peek.
    pub fn waiting(&self) -> (usize, usize) {
        let [putters, getters] = self.queue.waiting();
        (putters, getters)
    }

    // --- putting ------------------------------------------------------------------------------------------------

    /// Puts an item, waiting for room if there is none. Lets others run only if it waits.
    ///
    /// # Errors
    ///
    /// [`ShutDown`] with the item, when the queue was shut down before or while it waited.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits has not put the item, which is dropped.
    pub fn put(&self, item: T) -> Result<(), ShutDown<T>> {
        self.put_for(item, Limit::Never).map_err(|error| ShutDown(error.into_inner()))
    }

    /// Puts an item if there is room. Does not let others run.
    ///
    /// # Errors
    ///
    /// [`PutError`] with the item.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        if self.queue.shut.get() {
            return Err(PutError::ShutDown(item));
        }
        if self.is_full() {
            return Err(PutError::Full(item));
        }
        self.queue.unfinished.set(self.queue.unfinished.get() + 1);
        self.undone.0.set(true);
        // Those who wait are told even if comparing the item with others panics: it is in the queue by then.
        let _tell = Tell(&self.queue);
        self.queue.order(|items| items.push(item));
        Ok(())
    }

    /// Puts an item, waiting at most that long for room.
    ///
    /// # Errors
    ///
    /// [`PutError`] with the item.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_for(item, Limit::After(timeout))
    }

    /// Puts an item, waiting at most until then for room.
    ///
    /// # Errors
    ///
    /// [`PutError`] with the item.
    pub fn put_deadline(&self, item: T, deadline: Instant) -> Result<(), PutError<T>> {
        self.put_for(item, Limit::At(deadline))
    }

    fn put_for(&self, item: T, limit: Limit) -> Result<(), PutError<T>> {
        let mut refused = match self.try_put(item) {
            Err(PutError::Full(item)) => item,
            done => return done,
        };
        let limit = limit.fixed();
        loop {
            let waited = self.queue.wait(PUTTERS, limit, "Queue::put");
            if waited == Err(WaitError::Closed) {
                return Err(PutError::ShutDown(refused));
            }
            refused = match self.try_put(refused) {
                Err(PutError::Full(item)) if waited.is_ok() => item,
                done => return done,
            };
        }
    }

    // --- getting ------------------------------------------------------------------------------------------------

    /// Takes the first item, waiting for one if there is none. Lets others run only if it waits.
    ///
    /// # Errors
    ///
    /// [`ShutDown`] when the queue was shut down and is empty. Unlike gevent's, a `get` that waits when the queue is
    /// shut down takes an item if one is left.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits has taken nothing.
    pub fn get(&self) -> Result<T, ShutDown> {
        self.get_for(Limit::Never).map_err(|_| ShutDown(()))
    }

    /// Takes the first item if there is one. Does not let others run.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn try_get(&self) -> Result<T, GetError> {
        let item = self.queue.pop();
        match item {
            Some(item) => {
                self.queue.check();
                Ok(item)
            }
            None if self.queue.shut.get() => Err(GetError::ShutDown),
            None => Err(GetError::Empty),
        }
    }

    /// Takes the first item, waiting at most that long for one.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_for(Limit::After(timeout))
    }

    /// Takes the first item, waiting at most until then for one.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.get_for(Limit::At(deadline))
    }

    fn get_for(&self, limit: Limit) -> Result<T, GetError> {
        self.wait_until(limit, "Queue::get", || self.try_get())
    }

    /// Tries until the queue is no longer empty, the limit is reached, or the queue is shut down.
    fn wait_until<R>(
        &self,
        limit: Limit,
        reason: &'static str,
        mut attempt: impl FnMut() -> Result<R, GetError>,
    ) -> Result<R, GetError> {
        let mut result = attempt();
        let limit = if result.is_ok() { limit } else { limit.fixed() };
        while matches!(result, Err(GetError::Empty)) {
            // A shutdown ends the wait, and leaves the items to those who ask for them.
            let waited = self.queue.wait(GETTERS, limit, reason);
            result = attempt();
            if waited.is_err() {
                break;
            }
        }
        result
    }

    /// Iterates over items until the queue is shut down and empty; waits for each.
    pub fn iter(&self) -> Iter<'_, T, O> {
        Iter { queue: self }
    }

    // --- tasks and the end --------------------------------------------------------------------------------------

    /// Reports one item as done: gevent's `task_done`, to be called once for each item that was got.
    ///
    /// # Errors
    ///
    /// [`NoTaskLeft`] when everything that was put is done already.
    pub fn task_done(&self) -> Result<(), NoTaskLeft> {
        let unfinished = self.queue.unfinished.get().checked_sub(1).ok_or(NoTaskLeft)?;
        self.queue.unfinished.set(unfinished);
        if unfinished == 0 {
            self.undone.0.set(false);
            self.undone.check();
        }
        Ok(())
    }

    /// How many items were put and not reported as done.
    pub fn unfinished_tasks(&self) -> usize {
        self.queue.unfinished.get()
    }

    /// Waits until everything that was put is reported as done. Returns too when new items were put meanwhile.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn join(&self) {
        self.join_for(Limit::Never);
    }

    /// Waits at most that long; says whether everything was done.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_for(Limit::After(timeout))
    }

    /// Waits at most until then; says whether everything was done.
    pub fn join_deadline(&self, deadline: Instant) -> bool {
        self.join_for(Limit::At(deadline))
    }

    fn join_for(&self, limit: Limit) -> bool {
        let done = || self.unfinished_tasks() == 0;
        // Who comes while others are told comes after them.
        (done() && !self.undone.notifying())
            || self.undone.wait(Lane::First, limit, "Queue::join").is_ok()
            || done()
    }

    /// Ends the queue: nothing can be put any more; what is in it can still be got. Everybody who waits is told in a
    /// later turn, and what they wanted to put is given back. A second call changes nothing.
    pub fn shutdown(&self) {
        self.queue.shut.set(true);
        self.queue.close();
        // Raw links stay in line: they learn that waiting is over.
        self.queue.check();
    }

    /// Ends the queue and drops what is in it; each dropped item counts as done.
    pub fn shutdown_immediate(&self) {
        self.queue.shut.set(true);
        // All are taken out and counted before the first is dropped: a destructor may use the queue, or panic. Those who
        // join are told before those who are refused.
        let dropped: Vec<T> = std::iter::from_fn(|| self.queue.pop()).collect();
        for _ in &dropped {
            // An item that somebody reported as done without getting it has been counted before.
            let _ = self.task_done();
        }
        self.shutdown();
        drop(dropped);
    }

    /// Whether it was shut down.
    pub fn is_shutdown(&self) -> bool {
        self.queue.shut.get()
    }
}

impl<T: Clone + 'static, O: Order<T> + 'static> Queue<T, O> {
    /// A clone of the first item, which stays; waits for one if there is none.
    ///
    /// The queue is borrowed while the item is cloned. A `clone` that waits raises
    /// [`WaitWhileBorrowed`](crate::WaitWhileBorrowed), and one that uses the queue panics, in the caller.
    ///
    /// # Errors
    ///
    /// As [`get`](Queue::get).
    pub fn peek(&self) -> Result<T, ShutDown> {
        self.wait_until(Limit::Never, "Queue::peek", || self.try_peek()).map_err(|_| ShutDown(()))
    }

    /// A clone of the first item, if there is one.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn try_peek(&self) -> Result<T, GetError> {
        let items = self.queue.items.try_borrow().expect(IN_USE);
        let head = while_borrowed("the clone of an item", || items.head().cloned());
        drop(items);
        head.ok_or(if self.is_shutdown() { GetError::ShutDown } else { GetError::Empty })
    }

    /// A clone of the first item, waiting at most that long for one.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.wait_until(Limit::After(timeout), "Queue::peek", || self.try_peek())
    }

    /// A clone of the first item, waiting at most until then for one.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub fn peek_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.wait_until(Limit::At(deadline), "Queue::peek", || self.try_peek())
    }
}

/// Tells those who wait, whichever way a change was left.
struct Tell<'a, T: 'static, O: Order<T> + 'static>(&'a WaitQueue<State<T, O>>);

impl<T: 'static, O: Order<T> + 'static> Drop for Tell<'_, T, O> {
    fn drop(&mut self) {
        self.0.check();
    }
}

/// An iterator that gets until the queue is shut down and empty. Made by [`Queue::iter`].
pub struct Iter<'a, T, O> {
    queue: &'a Queue<T, O>,
}

impl<T: 'static, O: Order<T> + 'static> Iterator for Iter<'_, T, O> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.queue.get().ok()
    }
}

impl<'a, T: 'static, O: Order<T> + 'static> IntoIterator for &'a Queue<T, O> {
    type Item = T;
    type IntoIter = Iter<'a, T, O>;

    fn into_iter(self) -> Iter<'a, T, O> {
        self.iter()
    }
}

/// Ready when something can be got, or the queue was shut down.
impl<T: 'static, O: Order<T> + 'static> Waitable for Queue<T, O> {
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

impl<T: 'static, O: Order<T> + 'static> fmt::Debug for Queue<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("maxsize", &self.maxsize())
            .field("unfinished", &self.unfinished_tasks())
            .field("shutdown", &self.is_shutdown())
            .finish_non_exhaustive()
    }
}

impl<T, O> fmt::Debug for Iter<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}
