//! Raising and catching: gevent's exceptions as typed unwinding.
//!
//! An exception arrives at the blocking call of its greenlet as `std::panic::resume_unwind` with a
//! [`Raised`] payload: no panic hook runs, destructors do. The code that catches it (the greenlet's
//! entry, a timeout's scope, [`catch`], or a user's `catch_unwind`) identifies it by the payload's
//! type.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::exception::{Exception, Failure};
use crate::inbox::thread_bound::{ThreadBound, hub_number};
use crate::scheduler::current;
use crate::stderr;

/// The payload of an unwinding that carries an [`Exception`].
///
/// Code that calls `std::panic::catch_unwind` itself receives it as the payload. It either passes
/// the payload on with `resume_unwind` or takes the exception out; taking it out marks the
/// exception as handled.
///
/// If the payload is dropped while it still holds its exception, the exception was *swallowed*: by
/// code that catches every panic and does not know greenlets, such as a framework around a
/// request's handler.
///
/// * A kill or a scope timeout that was swallowed is raised once more, at the greenlet's next wait,
///   unless it has become void by then. If it is swallowed a second time it is lost, and a message
///   on stderr reports it.
/// * A [scope](crate::Timeout::scope) with a swallowed timeout returns the error even if its
///   closure has returned a value.
/// * An exception that was raised in a main greenlet is printed on stderr: this happens when it is
///   not caught and `main` ends.
///
/// # Examples
///
/// ```
/// use std::panic::catch_unwind;
/// use std::time::Duration;
/// use ramie::{TimedOut, sleep, with_timeout};
///
/// let answer = with_timeout(Duration::from_millis(1), || {
///     let handled = catch_unwind(|| sleep(Duration::from_secs(10)));
///     if handled.is_ok() { "200 OK" } else { "500 Internal Server Error" }
/// });
/// assert_eq!(answer, Err(TimedOut));
/// ```
pub struct Raised {
    exception: ThreadBound<Exception>,
    notice: Option<String>,
}

impl Raised {
    pub(crate) fn new(exception: Exception, in_main: bool) -> Self {
        let notice = in_main.then(|| {
            // The text is formatted by user code. Its panic must not replace the exception.
            guard(|| exception.to_string()).unwrap_or_else(|escape| {
                escape.let_go();
                exception.type_name().to_owned()
            })
        });
        Raised { exception: ThreadBound::new(exception), notice }
    }

    /// Returns the exception; `None` on any thread except the one it was raised on.
    pub fn exception(&self) -> Option<&Exception> {
        self.exception.get()
    }

    /// Takes the exception out: it counts as handled.
    pub fn into_exception(mut self) -> Option<Exception> {
        self.notice = None;
        self.exception.take()
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some(notice) = self.notice.take() {
            stderr::write(&format!("ramie: the main greenlet was ended by an exception: {notice}\n"));
        }
        if let Some(exception) = self.exception.take() {
            if let Some(core) = current::try_core() {
                core.swallowed(exception);
            }
        }
    }
}

impl fmt::Debug for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raised").field("exception", &self.exception()).finish_non_exhaustive()
    }
}

/// The reason why a guarded call was left without returning.
pub(crate) enum Escape {
    Exception(Exception),
    Panic(Box<dyn Any + Send>),
}

impl Escape {
    /// Classifies a caught payload.
    #[cold]
    pub(crate) fn sort(payload: Box<dyn Any + Send>) -> Escape {
        match payload.downcast::<Raised>() {
            Ok(raised) if raised.exception().is_some() => {
                if let Some(core) = current::try_core() {
                    core.caught();
                }
                Escape::Exception(raised.into_exception().expect("checked above"))
            }
            Ok(raised) => Escape::Panic(raised),
            Err(payload) => Escape::Panic(payload),
        }
    }

