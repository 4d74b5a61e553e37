//! The values that interrupt a greenlet ([`Exception`]) and that a greenlet fails with
//! ([`Failure`]).
//!
//! gevent's exceptions become values of any type that implements `Debug` and `Display`. They are
//! cheap to clone and keep their identity: every reader of a greenlet's failure gets the same one.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::inbox::thread_bound::ThreadBound;

/// The operations of [`Exception`] on its value, without the value's type.
trait Object: Any + fmt::Debug + fmt::Display {
    fn as_any(&self) -> &dyn Any;
    fn type_name(&self) -> &'static str;
}

impl<E: fmt::Debug + fmt::Display + 'static> Object for E {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<E>()
    }
}

/// A value that can be raised in a greenlet: the reason of a kill, a timeout, or a user's error.
///
/// A clone is the same exception: [`same`](Exception::same) compares identity, like `is` in gevent.
///
/// # Examples
///
/// ```
/// use ramie::Exception;
///
/// let exception = Exception::new("out of cheese");
/// assert_eq!(exception.downcast_ref::<&str>(), Some(&"out of cheese"));
/// assert!(exception.same(&exception.clone()));
/// assert!(!exception.same(&Exception::new("out of cheese")));
/// ```
#[derive(Clone)]
pub struct Exception(Rc<dyn Object>);

impl Exception {
    /// Creates an exception from any value that implements `Debug` and `Display`.
    ///
    /// An `Exception` is returned as it is, and so is the exception inside a [`Failure`] that has
    /// one.
    pub fn new<E: fmt::Debug + fmt::Display + 'static>(error: E) -> Self {
        let mut error = Some(error);
        let any: &mut dyn Any = &mut error;
        if let Some(exception) = any.downcast_mut::<Option<Exception>>().and_then(Option::take) {
            return exception;
        }
        if let Some(failure) = any.downcast_mut::<Option<Failure>>() {
            if let Some(exception) = failure.as_ref().and_then(Failure::exception) {
                return exception.clone();
            }
        }
        Exception(Rc::new(error.expect("an Exception that was taken out has been returned")))
    }

    /// Returns `true` if the exception is of type `E`.
    pub fn is<E: 'static>(&self) -> bool {
        self.downcast_ref::<E>().is_some()
    }

    /// Returns the value, if it is of type `E`.
    pub fn downcast_ref<E: 'static>(&self) -> Option<&E> {
        (*self.0).as_any().downcast_ref()
    }

    /// Returns `true` if both are the same exception, not merely equal ones.
    pub fn same(&self, other: &Exception) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the name of the carried type, for messages.
    pub fn type_name(&self) -> &'static str {
        (*self.0).type_name()
    }
}

impl fmt::Debug for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Exception {}

/// The exception of a plain kill. A greenlet that ends with it has ended well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GreenletExit;

impl fmt::Display for GreenletExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("greenlet exit")
    }
}

impl Error for GreenletExit {}

/// A request to end the program with this status. Raised in any greenlet, it arrives in the main
/// greenlet at once.
///
/// The exception is not printed. `ramie::run` ends the process with the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemExit(
    /// The exit status of the process.
    pub i32,
);

impl fmt::Display for SystemExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system exit with status {}", self.0)
    }
}

impl Error for SystemExit {}

/// The reason why a greenlet ended without a value.
///
/// A greenlet is ended either by an [`Exception`] (of a kill, raised by itself, or the `Err` of a
/// [`fallible`](crate::fallible) body) or by a panic. Clones are cheap and are the same failure.
///
/// A failure may be sent to other threads, as error types such as `Box<dyn Error + Send + Sync>`
/// require. But the exception in it may hold values that belong to its thread, so other threads see
/// only its type's name, and the message of a panic. [`to_text`](Failure::to_text) makes the whole
/// text beforehand. If the last clone is dropped on another thread, the exception or the payload of
/// the panic is leaked.
///
/// # Examples
///
/// ```
/// let g = ramie::spawn(|| -> u32 { panic!("no luck") });
/// let failure = g.get().unwrap_err();
/// assert_eq!(failure.panic_message(), Some("no luck"));
/// ```
///
/// With `?`, for any caller:
///
/// ```
/// use std::error::Error;
/// use ramie::{fallible, spawn};
///
/// fn total() -> Result<u32, Box<dyn Error + Send + Sync>> {
///     Ok(spawn(fallible(|| "twelve".parse::<u32>())).get()?)
/// }
/// assert_eq!(total().unwrap_err().to_string(), "invalid digit found in string");
/// ```
#[derive(Clone)]
pub struct Failure(Arc<Inner>);

/// The parts of a failure that any thread may read, and the cause, which only its own thread may.
struct Inner {
    cause: ThreadBound<Cause>,
    kind: &'static str,
    /// The message of a panic.
    message: Option<Box<str>>,
}

enum Cause {
    Exception(Exception),
    Panic(Box<dyn Any + Send>),
    Taken,
}

/// The kind of a failure by a panic.
const PANIC: &str = "panic";
/// The kind of a failure that stands for a value that is not there any more.
const TAKEN: &str = "taken value";

impl Failure {
    fn new(cause: Cause, kind: &'static str, message: Option<Box<str>>) -> Self {
        Failure(Arc::new(Inner { cause: ThreadBound::new(cause), kind, message }))
    }

    pub(crate) fn raised(exception: Exception) -> Self {
        let kind = exception.type_name();
        Failure::new(Cause::Exception(exception), kind, None)
    }

