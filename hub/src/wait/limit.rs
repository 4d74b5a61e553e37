//! Limits on the time that a call may wait.

use std::time::{Duration, Instant};

use crate::scheduler::Core;

/// The limit on the time that a call may wait.
///
/// Every call that ends in `_timeout` takes an `impl Into<Limit>`: a [`Duration`], an [`Instant`],
/// or an `Option<Duration>`, where `None` means no limit.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use ramie::sync::Event;
///
/// let event = Event::new();
/// assert!(!event.wait_timeout(Duration::from_millis(1)));
/// assert!(!event.wait_timeout(Instant::now() + Duration::from_millis(1)));
/// event.set();
/// assert!(event.wait_timeout(None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// Waits without a limit.
    #[default]
    Never,
    /// Waits for at most this duration. Zero waits for one turn of the loop.
    After(Duration),
    /// Waits until this instant at most.
    At(Instant),
}

impl Limit {
    /// Returns the same limit counted from now, for calls that wait more than once.
    #[must_use]
    #[inline]
    pub fn fixed(self) -> Self {
        self.instant().map_or(Limit::Never, Limit::At)
    }

    /// Returns the instant at which the limit ends, counted from now; `None` if there is no limit.
    #[must_use]
    pub fn instant(self) -> Option<Instant> {
        match self {
            Limit::Never => None,
            Limit::After(after) => Instant::now().checked_add(after),
            Limit::At(at) => Some(at),
        }
    }

    /// Returns the time from now to the limit; `None` if there is no limit.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        match self {
            Limit::Never => None,
            Limit::After(after) => Some(after),
            Limit::At(at) => Some(at.saturating_duration_since(Instant::now())),
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

impl From<Duration> for Limit {
    fn from(after: Duration) -> Self {
        Limit::After(after)
    }
}

impl From<Instant> for Limit {
    fn from(at: Instant) -> Self {
        Limit::At(at)
    }
}

impl From<Option<Duration>> for Limit {
    fn from(after: Option<Duration>) -> Self {
        after.map_or(Limit::Never, Limit::After)
    }
}
