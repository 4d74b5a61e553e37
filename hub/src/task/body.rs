//! What a greenlet runs: a closure, or one whose `Err` is the greenlet's exception.

use std::convert::Infallible;
use std::fmt;

/// Something a greenlet of a [`scope`](crate::scope) can run: any closure without arguments, or [`fallible`] around one that
/// returns `Result`.
pub trait ScopedBody {
    /// What a good end returns.
    type Value;

    /// What a bad end returns: it becomes the greenlet's exception.
    type Error: fmt::Debug + fmt::Display + 'static;

    /// Runs the body to its end.
    ///
    /// # Errors
    ///
    /// What the greenlet fails with.
    fn run(self) -> Result<Self::Value, Self::Error>;
}

/// Something any greenlet can run: a [`ScopedBody`] that borrows nothing.
// The value has a bound of its own: that of a closure's type does not cover what the closure returns.
pub trait Body: ScopedBody<Value: 'static> + 'static {}

impl<B: ScopedBody<Value: 'static> + 'static> Body for B {}

impl<F, T> ScopedBody for F
where
    F: FnOnce() -> T,
{
    type Value = T;
    type Error = Infallible;

    fn run(self) -> Result<T, Infallible> {
        Ok(self())
    }
}

/// A closure whose `Err` is the greenlet's exception. Made by [`fallible`].
#[derive(Clone, Copy)]
pub struct Fallible<F>(F);

impl<F, T, E> ScopedBody for Fallible<F>
where
    F: FnOnce() -> Result<T, E>,
    E: fmt::Debug + fmt::Display + 'static,
{
    type Value = T;
    type Error = E;

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
/// Without it a closure that returns a `Result` is like any other: its greenlet succeeds, with a `Result` as value.
/// With it an `Err` is a failure: [`get`](crate::Greenlet::get) returns it, links for exceptions see it, and
/// [`joinall`](crate::joinall) with `raise_error` returns it. Nothing is unwound for it.
///
/// # Examples
///
/// ```
/// use ramie_hub::{fallible, spawn};
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
