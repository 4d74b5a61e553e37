//! Limits on the time that a call may wait.

use std::time::{Duration, Instant};

use crate::scheduler::Core;

/// The limit on the time that a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Never,
    /// For at most this duration. Zero waits for one turn of the loop.
    After(Duration),
    /// Until this point in time at most.
    At(Instant),
}

impl Limit {
    /// Converts a duration to the point in time at which it ends, for calls that wait more than
    /// once.
    #[must_use]
    #[inline]
    pub fn fixed(self) -> Self {
        match self {
            Limit::After(after) => Instant::now().checked_add(after).map_or(Limit::Never, Limit::At),
            other => other,
        }
    }

    /// Returns the end of the limit as the hub's time.
    pub(crate) fn deadline(self, core: &Core) -> Option<u64> {
        match self {
            Limit::Never => None,
            Limit::After(after) => Some(core.deadline(after)),
            Limit::At(instant) => Some(core.at(instant)),
        }
    }
}

impl From<Option<Duration>> for Limit {
    fn from(after: Option<Duration>) -> Self {
        after.map_or(Limit::Never, Limit::After)
    }
}
