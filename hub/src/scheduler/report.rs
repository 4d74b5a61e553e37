//! Reports of errors that no caller can receive: the hub's error handler, and the default report on
//! stderr.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::SystemTime;

use crate::exception::Failure;
use crate::stderr;
use crate::task::AnyGreenlet;
use crate::task::Notified;

/// The origin of an error, for the [error handler](crate::Hub::set_error_handler).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorContext {
    /// A greenlet ended with an error.
    Greenlet(AnyGreenlet),
    /// A raw greenlet ended with an error.
    Raw(AnyGreenlet),
    /// A job started there, which another thread ran for this one, ended with an error.
    Job(&'static Location<'static>),
    /// A callback of the hub failed.
    Callback,
    /// A watcher's callback failed.
    Watcher(&'static str),
    /// A link of a greenlet failed.
    Link(Option<AnyGreenlet>),
    /// A link of another object (an event, a semaphore) failed.
    ObjectLink(&'static str),
    /// A closure posted by another thread failed.
    Remote,
    /// A server could not accept a connection or message, and continues after a pause. The greenlet
    /// is the one that accepts.
    Server(AnyGreenlet),
    /// A spawn callback failed.
    SpawnCallback,
    /// A destructor that the hub ran failed.
    Destructor,
}

impl ErrorContext {
    /// Returns the context of a link to this object.
    pub(crate) fn of_link(of: &Notified) -> Self {
        match of {
            Notified::Greenlet(record) => ErrorContext::Link(Some(AnyGreenlet::from(record))),
            Notified::Object(object) => ErrorContext::ObjectLink(object.kind()),
        }
    }
}

impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorContext::Greenlet(greenlet) | ErrorContext::Raw(greenlet) => fmt::Debug::fmt(greenlet, f),
            ErrorContext::Job(site) => write!(f, "job started at {site}"),
            ErrorContext::Callback => f.write_str("callback"),
            ErrorContext::Watcher(kind) => write!(f, "{kind} watcher"),
            ErrorContext::Link(Some(greenlet)) => write!(f, "link of {greenlet:?}"),
            ErrorContext::Link(None) => f.write_str("link"),
            ErrorContext::ObjectLink(kind) => write!(f, "link of {kind}"),
            ErrorContext::Server(greenlet) => write!(f, "taking in {greenlet:?}"),
            ErrorContext::Remote => f.write_str("posted callback"),
            ErrorContext::SpawnCallback => f.write_str("spawn callback"),
            ErrorContext::Destructor => f.write_str("destructor"),
        }
    }
}

/// An error handler, which [`Hub::set_error_handler`](crate::Hub::set_error_handler) installs in
/// place of the default report.
pub type ErrorHandler = Rc<dyn Fn(&ErrorContext, &Failure)>;

/// Prints the default report: the error, then one line with the time, the context and the kind of
/// the error.
///
/// The panic hook has already printed a panic's message and backtrace.
pub(crate) fn print(context: &ErrorContext, failure: &Failure) {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let text = if failure.is_panic() {
        format!("{now} {context} failed with panic\n\n")
    } else {
        format!("{failure}\n{now} {context} failed with {}\n\n", failure.kind())
    };
    stderr::write(&text);
}
