//! Bounded and unbounded queues with shutdown and task counting: gevent's `Queue` and its variants.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use ramie_hub::{Lane, Limit, LinkId, Turn, WaitQueue, Waitable, Waits, WakePolicy, while_borrowed};

use super::error::{NoTaskLeft, ShutDown, TryGetError, TryPutError};
use super::order::{Fifo, Lifo, Order, Smallest};

/// The lane of waiting putters.
const PUTTERS: Lane = Lane::First;
/// The panic message of a queue that is used by a comparison or a clone of one of its items.
const IN_USE: &str = "a comparison or a clone of an item must not use the queue that holds the item";
/// The lane of greenlets that wait in `get` or `peek`.
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
    const RULE: WakePolicy = WakePolicy::Ordered;

    /// Returns `true` if a getter need not wait: there is an item, or the queue was shut down.
    fn is_ready(&self) -> bool {
        self.len() > 0 || self.shut.get()
    }

    /// Alternates between putters and getters, as long as one of them can proceed.
    fn next_lane(&self, waiting: [usize; 2], last: Option<Lane>) -> Option<Lane> {
        let putter = (waiting[0] > 0 && self.has_room()).then_some(PUTTERS);
        let getter = (waiting[1] > 0 && self.is_ready()).then_some(GETTERS);
        if last == Some(PUTTERS) { getter.or(putter) } else { putter.or(getter) }
    }

    fn kind(&self) -> &'static str {
        "queue"
    }
}

/// The state that `join` waits on: `true` while tasks are unfinished.
struct Undone(Cell<bool>);

impl Waits for Undone {
    const RULE: WakePolicy = WakePolicy::All;

    fn is_ready(&self) -> bool {
        !self.0.get()
    }
}

/// A queue of items between greenlets: gevent's `Queue` (and `JoinableQueue`). Clones are the same
/// queue.
///
/// A call that finds room, or an item, is served at once, ahead of the waiters. Waiters are served
/// in order, putters and getters in turn. [`LifoQueue`] and [`PriorityQueue`] differ in the order
/// of the items.
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

/// A [`Queue`] that returns the most recently put item first.
pub type LifoQueue<T> = Queue<T, Lifo<T>>;

/// A [`Queue`] that returns the smallest item first, and equal items in the order in which they
/// were put.
///
/// The queue is borrowed while two items are compared. A comparison that waits raises
/// [`WaitWhileBorrowed`](crate::hub::WaitWhileBorrowed), and a comparison that uses the queue
/// panics, both in the caller of the queue. The queue then holds the same items as before, and also
/// an item that was being put.
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
    /// Creates a queue without limit.
    pub fn unbounded() -> Self {
        Self::default()
    }

    /// Creates a queue for at most `maxsize` items. A queue of size zero admits no items: see
    /// [`Channel`](super::Channel) for a rendezvous.
    pub fn bounded(maxsize: usize) -> Self {
        Self::with_maxsize(Some(maxsize), [])
    }
}

impl<T: 'static, O: Order<T> + 'static> Queue<T, O> {
    /// Creates a queue that already holds `items`, with a limit of `maxsize` or none. The items may
    /// exceed the limit and count as unfinished.
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

    /// Returns the number of items: gevent's `qsize`.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns `true` if the queue holds no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if the queue has no room for another item.
    pub fn is_full(&self) -> bool {
        !self.queue.has_room()
    }

    /// Returns the maximum number of items, or `None` if there is no limit.
    pub fn maxsize(&self) -> Option<usize> {
        self.queue.maxsize.get()
    }

    /// Changes the maximum number of items. Putters for which there is room now are woken.
    pub fn set_maxsize(&self, maxsize: Option<usize>) {
        self.queue.maxsize.set(maxsize);
        self.queue.check();
    }

    /// Returns the number of waiting putters, and the number of greenlets that wait in `get` or
    /// `peek`.
    pub fn waiting(&self) -> (usize, usize) {
        let [putters, getters] = self.queue.waiting();
        (putters, getters)
    }

    // --- putting ---------------------------------------------------------------------------------

