//! The pool or group that runs handlers, and the result type of handlers.

use std::convert::Infallible;
use std::fmt;

use ramie_hub::Body;
use ramie_pool::{Group, Pool};

/// The result of a handler: nothing, or a `Result`. Its error is the failure of the handler's
/// greenlet.
///
/// The value of a `Result` is dropped, so a handler may end with `io::copy(…)`.
pub trait Outcome {
    /// The error type.
    type Error: fmt::Debug + fmt::Display + 'static;

    /// Converts the outcome to a `Result`.
    ///
    /// # Errors
    ///
    /// Returns the error of the handler.
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

/// The execution context of handlers: a group, which tracks the handlers of one server, and
/// optionally a pool, which limits them.
#[derive(Clone)]
pub(super) struct HandlerPool {
    pub(super) group: Group,
    pub(super) pool: Option<Pool>,
}

impl HandlerPool {
    /// Waits until another handler may start, without reserving a slot. Returns `false` if none may
    /// start. Does not wait if there is no limit.
    pub(super) fn wait(&self) -> bool {
        self.pool.as_ref().is_none_or(|pool| pool.wait_available() > 0)
    }

    /// Starts a handler. Waits for a slot only if another greenlet took it after
    /// [`wait`](HandlerPool::wait).
    pub(super) fn spawn<B: Body>(&self, body: B) {
        match &self.pool {
            None => drop(self.group.spawn(body)),
            Some(pool) => self.group.add(pool.spawn(body).as_any()),
        }
    }
}
