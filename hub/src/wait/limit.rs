//! How long a call may wait.

use std::time::{Duration, Instant};

use crate::scheduler::Core;

/// How long a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// For ever.
    Never,
    /// That long. Zero waits for one turn of the loop.
    After(Duration),
    /// Until then.
    At(Instant),
}

impl Limit {
    /// Fixes a duration to the point in time at which it will be over, for calls that wait more than once.
    #[must_use]
    #[inline]
    pub fn fixed(self) -> Self {
        match self {
            Limit::After(after) => Instant::now().checked_add(after).map_or(Limit::Never, Limit::At),
            other => other,
        }
    }

    /// The time at which it is over, as the hub counts.
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
