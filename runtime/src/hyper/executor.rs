//! Tasks of hyper as greenlets.

use std::future::Future;

use hyper::rt::Executor;

use crate::{block_on, spawn};

/// An executor that drives each future in a greenlet of its own on the calling thread. HTTP/2 needs
/// one: `http2::Builder::new(RamieExecutor)`.
///
/// Futures need not be `Send`. The output of a future is dropped, and a panic is reported as the
/// failure of the greenlet.
///
/// # Examples
///
/// ```
/// use hyper::rt::Executor;
/// use ramie::hyper::RamieExecutor;
/// use ramie::sync::Event;
///
/// let done = Event::new();
/// let other = done.clone();
/// RamieExecutor.execute(async move { other.set() });
/// done.wait();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RamieExecutor;

impl<F: Future + 'static> Executor<F> for RamieExecutor {
    fn execute(&self, future: F) {
        spawn(move || drop(block_on(future)));
    }
}
