//! Bodies that run on a thread for the hub of another thread: their failures must be sendable.

use std::any::Any;
use std::fmt;

use crate::exception::{Exception, Failure, FailureText, GreenletExit, SystemExit};
use crate::inbox::thread_bound::{ThreadBound, hub_number};
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::task::body::{Body, ScopedBody};

/// The failure of a body, in a form that can be sent to another thread. Made by [`run_job`].
pub struct JobFailure<E>(Cause<E>);

enum Cause<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
    Exit(SystemExit),
    /// A plain kill.
    Kill,
    /// An exception that was raised on the thread that receives it.
    Here(ThreadBound<Exception>),
    Elsewhere(FailureText),
}

/// Runs a body in the caller, catches its failure, and returns the outcome in a form that can be
/// sent to another thread.
///
/// The `Err` of a [`fallible`](crate::fallible) body and the payload of a panic stay as they are.
/// An exception that ramie raises, for example a [`LoopExit`](crate::LoopExit), is bound to the
/// thread that it was raised on: the receiver gets its [`FailureText`]. A [`SystemExit`] is passed
/// on as it is.
///
/// # Errors
///
/// The failure of the body.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::hub::run_job;
/// use ramie::fallible;
///
/// let job = fallible(|| "twelve".parse::<u32>());
/// let failed = thread::spawn(move || run_job(job)).join().unwrap().unwrap_err();
/// assert!(failed.into_failure().is::<std::num::ParseIntError>());
/// ```
pub fn run_job<B: Body>(body: B) -> Result<B::Value, JobFailure<B::Error>> {
    run_job_for(0, body)
}

/// Runs a body for the hub with this number, which may be the hub of this thread; 0 means no hub.
pub(crate) fn run_job_for<B: ScopedBody>(home: u64, body: B) -> Result<B::Value, JobFailure<B::Error>> {
    match guard(|| body.run()) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(JobFailure(Cause::Error(error))),
        Err(Escape::Panic(payload)) => Err(JobFailure(Cause::Panic(payload))),
        Err(Escape::Exception(exception)) if home != 0 && home == hub_number() => {
            Err(JobFailure(Cause::Here(ThreadBound::new(exception))))
        }
        Err(Escape::Exception(exception)) => Err(JobFailure(abroad(exception))),
    }
}

/// Converts an exception of another hub's thread.
fn abroad<E>(exception: Exception) -> Cause<E> {
    if let Some(exit) = exception.downcast_ref::<SystemExit>() {
        return Cause::Exit(*exit);
    }
    Cause::Elsewhere(text(Failure::from(exception)))
}

fn text(failure: Failure) -> FailureText {
    // The formatting and the destructor are user code.
    let text = guard(|| failure.to_text()).unwrap_or_else(|escape| {
        escape.let_go();
        FailureText::unreadable(&failure)
    });
    guard_drop(failure);
    text
}

impl<E> JobFailure<E> {
    /// Creates the failure of a body that returned an error.
    pub(crate) fn from_error(error: E) -> Self {
        JobFailure(Cause::Error(error))
    }

    /// Converts the failure of a greenlet. The payload of a panic stays in the greenlet; its message
    /// is passed on.
    pub(crate) fn from_failure(failure: &Failure) -> Self {
        JobFailure(match failure.exception() {
            Some(_) if failure.is_exit() => Cause::Kill,
            Some(exception) => abroad(exception.clone()),
            None => match failure.panic_message() {
                Some(message) => Cause::Panic(Box::new(message.to_owned())),
                None => Cause::Panic(Box::new("(a payload without a message)")),
            },
        })
    }
}

impl<E: fmt::Debug + fmt::Display + 'static> JobFailure<E> {
    /// Converts this into a failure, on the thread that receives it.
    pub fn into_failure(self) -> Failure {
        match self.0 {
            Cause::Error(error) => Failure::from(Exception::new(error)),
            Cause::Panic(payload) => Failure::panicked(payload),
            Cause::Exit(exit) => Failure::from(Exception::new(exit)),
            Cause::Kill => Failure::from(Exception::new(GreenletExit)),
            Cause::Here(mut exception) => {
                Failure::from(exception.take().expect("the exception is on the thread that it was raised on"))
            }
            Cause::Elsewhere(text) => Failure::from(Exception::new(text)),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for JobFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("JobFailure");
        match &self.0 {
            Cause::Error(error) => tuple.field(error),
            Cause::Panic(_) => tuple.field(&"panic"),
            Cause::Exit(exit) => tuple.field(exit),
            Cause::Kill => tuple.field(&GreenletExit),
            Cause::Here(exception) => tuple.field(&exception.get()),
            Cause::Elsewhere(text) => tuple.field(text),
        };
        tuple.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::unwind::raise;

    /// A payload that panics when it is dropped.
    struct Payload;

    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("once more")
        }
    }

    /// An error that cannot be formatted.
    #[derive(Debug)]
    struct Mute;

    impl fmt::Display for Mute {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::panic::panic_any(Payload)
        }
    }

    #[test]
    fn what_was_raised_travels_as_text() {
        let failure = run_job(|| -> () { raise("no luck") }).unwrap_err().into_failure();
        let text = failure.downcast_ref::<FailureText>().expect("it is a text");
        assert_eq!((text.kind(), text.to_string()), ("&str", String::from("no luck")));
    }

    #[test]
    fn a_text_that_panics_is_done_without() {
        // Raised by a greenlet, since main would need the text at once.
        let failed = crate::spawn(|| run_job(|| -> () { raise(Mute) }).unwrap_err().into_failure());
        let failure = failed.take().expect("the greenlet ends well");
        assert!(failure.downcast_ref::<FailureText>().is_some_and(|text| text.kind().ends_with("Mute")));
    }

    #[test]
    fn a_system_exit_stays_one() {
        let failure = run_job(|| -> () { raise(SystemExit(3)) }).unwrap_err().into_failure();
        assert_eq!(failure.downcast_ref(), Some(&SystemExit(3)));
    }
}
