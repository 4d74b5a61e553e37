//! The errors of pools: one type a way to fail.

use std::error::Error;
use std::fmt;
use std::io;

/// No slot of the pool was free, or became free in time; gives back what was to run.
///
/// # Examples
///
/// ```
/// use ramie_pool::Pool;
///
/// let pool = Pool::new(0);
/// let refused = pool.try_spawn(|| 5).unwrap_err();
/// assert_eq!(refused.to_string(), "the pool is full");
/// assert_eq!(refused.into_inner()(), 5);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PoolFull<B = ()>(
    /// What was to run.
    pub B,
);

impl<B> PoolFull<B> {
    /// What was to run.
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

/// The pool was shut down, and takes nothing any more: what the result of a job fails with that is spawned too late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolShutDown;

impl fmt::Display for PoolShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pool was shut down")
    }
}

impl Error for PoolShutDown {}

/// The pool was given up before a thread came to the job: what its result fails with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobAbandoned;

impl fmt::Display for JobAbandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was given up before it had begun")
    }
}

impl Error for JobAbandoned {}

/// Why [`ThreadPool::set_size`](crate::ThreadPool::set_size) has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetSizeError {
    /// More threads were asked for than the pool may have.
    AboveMaxsize {
        /// How many it may have.
        maxsize: usize,
    },
    /// The system has refused to start a thread.
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
