//! The values that interrupt a greenlet ([`Exception`]) and that a greenlet fails with
//! ([`Failure`]).
//!
//! gevent's exceptions become values of any type that implements `Debug` and `Display`. They are
//! cheap to clone and keep their identity: every reader of a greenlet's failure gets the same one.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

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
/// # Examples
///
/// ```
/// let g = ramie::spawn(|| -> u32 { panic!("no luck") });
/// let failure = g.get().unwrap_err();
/// assert_eq!(failure.panic_message(), Some("no luck"));
/// ```
#[derive(Clone)]
pub struct Failure(Cause);

#[derive(Clone)]
enum Cause {
    Exception(Exception),
    Panic(Rc<dyn Any + Send>),
    Taken,
}

impl Failure {
    pub(crate) fn raised(exception: Exception) -> Self {
        Failure(Cause::Exception(exception))
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
        Failure(Cause::Panic(Rc::from(payload)))
    }

    pub(crate) fn taken() -> Self {
        Failure(Cause::Taken)
    }

    /// Returns the exception that ended the greenlet; `None` after a panic.
    pub fn exception(&self) -> Option<&Exception> {
        match &self.0 {
            Cause::Exception(exception) => Some(exception),
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
        matches!(self.0, Cause::Panic(_))
    }

    /// Returns `true` if the greenlet returned a value that was [taken](crate::Greenlet::take)
    /// before.
    pub fn is_taken(&self) -> bool {
        matches!(self.0, Cause::Taken)
    }

    /// Returns the payload of the panic, as `std::thread::JoinHandle::join` would.
    pub fn panic_payload(&self) -> Option<&(dyn Any + Send)> {
        match &self.0 {
            Cause::Panic(payload) => Some(&**payload),
            _ => None,
        }
    }

    /// Returns the message of the panic, if there is one.
    pub fn panic_message(&self) -> Option<&str> {
        let payload = self.panic_payload()?;
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }

    /// Returns `true` if both are the same failure.
    pub fn same(&self, other: &Failure) -> bool {
        match (&self.0, &other.0) {
            (Cause::Exception(a), Cause::Exception(b)) => a.same(b),
            (Cause::Panic(a), Cause::Panic(b)) => Rc::ptr_eq(a, b),
            (Cause::Taken, Cause::Taken) => true,
            _ => false,
        }
    }

    /// Returns the text of the failure, which may be sent to any thread. The failure itself may
    /// hold values that belong to its thread, so it is not `Send`, as many error types require of
    /// their sources.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::error::Error;
    /// use ramie::{fallible, spawn};
    ///
    /// fn total() -> Result<u32, Box<dyn Error + Send + Sync>> {
    ///     let g = spawn(fallible(|| "twelve".parse::<u32>()));
    ///     Ok(g.get().map_err(|failure| failure.to_text())?)
    /// }
    /// assert_eq!(total().unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    pub fn to_text(&self) -> FailureText {
        FailureText { kind: self.kind(), message: self.to_string() }
    }

    /// Returns the short name of the failure for reports: the type of the exception, or `panic`.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.0 {
            Cause::Exception(exception) => exception.type_name(),
            Cause::Panic(_) => "panic",
            Cause::Taken => "taken value",
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Exception(exception) => f.debug_tuple("Failure").field(exception).finish(),
            Cause::Panic(_) => f.debug_struct("Failure").field("panic", &self.panic_message()).finish(),
            Cause::Taken => f.write_str("Failure(taken)"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Exception(exception) => exception.fmt(f),
            Cause::Panic(_) => write!(f, "panicked: {}", self.panic_message().unwrap_or("(no message)")),
            Cause::Taken => f.write_str("the value was taken by another holder of the greenlet"),
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
