//! Time: sleeping, timeouts and deadlines.
//!
//! | to | use |
//! |---|---|
//! | pause | [`sleep`] or [`sleep_until`] |
//! | limit one call | the call's own `_timeout` form, which returns a value |
//! | limit a section of code | [`timeout`], [`timeout_at`], or a [`Timeout`] |
//!
//! A sleep lasts at least as long as requested. The system is polled in whole milliseconds, so a
//! shorter sleep may last one.

use std::time::{Duration, Instant};

use ramie_hub::{Event, LinkId, Waitable, Watcher, get_hub, with_timeout};
pub use ramie_hub::{TimedOut, Timeout, sleep};

/// Suspends the greenlet until `deadline`. A deadline in the past is a yield. Lets other greenlets
/// run.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let then = Instant::now() + Duration::from_millis(5);
/// ramie::time::sleep_until(then);
/// assert!(Instant::now() >= then);
/// ```
pub fn sleep_until(deadline: Instant) {
    sleep(deadline.saturating_duration_since(Instant::now()));
}

/// Runs `f`, and unwinds it if it has not returned after `limit`: the same as
/// [`ramie::with_timeout`].
///
/// [`ramie::with_timeout`]: crate::with_timeout
///
/// # Errors
///
/// Returns [`TimedOut`] if the limit is reached first.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::time::{sleep, timeout};
///
/// assert!(timeout(Duration::from_millis(1), || sleep(Duration::from_secs(9))).is_err());
/// ```
pub fn timeout<R>(limit: Duration, f: impl FnOnce() -> R) -> Result<R, TimedOut> {
    with_timeout(limit, f)
}

/// Runs `f`, and unwinds it if it has not returned by `deadline`.
///
/// # Errors
///
/// Returns [`TimedOut`] if the deadline is reached first.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use ramie::time::{sleep, timeout_at};
///
/// let deadline = Instant::now() + Duration::from_millis(2);
/// let first = timeout_at(deadline, || 5);
/// let second = timeout_at(deadline, || sleep(Duration::from_secs(9)));
/// assert!(first.is_ok() && second.is_err());
/// ```
pub fn timeout_at<R>(deadline: Instant, f: impl FnOnce() -> R) -> Result<R, TimedOut> {
    Timeout::at(deadline).scope(f)
}

/// A waitable point in time. Returned by [`after`].
#[derive(Debug)]
pub struct After {
    come: Event,
    _timer: Watcher,
}

/// Creates a waitable object that becomes ready after `duration`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{Event, Waitable, iwait, time::after};
///
/// let (never, soon) = (Event::new(), after(Duration::from_millis(1)));
/// let both = [&never as &dyn Waitable, &soon];
/// let mut first = iwait(&both);
/// first.next();
/// assert_eq!(first.last_index(), Some(1));
/// ```
pub fn after(duration: Duration) -> After {
    let come = Event::new();
    let timer = get_hub().timer(duration, Duration::ZERO);
    let event = come.clone();
    // Only watchers of descriptors can fail to start.
    let _ = timer.start(move || event.set());
    After { come, _timer: timer }
}

impl Waitable for After {
    fn is_ready(&self) -> bool {
        self.come.is_set()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.come.rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        self.come.unlink(id);
    }
}
