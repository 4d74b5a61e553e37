//! Where handlers run, and what they may return.

use std::convert::Infallible;
use std::fmt;

use ramie_hub::Body;
use ramie_pool::{Group, Pool};

/// What a handler may return: nothing, or a `Result`, whose error is the failure of the handler's greenlet.
///
/// The value of a `Result` is dropped, so `io::copy(…)` is a fine end of a handler.
pub trait Outcome {
    /// What a bad end is.
    type Error: fmt::Debug + fmt::Display + 'static;

    /// The outcome as a `Result`.
    ///
    /// # Errors
    ///
    /// What the handler has failed with.
    fn into_result(self) -> Result<(), Self::Error>;
}

impl Outcome for () {
    type Error = Infallible;

    fn into_result(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<T, E: fmt::Debug + fmt::Display + 'static> Outcome for Result<T, E> {
    type Error = E;

    fn into_result(self) -> Result<(), E> {
        self.map(drop)
    }
}

/// Where handlers run: in a group, by which their server knows them, and perhaps in a pool that limits them.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) group: Group,
    pub(super) pool: Option<Pool>,
}

impl Place {
    /// Waits until another handler may begin, and reserves nothing; says whether one may. Without a limit it does not wait.
    pub(super) fn wait(&self) -> bool {
        self.pool.as_ref().is_none_or(|pool| pool.wait_available() > 0)
    }

    /// Starts a handler. It waits for a slot only if somebody took it after [`wait`](Place::wait).
    pub(super) fn spawn<B: Body>(&self, body: B) {
        match &self.pool {
            None => drop(self.group.spawn(body)),
            Some(pool) => self.group.add(pool.spawn(body).as_any()),
        }
    }
}
