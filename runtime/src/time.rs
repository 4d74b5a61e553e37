//! Points in time: sleeping until one, and waiting for one beside other objects.
//!
//! | to | use |
//! |---|---|
//! | pause | [`sleep`], [`sleep_until`] |
//! | limit one call | the call's own `_timeout` form, which returns a value |
//! | limit a section of code | [`with_timeout`](crate::with_timeout), [`Timeout`](crate::Timeout) |
//! | wait for a point in time or another object | [`after`] with [`iwait`](crate::iwait) or [`select!`](crate::select!) |
//!
//! A sleep lasts at least as long as requested. The system is polled in whole milliseconds, so a
//! shorter sleep may last one.

use std::time::{Duration, Instant};

use ramie_hub::{Event, LinkId, Waitable, Watcher, get_hub, sleep};

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
/// use ramie::sync::Event;
/// use ramie::time::after;
/// use ramie::{Waitable, iwait};
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
