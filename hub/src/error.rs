//! The simple errors of the hub: one type for each way to fail.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use crate::exception::Failure;

/// The error of a wait that ended because its time was up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for TimedOut {}

impl From<TimedOut> for std::io::Error {
    fn from(error: TimedOut) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, error)
    }
}

/// The error of [`Greenlet::get_timeout`](crate::Greenlet::get_timeout) and
/// [`try_get`](crate::Greenlet::try_get).
#[derive(Clone, Debug)]
pub enum GetError {
    /// The greenlet has not ended yet.
    TimedOut,
    /// The greenlet ended without a value.
    Failed(Failure),
}

impl GetError {
    /// Returns `true` if the time was up before the greenlet ended.
    pub fn is_timeout(&self) -> bool {
        matches!(self, GetError::TimedOut)
    }

    /// Returns the greenlet's failure, if it has ended.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            GetError::TimedOut => None,
            GetError::Failed(failure) => Some(failure),
        }
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::TimedOut => TimedOut.fmt(f),
            GetError::Failed(failure) => failure.fmt(f),
        }
    }
}

impl Error for GetError {}

/// The error of a call that waits in a place where nothing can wait: in a callback that the hub
/// itself runs.
///
/// The error is raised in that callback. The hub catches it, reports it and continues.
///
/// A destructor that waits while such a callback *unwinds* is not refused, since an exception out
/// of it would end the process. The destructor waits, and the main greenlet does not run until it
/// is done. If nothing is left that could end the wait, the process is aborted with a message.
/// While a greenlet of the thread waits in the middle of an unwinding, the two cases cannot be
/// distinguished, and the wait is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockingSwitchOutError;

impl fmt::Display for BlockingSwitchOutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("impossible to call a blocking function in a callback of the hub")
    }
}

impl Error for BlockingSwitchOutError {}

/// The error of a call that waits in code that an object calls while it is borrowed: in the
/// comparison of two items of a `PriorityQueue`, or in the clone of an item by `peek`.
///
/// The error is raised in that code, and unwinds into the caller of the object, which stays usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitWhileBorrowed {
    /// The operation that the code was called for.
    pub(crate) call: &'static str,
}

impl fmt::Display for WaitWhileBorrowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "impossible to call a blocking function in {}, which borrows the object", self.call)
    }
}

impl Error for WaitWhileBorrowed {}

/// A waiting greenlet with the call that it waits in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// The greenlet's name.
    pub name: String,
    /// The place where it was spawned; `None` for the main greenlet.
    pub site: Option<&'static Location<'static>>,
    /// The call that it waits in.
    pub reason: &'static str,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(site) = self.site {
            write!(f, " (spawned at {site})")?;
        }
        write!(f, " waits in {}", self.reason)
    }
}

/// The error that is raised in the main greenlet when it waits and nothing is left that could ever
/// wake it.
///
/// The message names every greenlet that is suspended at that moment, the main greenlet first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoopExit {
    /// The suspended greenlets.
    pub waiting: Vec<Waiting>,
}

impl LoopExit {
    /// The number of waiters that the message names; it only counts the others.
    const NAMED: usize = 20;
}

impl fmt::Display for LoopExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this operation would block forever")?;
        for waiting in self.waiting.iter().take(Self::NAMED) {
            write!(f, "\n  {waiting}")?;
        }
        if self.waiting.len() > Self::NAMED {
            write!(f, "\n  and {} more", self.waiting.len() - Self::NAMED)?;
        }
        Ok(())
    }
}

impl Error for LoopExit {}

/// The error of [lent](crate::lend) work that was dropped without being run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotRun;

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the work was dropped without being run")
    }
}

impl Error for NotRun {}

/// The error of a message to a hub that has ended. It gives the message back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HubGone<T>(
    /// The message that could not be delivered.
    pub T,
);

impl<T> HubGone<T> {
    /// Returns the message that could not be delivered.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for HubGone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubGone(..)")
    }
}

impl<T> fmt::Display for HubGone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the hub is gone")
    }
}

impl<T> Error for HubGone<T> {}
