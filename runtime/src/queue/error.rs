//! The errors of queues. An item that was not put is given back.

use std::error::Error;
use std::fmt;

/// The queue was shut down: no item can be put, and none is left to take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShutDown<T = ()>(
    /// The item that was not put.
    pub T,
);

impl<T> ShutDown<T> {
    /// Returns the item that was not put.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for ShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShutDown(..)")
    }
}

impl<T> fmt::Display for ShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue was shut down")
    }
}

impl<T> Error for ShutDown<T> {}

/// The error of `try_put` and `put_timeout`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// The queue was full until the end of the wait.
    Full(T),
    /// The queue was shut down.
    ShutDown(T),
}

impl<T> TryPutError<T> {
    /// Returns the item that was not put.
    pub fn into_inner(self) -> T {
        match self {
            TryPutError::Full(item) | TryPutError::ShutDown(item) => item,
        }
    }

    /// Returns `true` if the queue was full.
    pub fn is_full(&self) -> bool {
        matches!(self, TryPutError::Full(_))
    }
}

impl<T> fmt::Debug for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "ShutDown(..)" })
    }
}

impl<T> fmt::Display for TryPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "the queue is full" } else { "the queue was shut down" })
    }
}

impl<T> Error for TryPutError<T> {}

/// The error of `try_get`, `get_timeout` and the forms of `peek`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryGetError {
    /// The queue was empty until the end of the wait.
    Empty,
    /// The queue is empty and was shut down.
    ShutDown,
}

impl TryGetError {
    /// Returns `true` if the queue was empty and not shut down.
    pub fn is_empty(&self) -> bool {
        *self == TryGetError::Empty
    }
}

impl fmt::Display for TryGetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "the queue is empty" } else { "the queue was shut down" })
    }
}

impl Error for TryGetError {}

/// [`task_done`](crate::queue::Queue::task_done) was called more often than items were put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoTaskLeft;

impl fmt::Display for NoTaskLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done was called too many times")
    }
}

impl Error for NoTaskLeft {}
