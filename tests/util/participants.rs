//! The participants of a test of shared objects: greenlets of several hubs, and threads without a
//! hub.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use ramie::hub::has_hub;
use ramie::{get_hub, run, spawn, yield_now};

use super::within;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// The limit of what is to expire.
pub(crate) const SHORT: Duration = Duration::from_millis(10);
/// The limit of what something else is to end.
pub(crate) const LONG: Duration = Duration::from_secs(50);

/// A thread or greenlet that waits, or wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A thread that has no hub, and gets none.
    Plain,
    /// The main greenlet of a hub.
    Main,
    /// A greenlet of a hub.
    Greenlet,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Plain, Kind::Main, Kind::Greenlet];

/// Runs `body` on a thread of its own as one of that kind.
pub(crate) fn on<T: Send + 'static>(kind: Kind, body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(move || match kind {
        Kind::Plain => {
            let value = body();
            assert!(!has_hub(), "waiting has made a hub");
            value
        }
        Kind::Main => {
            get_hub();
            body()
        }
        Kind::Greenlet => run(|| spawn(body).take().expect("the body does not fail")),
    })
}

/// Calls `test` with each pair of kinds, inside `within`.
pub(crate) fn each_pair(test: fn(Kind, Kind)) {
    for one in KINDS {
        for other in KINDS {
            within(LIMIT, move || test(one, other));
        }
    }
}

/// Waits for the action of another participant, whichever kind of thread this is.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        if has_hub() {
            yield_now();
        }
        thread::yield_now();
    }
}

pub(crate) fn ignore<T>(_: T) {}

pub(crate) fn done<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread does not panic")
}
