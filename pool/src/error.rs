//! The errors of pools: one type for each way to fail.

use std::error::Error;
use std::fmt;
use std::io;

/// The error of a pool without a free slot. It gives the rejected body back.
///
/// # Examples
///
/// ```
/// use ramie::Pool;
///
/// let pool = Pool::new(0);
/// let refused = pool.try_spawn(|| 5).unwrap_err();
/// assert_eq!(refused.to_string(), "the pool is full");
/// assert_eq!(refused.into_inner()(), 5);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PoolFull<B = ()>(
    /// The body that was not run.
    pub B,
);

impl<B> PoolFull<B> {
    /// Returns the body that was not run.
    pub fn into_inner(self) -> B {
        self.0
    }
}

impl<B> fmt::Debug for PoolFull<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolFull(..)")
    }
}

impl<B> fmt::Display for PoolFull<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool is full")
    }
}

impl<B> Error for PoolFull<B> {}

/// The failure of a job that is spawned after its pool was shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolShutDown;

impl fmt::Display for PoolShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool was shut down")
    }
}

impl Error for PoolShutDown {}

/// The failure of a job that no thread had begun when its pool was abandoned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobAbandoned;

impl fmt::Display for JobAbandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool was abandoned before the job began")
    }
}

impl Error for JobAbandoned {}

/// The error of [`ThreadPool::set_size`](crate::ThreadPool::set_size).
#[derive(Debug)]
#[non_exhaustive]
pub enum SetSizeError {
    /// The requested size is above the pool's maximum.
    AboveMaxsize {
        /// The maximum number of threads.
        maxsize: usize,
    },
    /// The system refused to start a thread.
    Thread(io::Error),
}

impl fmt::Display for SetSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetSizeError::AboveMaxsize { maxsize } => {
                write!(f, "the pool may have {maxsize} threads at most")
            }
            SetSizeError::Thread(error) => write!(f, "a thread cannot be started: {error}"),
        }
    }
}

impl Error for SetSizeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SetSizeError::AboveMaxsize { .. } => None,
            SetSizeError::Thread(error) => Some(error),
        }
    }
}
