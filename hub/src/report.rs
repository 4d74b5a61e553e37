//! Where errors go that have no other home: the hub's error handler, and the default report on stderr.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::panic::Location;
use std::rc::Rc;
use std::time::SystemTime;

use crate::core::Core;
use crate::exception::{Failure, SystemExit};
use crate::links::Notified;
use crate::task::AnyGreenlet;
use crate::unwind::{Escape, guard, guard_drop};

/// What failed, for the [error handler](crate::Hub::set_error_handler).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorContext {
    /// A greenlet ended with an error.
    Greenlet(AnyGreenlet),
    /// A raw greenlet ended with an error.
    Raw(AnyGreenlet),
    /// A job that another thread ran for this one, started there, ended with an error.
    Job(&'static Location<'static>),
    /// A callback that the hub ran failed.
    Callback,
    /// A watcher's callback failed.
    Watcher(&'static str),
    /// A link of a greenlet failed.
    Link(Option<AnyGreenlet>),
    /// A link of some other object (an event, a semaphore) failed.
    ObjectLink(&'static str),
    /// A closure posted by another thread failed.
    Remote,
    /// A spawn callback failed.
    SpawnCallback,
    /// A destructor failed that the hub ran on somebody's behalf.
    Destructor,
}

impl ErrorContext {
    /// That of a link to this.
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
            ErrorContext::Remote => f.write_str("posted callback"),
            ErrorContext::SpawnCallback => f.write_str("spawn callback"),
            ErrorContext::Destructor => f.write_str("destructor"),
        }
    }
}

/// What [`Hub::set_error_handler`](crate::Hub::set_error_handler) takes in place of the default report.
pub type ErrorHandler = Rc<dyn Fn(&ErrorContext, &Failure)>;

/// The default report: the error, then one line with the time, the context and the kind of the error.
///
/// A panic's message and backtrace have been printed by the panic hook already.
pub(crate) fn print(context: &ErrorContext, failure: &Failure) {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let text = if failure.is_panic() {
        format!("{now} {context} failed with panic\n\n")
    } else {
        format!("{failure}\n{now} {context} failed with {}\n\n", failure.kind())
    };
    write(&text);
}

/// Writes to stderr, where a failure to write has nobody left to be told to.
pub(crate) fn write(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints the default report. The error's text is made by code of the user's, which may panic.
fn print_guarded(context: &ErrorContext, failure: &Failure) {
    if let Err(escape) = guard(|| print(context, failure)) {
        escape.let_go();
        write(&format!("ramie: the report of a {} has failed\n", failure.kind()));
    }
}

/// What a hub does with errors that have no other home.
pub(crate) struct Reports {
    pub(crate) handler: RefCell<Option<ErrorHandler>>,
    /// What is no error to the default report.
    pub(crate) not_error: RefCell<Vec<OfKind>>,
}

/// Whether a failure is of one kind.
type OfKind = fn(&Failure) -> bool;

impl Default for Reports {
    fn default() -> Self {
        Reports { handler: RefCell::new(None), not_error: RefCell::new(vec![Failure::is::<SystemExit>]) }
    }
}

impl Core {
    /// Hands an error that has no other home to the error handler; a system error also goes to main.
    pub(crate) fn handle_error(&self, context: &ErrorContext, failure: &Failure) {
        let handler = self.reports.handler.borrow().clone();
        match handler {
            Some(handler) => {
                if let Err(escape) = self.as_hub(|| guard(|| handler(context, failure))) {
                    let failure = escape.into_failure();
                    print_guarded(context, &failure);
                    guard_drop(failure);
                }
            }
            None if self.reports.not_error.borrow().iter().any(|matches| matches(failure)) => {}
            None => print_guarded(context, failure),
        }
        if let Some(exception) = failure.exception().filter(|exception| exception.is::<SystemExit>()) {
            self.urgent.borrow_mut().push_back(exception.clone());
            if self.in_hub() {
                self.deliver_urgent();
            }
        }
    }

    /// Reports what a guarded call was left with, and lets go of it.
    pub(crate) fn report(&self, context: &ErrorContext, escape: Escape) {
        let failure = escape.into_failure();
        self.handle_error(context, &failure);
        guard_drop(failure);
    }

    /// Runs a closure of the user inside the hub; an error is reported.
    pub(crate) fn call(&self, context: impl FnOnce() -> ErrorContext, f: impl FnOnce()) -> bool {
        match guard(f) {
            Ok(()) => true,
            Err(escape) => {
                self.report(&context(), escape);
                false
            }
        }
    }

    pub(crate) fn set_error_handler(&self, handler: Option<ErrorHandler>) -> Option<ErrorHandler> {
        std::mem::replace(&mut *self.reports.handler.borrow_mut(), handler)
    }
}
