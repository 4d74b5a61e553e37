//! The ways in which a queue refuses. What was to be put is given back.

use std::error::Error;
use std::fmt;

/// The queue was shut down: nothing can be put, and nothing is left to get.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShutDown<T = ()>(
    /// What could not be put.
    pub T,
);

impl<T> ShutDown<T> {
    /// What could not be put.
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
pub enum PutError<T> {
    /// The queue was full, and stayed so for as long as the call waited.
    Full(T),
    /// The queue was shut down.
    ShutDown(T),
}

impl<T> PutError<T> {
    /// What could not be put.
    pub fn into_inner(self) -> T {
        match self {
            PutError::Full(item) | PutError::ShutDown(item) => item,
        }
    }

    /// Whether the queue was full.
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full(_))
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "ShutDown(..)" })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "the queue is full" } else { "the queue was shut down" })
    }
}

impl<T> Error for PutError<T> {}

/// Why `try_get`, `get_timeout` or a form of `peek` did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetError {
    /// The queue was empty, and stayed so for as long as the call waited.
    Empty,
    /// The queue is empty and was shut down.
    ShutDown,
}

impl GetError {
    /// Whether the queue was empty but may still be filled.
    pub fn is_empty(&self) -> bool {
        *self == GetError::Empty
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "the queue is empty" } else { "the queue was shut down" })
    }
}

impl Error for GetError {}

/// [`task_done`](crate::queue::Queue::task_done) was called more often than something was put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoTaskLeft;

impl fmt::Display for NoTaskLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done was called too many times")
    }
}

impl Error for NoTaskLeft {}