    /// Creates the failure of a panic with this payload, for code that catches panics itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::Failure;
    ///
    /// let payload = std::panic::catch_unwind(|| panic!("no luck")).unwrap_err();
    /// assert_eq!(Failure::panicked(payload).panic_message(), Some("no luck"));
    /// ```
    pub fn panicked(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).map(Box::from);
        Failure::new(Cause::Panic(payload), PANIC, message)
    }

    pub(crate) fn taken() -> Self {
        Failure::new(Cause::Taken, TAKEN, None)
    }

    fn cause(&self) -> Option<&Cause> {
        self.0.cause.get()
    }

    /// Returns the exception that ended the greenlet; `None` after a panic, and on other threads.
    pub fn exception(&self) -> Option<&Exception> {
        match self.cause() {
            Some(Cause::Exception(exception)) => Some(exception),
            _ => None,
        }
    }

    /// Returns `true` if an exception of type `E` ended the greenlet.
    pub fn is<E: 'static>(&self) -> bool {
        self.downcast_ref::<E>().is_some()
    }

    /// Returns the exception's value, if it is of type `E`.
    pub fn downcast_ref<E: 'static>(&self) -> Option<&E> {
        self.exception()?.downcast_ref()
    }

    /// Returns `true` if the greenlet ended by [`GreenletExit`], which counts as success.
    pub fn is_exit(&self) -> bool {
        self.is::<GreenletExit>()
    }

    /// Returns `true` if the greenlet panicked.
    pub fn is_panic(&self) -> bool {
        self.0.kind == PANIC
    }

    /// Returns `true` if the greenlet returned a value that was [taken](crate::Greenlet::take)
    /// before.
    pub fn is_taken(&self) -> bool {
        self.0.kind == TAKEN
    }

    /// Returns the payload of the panic, as `std::thread::JoinHandle::join` would; `None` on other
    /// threads than that of the greenlet.
    pub fn panic_payload(&self) -> Option<&(dyn Any + Send)> {
        match self.cause() {
            Some(Cause::Panic(payload)) => Some(&**payload),
            _ => None,
        }
    }

    /// Returns the message of the panic, if there is one. On any thread.
    pub fn panic_message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Returns `true` if both are the same failure: clones of one, or failures by the same exception.
    pub fn same(&self, other: &Failure) -> bool {
        match (self.cause(), other.cause()) {
            (Some(Cause::Exception(a)), Some(Cause::Exception(b))) => a.same(b),
            (Some(Cause::Taken), Some(Cause::Taken)) => true,
            _ => Arc::ptr_eq(&self.0, &other.0),
        }
    }

    /// Returns the text of the failure, for other threads: there, the text of an exception cannot be
    /// made any more.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{fallible, spawn};
    ///
    /// let g = spawn(fallible(|| "twelve".parse::<u32>()));
    /// let text = g.get().unwrap_err().to_text();
    /// let elsewhere = std::thread::spawn(move || text.to_string());
    /// assert_eq!(elsewhere.join().unwrap(), "invalid digit found in string");
    /// ```
    pub fn to_text(&self) -> FailureText {
        FailureText { kind: self.kind(), message: self.to_string() }
    }

    /// Returns the short name of the failure for reports: the type of the exception, or `panic`.
    pub(crate) fn kind(&self) -> &'static str {
        self.0.kind
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(Cause::Exception(exception)) => f.debug_tuple("Failure").field(exception).finish(),
            _ if self.is_panic() => f.debug_struct("Failure").field("panic", &self.panic_message()).finish(),
            _ if self.is_taken() => f.write_str("Failure(taken)"),
            _ => f.debug_struct("Failure").field("kind", &self.kind()).finish_non_exhaustive(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(Cause::Exception(exception)) => exception.fmt(f),
            _ if self.is_panic() => write!(f, "panicked: {}", self.panic_message().unwrap_or("(no message)")),
            _ if self.is_taken() => f.write_str("the value was taken by another holder of the greenlet"),
            _ => write!(f, "{}, on another thread", self.kind()),
        }
    }
}

impl Error for Failure {}

/// The text of a [`Failure`]. Made by [`Failure::to_text`]; may be sent to any thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureText {
    kind: &'static str,
    message: String,
}

impl FailureText {
    /// Returns a replacement for the text of a failure that cannot be formatted.
    pub(crate) fn unreadable(failure: &Failure) -> Self {
        FailureText { kind: failure.kind(), message: String::from("(its text could not be made)") }
    }

    /// Returns the name of the exception's type, or `panic`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl fmt::Display for FailureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for FailureText {}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Self {
        Failure::raised(exception)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_an_exception_keeps_it() {
        let inner = Exception::new(GreenletExit);
        assert!(Exception::new(inner.clone()).same(&inner));
        assert!(Exception::new(Failure::raised(inner.clone())).same(&inner));
    }

    #[test]
    fn a_panic_wrapped_as_an_exception_stays_readable() {
        let failure = Failure::panicked(Box::new("boom"));
        let exception = Exception::new(failure);
        assert!(exception.downcast_ref::<Failure>().is_some_and(Failure::is_panic));
        assert_eq!(exception.to_string(), "panicked: boom");
    }

    #[test]
    fn clones_are_the_same_failure() {
        let failure = Failure::panicked(Box::new(String::from("boom")));
        assert!(failure.same(&failure.clone()));
        assert_eq!(failure.panic_message(), Some("boom"));
        assert!(!failure.same(&Failure::panicked(Box::new("boom"))));
    }
}
