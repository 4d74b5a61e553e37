//! The tools of the integration tests: an alarm for a test that hangs, and assertions about types.
//!
//! Not a target of its own; a test file opens with `mod util;`.

#![allow(dead_code, reason = "each test file is a crate of its own and takes only what it needs")]

use std::any::type_name;
use std::panic::{Location, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

pub(crate) mod borrow_fixtures;
pub(crate) mod certificate;
#[cfg(unix)]
pub(crate) mod children;
pub(crate) mod eventually;
pub(crate) mod executor;
pub(crate) mod folder;
pub(crate) mod footprint;
pub(crate) mod generic_waits;
pub(crate) mod log;
pub(crate) mod mapped;
pub(crate) mod participants;
pub(crate) mod saturated_peers;
pub(crate) mod sleepers;
pub(crate) mod subprocess;

/// Runs `body` on an OS thread of its own, with a hub of its own, and returns what it returns.
///
/// The thread carries the name of the test, which the closure's type knows even where the harness
/// runs tests on its main thread. The thread of a body that hangs is left behind, for the process
/// to end.
///
/// # Panics
///
/// With the payload of `body` when that panics, and with the name of the test when `limit` is over
/// first.
#[track_caller]
pub(crate) fn within<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(limit: Duration, body: F) -> T {
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    let (alive, watch) = channel::<()>();
    let test = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Dropped on return and while unwinding alike: the watch then reports a disconnection,
        // never a message.
        let _alive = alive;
        body()
    });
    let test = test.expect("the system gives a test its thread");
    if watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        panic!("{name} hangs: not over after {limit:?}, at {}", Location::caller());
    }
    test.join().unwrap_or_else(|payload| resume_unwind(payload))
}

/// Compiles only for a type that may go to another thread.
pub(crate) fn assert_send<T: Send + ?Sized>() {}
