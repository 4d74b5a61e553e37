//! A queue without an end and without a count of tasks.

use std::fmt;

use ramie_hub::Limit;
use ramie_hub::{LinkId, Waitable};

use super::bounded::Queue;
use super::error::{GetError, PutError};

/// A queue of items and nothing else: gevent's `SimpleQueue`. Clones are the same queue.
///
/// It is never shut down, so `put` and `get` cannot fail.
///
/// # Examples
///
/// ```
/// use ramie::queue::SimpleQueue;
///
/// let queue = SimpleQueue::unbounded();
/// queue.put(1);
/// queue.put(2);
/// assert_eq!((queue.get(), queue.get()), (1, 2));
/// ```
pub struct SimpleQueue<T>(Queue<T>);

impl<T> Clone for SimpleQueue<T> {
    fn clone(&self) -> Self {
        SimpleQueue(self.0.clone())
    }
}

impl<T: 'static> Default for SimpleQueue<T> {
    fn default() -> Self {
        Self::unbounded()
    }
}

impl<T: 'static> SimpleQueue<T> {
    /// A queue without limit.
    pub fn unbounded() -> Self {
        SimpleQueue(Queue::unbounded())
    }

    /// A queue for so many items.
    pub fn bounded(maxsize: usize) -> Self {
        SimpleQueue(Queue::bounded(maxsize))
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has no room.
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Puts an item, waiting for room; see [`Queue::put`].
    pub fn put(&self, item: T) {
        // The queue behind it is never shut down.
        let _ = self.0.put(item);
    }

    /// Puts an item if there is room.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] with the item.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.0.try_put(item)
    }

    /// Puts an item, waiting at most that long for room.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] with the item.
    pub fn put_timeout(&self, item: T, timeout: impl Into<Limit>) -> Result<(), PutError<T>> {
        self.0.put_timeout(item, timeout)
    }

    /// Takes the first item, waiting for one; see [`Queue::get`].
    pub fn get(&self) -> T {
        self.0.get().unwrap_or_else(|_| unreachable!("a simple queue is never shut down"))
    }

    /// Takes the first item if there is one.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`].
    pub fn try_get(&self) -> Result<T, GetError> {
        self.0.try_get()
    }

    /// Takes the first item, waiting at most that long for one.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`].
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, GetError> {
        self.0.get_timeout(timeout)
    }
}

impl<T: Clone + 'static> SimpleQueue<T> {
    /// A clone of the first item, which stays; waits for one if there is none.
    pub fn peek(&self) -> T {
        self.0.peek().unwrap_or_else(|_| unreachable!("a simple queue is never shut down"))
    }

    /// A clone of the first item, if there is one.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`].
    pub fn try_peek(&self) -> Result<T, GetError> {
        self.0.try_peek()
    }

    /// A clone of the first item, waiting at most that long for one.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`].
    pub fn peek_timeout(&self, timeout: impl Into<Limit>) -> Result<T, GetError> {
        self.0.peek_timeout(timeout)
    }
}

impl<T: 'static> Waitable for SimpleQueue<T> {
    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.0.rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        self.0.unlink(id);
    }
}

impl<T: 'static> fmt::Debug for SimpleQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimpleQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}