    /// Converts this into the failure of a greenlet that ends with it.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Escape::Exception(exception) => Failure::raised(exception),
            Escape::Panic(payload) => Failure::panicked(payload),
        }
    }

    /// Returns the exception that a greenlet is killed with when the scope around it is left with
    /// this.
    pub(crate) fn exception(&self) -> Exception {
        match self {
            Escape::Exception(exception) => exception.clone(),
            Escape::Panic(_) => Exception::new("the scope around this greenlet panicked"),
        }
    }

    /// Drops this where no caller can receive it and the panic hook has reported it. The payload of
    /// a second panic, from its destructor, is leaked.
    pub(crate) fn let_go(self) {
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(self))) {
            Box::leak(again);
        }
    }

    /// Continues the unwinding.
    pub(crate) fn resume(self) -> ! {
        match self {
            Escape::Exception(exception) => raise_again(exception),
            Escape::Panic(payload) => resume_unwind(payload),
        }
    }
}

/// Raises an exception, also on a thread with a hub that has ended.
fn raise_again(exception: Exception) -> ! {
    match current::try_core() {
        None if hub_number() != 0 => resume_unwind(Box::new(Raised::new(exception, true))),
        // An exception is bound to the number of a hub, so a thread that has had none needs one.
        _ => current::core().raise(exception),
    }
}

/// Runs `f` and classifies its escape.
#[inline]
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Result<R, Escape> {
    // An unwinding leaves no state of the hub half-changed: every wait cleans up by guards.
    catch_unwind(AssertUnwindSafe(f)).map_err(Escape::sort)
}

/// Drops a user value where no caller can receive a panic.
pub(crate) fn guard_drop<T>(value: T) {
    if let Err(escape) = guard(move || drop(value)) {
        escape.let_go();
    }
}

/// Raises an exception in the running greenlet: unwinds it, running destructors but no panic hook.
///
/// The exception is caught by [`catch`], or by the end of the greenlet, where it becomes the
/// [`Failure`]. If it is not caught in the main greenlet, the process ends as after a panic, and
/// the exception is printed on stderr.
///
/// # Examples
///
/// ```
/// let g = ramie::spawn(|| -> () { ramie::raise("no such page") });
/// assert_eq!(g.get().unwrap_err().downcast_ref(), Some(&"no such page"));
/// ```
pub fn raise<E: fmt::Debug + fmt::Display + 'static>(error: E) -> ! {
    raise_again(Exception::new(error))
}

/// An exception caught by [`catch`], with the requested type.
#[derive(Clone)]
pub struct Caught<E> {
    exception: Exception,
    /// Invariant: the exception has exactly this type.
    kind: PhantomData<fn(E) -> E>,
}

impl<E> Caught<E> {
    /// Returns the exception itself, to compare it or to raise it again.
    pub fn into_exception(self) -> Exception {
        self.exception
    }

    /// Returns a reference to the exception itself.
    pub fn exception(&self) -> &Exception {
        &self.exception
    }
}

impl<E: 'static> Deref for Caught<E> {
    type Target = E;

    fn deref(&self) -> &E {
        self.exception.downcast_ref().expect("the type was checked when it was caught")
    }
}

impl<E> fmt::Debug for Caught<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caught").field(&self.exception).finish()
    }
}

impl<E> fmt::Display for Caught<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exception.fmt(f)
    }
}

impl<E: 'static> std::error::Error for Caught<E> {}

/// Runs `f` and catches an exception of type `E` that is raised in it. Any other exception, and any
/// panic, passes through.
///
/// This corresponds to gevent's `try: ... except E:`. A greenlet that is killed may catch its
/// [`GreenletExit`](crate::GreenletExit) with it and continue.
///
/// # Examples
///
/// ```
/// use ramie::{GreenletExit, catch, sleep, spawn};
/// use std::time::Duration;
///
/// let g = spawn(|| match catch::<GreenletExit, _>(|| sleep(Duration::from_secs(10))) {
///     Ok(()) => "slept",
///     Err(_exit) => "killed, and lived to tell",
/// });
/// sleep(Duration::ZERO);
/// g.kill();
/// assert_eq!(g.get().unwrap(), "killed, and lived to tell");
/// ```
pub fn catch<E: 'static, R>(f: impl FnOnce() -> R) -> Result<R, Caught<E>> {
    match guard(f) {
        Ok(value) => Ok(value),
        Err(Escape::Exception(exception)) if exception.is::<E>() => {
            Err(Caught { exception, kind: PhantomData })
        }
        Err(escape) => escape.resume(),
    }
}
