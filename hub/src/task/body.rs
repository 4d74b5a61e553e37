//! The bodies of greenlets: a closure, or a closure with an `Err` that is the greenlet's exception.

use std::convert::Infallible;
use std::fmt;

/// A body that a greenlet of a [`scope`](crate::scope) can run: any closure without arguments, or
/// [`fallible`] around a closure that returns `Result`.
pub trait ScopedBody {
    /// The type of the greenlet's value.
    type Value;

    /// The type of the error, which becomes the greenlet's exception.
    type Error: fmt::Debug + fmt::Display + 'static;

    /// Runs the body to its end.
    ///
    /// # Errors
    ///
    /// The error that the greenlet fails with.
    fn run(self) -> Result<Self::Value, Self::Error>;
}

/// A body that any greenlet can run: a [`ScopedBody`] that borrows nothing.
// The value has a bound of its own: the bound of a closure's type does not cover the closure's
// return type.
pub trait Body: ScopedBody<Value: 'static> + 'static {}

impl<B: ScopedBody<Value: 'static> + 'static> Body for B {}

impl<F, T> ScopedBody for F
where
    F: FnOnce() -> T,
{
    type Value = T;
    type Error = Infallible;

    // Inlined into the frame that catches: an unwinding then crosses one frame less.
    #[inline(always)]
    fn run(self) -> Result<T, Infallible> {
        Ok(self())
    }
}

/// A closure with an `Err` that is the greenlet's exception. Made by [`fallible`].
#[derive(Clone, Copy)]
pub struct Fallible<F>(F);

impl<F, T, E> ScopedBody for Fallible<F>
where
    F: FnOnce() -> Result<T, E>,
    E: fmt::Debug + fmt::Display + 'static,
{
    type Value = T;
    type Error = E;

    #[inline(always)]
    fn run(self) -> Result<T, E> {
        (self.0)()
    }
}

impl<F> fmt::Debug for Fallible<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fallible(..)")
    }
}

/// Makes the `Err` of a closure the exception of the greenlet that runs it.
///
/// Without `fallible` a closure that returns a `Result` is like any other: its greenlet succeeds,
/// with a `Result` as its value. With `fallible` an `Err` is a failure:
/// [`get`](crate::Greenlet::get) returns it, links for exceptions are called, and
/// [`joinall`](crate::joinall) with `raise_error` returns it. Nothing is unwound for it.
///
/// # Examples
///
/// ```
/// use ramie::{fallible, spawn};
///
/// let g = spawn(fallible(|| "twelve".parse::<u32>()));
/// let failure = g.get().unwrap_err();
/// assert!(failure.is::<std::num::ParseIntError>());
/// assert!(!g.successful());
/// ```
pub fn fallible<F, T, E>(f: F) -> Fallible<F>
where
    F: FnOnce() -> Result<T, E>,
{
    Fallible(f)
}