    /// Puts an item, waiting for room if there is none. Lets other greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`ShutDown`] with the item if the queue was shut down before or during the wait.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait puts nothing. The item is dropped.
    pub fn put(&self, item: T) -> Result<(), ShutDown<T>> {
        self.put_for(item, Limit::Never).map_err(|error| ShutDown(error.into_inner()))
    }

    /// Puts an item if there is room. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns [`TryPutError`] with the item.
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        if self.queue.shut.get() {
            return Err(TryPutError::ShutDown(item));
        }
        if self.is_full() {
            return Err(TryPutError::Full(item));
        }
        self.queue.unfinished.set(self.queue.unfinished.get() + 1);
        self.undone.0.set(true);
        // Waiters are notified even if comparing the item with others panics: the item is in the
        // queue by then.
        let _tell = Tell(&self.queue);
        self.queue.order(|items| items.push(item));
        Ok(())
    }

    /// Puts an item, waiting at most `timeout` for room. Lets other greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`TryPutError`] with the item.
    ///
    /// # Cancellation
    ///
    /// Same as for [`put`](Queue::put).
    pub fn put_timeout(&self, item: T, timeout: impl Into<Limit>) -> Result<(), TryPutError<T>> {
        self.put_for(item, timeout.into())
    }

    fn put_for(&self, item: T, limit: Limit) -> Result<(), TryPutError<T>> {
        let mut item = Some(item);
        let put = self.queue.wait(PUTTERS, limit, "Queue::put", |_, turn| match self.try_put(item.take()?) {
            Err(TryPutError::Full(refused)) if !turn.last => {
                item = Some(refused);
                None
            }
            done => Some(done),
        });
        put.unwrap_or_else(|_| unreachable!("the last attempt returns the item"))
    }

    // --- getting ---------------------------------------------------------------------------------

    /// Removes and returns the first item, waiting for one if there is none. Lets other greenlets
    /// run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`ShutDown`] if the queue was shut down and is empty. Unlike in gevent, a `get` that
    /// is waiting when the queue is shut down takes an item if one is left.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait removes nothing.
    pub fn get(&self) -> Result<T, ShutDown> {
        self.get_for(Limit::Never).map_err(|_| ShutDown(()))
    }

    /// Removes and returns the first item if there is one. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError`].
    pub fn try_get(&self) -> Result<T, TryGetError> {
        let item = self.queue.pop();
        match item {
            Some(item) => {
                self.queue.check();
                Ok(item)
            }
            None if self.queue.shut.get() => Err(TryGetError::ShutDown),
            None => Err(TryGetError::Empty),
        }
    }

    /// Removes and returns the first item, waiting at most `timeout` for one. Lets other greenlets
    /// run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError`].
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](Queue::get).
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, TryGetError> {
        self.get_for(timeout.into())
    }

    fn get_for(&self, limit: Limit) -> Result<T, TryGetError> {
        self.wait_until(limit, "Queue::get", || self.try_get())
    }

    /// Repeats `attempt` until the queue is not empty, the limit is reached, or the queue is shut
    /// down.
    fn wait_until<R>(
        &self,
        limit: Limit,
        reason: &'static str,
        mut attempt: impl FnMut() -> Result<R, TryGetError>,
    ) -> Result<R, TryGetError> {
        let got = self.queue.wait(GETTERS, limit, reason, |_, turn| match attempt() {
            // A shutdown ends the wait, and the remaining items can still be taken.
            Err(TryGetError::Empty) if !turn.last => None,
            done => Some(done),
        });
        got.unwrap_or(Err(TryGetError::Empty))
    }

    /// Iterates over items until the queue is shut down and empty. Waits for each item. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](Queue::get).
    pub fn iter(&self) -> Iter<'_, T, O> {
        Iter { queue: self }
    }

    // --- tasks and shutdown ----------------------------------------------------------------------

    /// Reports one item as done: gevent's `task_done`. Must be called once for each item that was
    /// taken from the queue.
    ///
    /// # Errors
    ///
    /// Returns [`NoTaskLeft`] if all items that were put are already done.
    pub fn task_done(&self) -> Result<(), NoTaskLeft> {
        let unfinished = self.queue.unfinished.get().checked_sub(1).ok_or(NoTaskLeft)?;
        self.queue.unfinished.set(unfinished);
        if unfinished == 0 {
            self.undone.0.set(false);
            self.undone.check();
        }
        Ok(())
    }

    /// Returns the number of items that were put and not yet reported as done.
    pub fn unfinished_tasks(&self) -> usize {
        self.queue.unfinished.get()
    }

    /// Waits until all items that were put are reported as done. Also returns if new items are put
    /// after that moment and before the waiter runs. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn join(&self) {
        self.join_for(Limit::Never);
    }

    /// Waits at most `timeout` until all items are done. Returns `true` if they are. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`join`](Queue::join).
    pub fn join_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.join_for(timeout.into())
    }

    fn join_for(&self, limit: Limit) -> bool {
        let done = |undone: &Undone, turn: Turn| (turn.notified || undone.is_ready()).then_some(());
        self.undone.wait(Lane::First, limit, "Queue::join", done).is_ok()
    }

    /// Shuts the queue down: no item can be put any more, and the remaining items can still be
    /// taken. All waiters are woken in a later iteration of the loop, and waiting putters get their
    /// items back. A second call changes nothing.
    pub fn shutdown(&self) {
        self.queue.shut.set(true);
        self.queue.close();
        // Raw links remain registered: the notification tells them that the wait is over.
        self.queue.check();
    }

    /// Shuts the queue down and drops the remaining items. Each dropped item counts as done.
    pub fn shutdown_immediate(&self) {
        self.queue.shut.set(true);
        // All items are taken out and counted before the first is dropped: a destructor may use the
        // queue, or panic. Greenlets in `join` are notified before the putters and getters.
        let dropped: Vec<T> = std::iter::from_fn(|| self.queue.pop()).collect();
        for _ in &dropped {
            // An item that was reported as done without having been taken is already counted.
            let _ = self.task_done();
        }
        self.shutdown();
        drop(dropped);
    }

    /// Returns `true` if the queue was shut down.
    pub fn is_shutdown(&self) -> bool {
        self.queue.shut.get()
    }
}

