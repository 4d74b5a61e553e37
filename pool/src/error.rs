//! The errors of pools: one type a way to fail.

use std::error::Error;
use std::fmt;

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
