//! A queue without shutdown and without task counting.

use std::fmt;

use ramie_hub::Limit;
use ramie_hub::{LinkId, Waitable};

use super::bounded::Queue;
use super::error::{TryGetError, TryPutError};

/// A queue of items without shutdown and task counting: gevent's `SimpleQueue`. Clones are the same
/// queue.
///
/// The queue is never shut down, so `put` and `get` cannot fail.
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
    /// Creates a queue without limit.
    pub fn unbounded() -> Self {
        SimpleQueue(Queue::unbounded())
    }

    /// Creates a queue for at most `maxsize` items.
    pub fn bounded(maxsize: usize) -> Self {
        SimpleQueue(Queue::bounded(maxsize))
    }

    /// Returns the number of items.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if the queue holds no item.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `true` if the queue has no room for another item.
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Puts an item, waiting for room; see [`Queue::put`]. Lets other greenlets run only if it
    /// waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`put`](Queue::put).
    pub fn put(&self, item: T) {
        // The inner queue is never shut down.
        let _ = self.0.put(item);
    }

    /// Puts an item if there is room.
    ///
    /// # Errors
    ///
    /// Returns [`TryPutError::Full`] with the item.
    pub fn try_put(&self, item: T) -> Result<(), TryPutError<T>> {
        self.0.try_put(item)
    }

    /// Puts an item, waiting at most `timeout` for room. Lets other greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`TryPutError::Full`] with the item.
    ///
    /// # Cancellation
    ///
    /// Same as for [`put`](Queue::put).
    pub fn put_timeout(&self, item: T, timeout: impl Into<Limit>) -> Result<(), TryPutError<T>> {
        self.0.put_timeout(item, timeout)
    }

    /// Removes and returns the first item, waiting for one; see [`Queue::get`]. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](Queue::get).
    pub fn get(&self) -> T {
        self.0.get().unwrap_or_else(|_| unreachable!("a simple queue is never shut down"))
    }

    /// Removes and returns the first item if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError::Empty`].
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.0.try_get()
    }

    /// Removes and returns the first item, waiting at most `timeout` for one. Lets other greenlets
    /// run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError::Empty`].
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](Queue::get).
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, TryGetError> {
        self.0.get_timeout(timeout)
    }
}

impl<T: Clone + 'static> SimpleQueue<T> {
    /// Returns a clone of the first item, which stays in the queue. Waits for one if there is none.
    /// Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`peek`](Queue::peek).
    pub fn peek(&self) -> T {
        self.0.peek().unwrap_or_else(|_| unreachable!("a simple queue is never shut down"))
    }

    /// Returns a clone of the first item if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError::Empty`].
    pub fn try_peek(&self) -> Result<T, TryGetError> {
        self.0.try_peek()
    }

    /// Returns a clone of the first item, waiting at most `timeout` for one. Lets other greenlets
    /// run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns [`TryGetError::Empty`].
    ///
    /// # Cancellation
    ///
    /// Same as for [`peek`](Queue::peek).
    pub fn peek_timeout(&self, timeout: impl Into<Limit>) -> Result<T, TryGetError> {
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