impl<T: Clone + 'static, O: Order<T> + 'static> Queue<T, O> {
    /// Returns a clone of the first item, which stays in the queue. Waits for one if there is none.
    /// Lets other greenlets run only if it waits.
    ///
    /// The queue is borrowed while the item is cloned. A `clone` that waits raises
    /// [`WaitWhileBorrowed`](crate::hub::WaitWhileBorrowed), and a `clone` that uses the queue
    /// panics, both in the caller.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`get`](Queue::get).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait removes nothing.
    pub fn peek(&self) -> Result<T, ShutDown> {
        self.wait_until(Limit::Never, "Queue::peek", || self.try_peek()).map_err(|_| ShutDown(()))
    }

    /// Returns a clone of the first item if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError`].
    ///
    /// # Panics
    ///
    /// When a comparison or a clone of an item of this queue calls it.
    pub fn try_peek(&self) -> Result<T, TryGetError> {
        let items = self.queue.items.try_borrow().expect(IN_USE);
        let head = while_borrowed("the clone of an item", || items.head().cloned());
        drop(items);
        head.ok_or(if self.is_shutdown() { TryGetError::ShutDown } else { TryGetError::Empty })
    }

    /// Returns a clone of the first item, waiting at most `timeout` for one. Lets other greenlets
    /// run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError`].
    ///
    /// # Cancellation
    ///
    /// Same as for [`peek`](Queue::peek).
    pub fn peek_timeout(&self, timeout: impl Into<Limit>) -> Result<T, TryGetError> {
        self.wait_until(timeout.into(), "Queue::peek", || self.try_peek())
    }
}

/// Notifies the waiters on drop, however the change ended.
struct Tell<'a, T: 'static, O: Order<T> + 'static>(&'a WaitQueue<State<T, O>>);

impl<T: 'static, O: Order<T> + 'static> Drop for Tell<'_, T, O> {
    fn drop(&mut self) {
        self.0.check();
    }
}

/// An iterator that takes items until the queue is shut down and empty. Returned by
/// [`Queue::iter`].
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

/// Ready when there is an item or the queue was shut down.
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
