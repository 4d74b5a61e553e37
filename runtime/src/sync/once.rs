//! Doing something once, even if it takes a wait.

use std::cell;
use std::fmt;

use ramie_hub::Semaphore;

/// A value that is made once, by the first who asks: `std::sync::OnceLock`'s counterpart, named as the cell it is.
///
/// Making it may wait; whoever asks meanwhile waits too.
///
/// # Examples
///
/// ```
/// use ramie::sync::OnceCell;
///
/// let cell = OnceCell::new();
/// assert_eq!(cell.get(), None);
/// assert_eq!(*cell.get_or_init(|| { ramie::yield_now(); 5 }), 5);
/// assert_eq!(cell.set(6), Err(6));
/// ```
pub struct OnceCell<T> {
    value: cell::OnceCell<T>,
    making: Semaphore,
}

impl<T> OnceCell<T> {
    /// A cell without a value.
    pub fn new() -> Self {
        OnceCell { value: cell::OnceCell::new(), making: Semaphore::new(1) }
    }

    /// The value, if it was made.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if it was made.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Sets the value, waiting for somebody who is just making it.
    ///
    /// # Errors
    ///
    /// The value given, when there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.value.get().is_some() {
            return Err(value);
        }
        self.making.with(|| self.value.set(value))
    }

    /// The value, made by `f` if there is none. Waits while somebody else makes it; an `f` that asks for the value it is
    /// to make waits for itself.
    ///
    /// # Panics
    ///
    /// With what `f` panics with; the next who asks tries again.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout inside `f` leaves the cell without a value.
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        let made: Result<&T, std::convert::Infallible> = self.get_or_try_init(|| Ok(f()));
        match made {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value, made by `f` if there is none and `f` succeeds.
    ///
    /// # Errors
    ///
    /// What `f` returns; the next who asks tries again.
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        self.making.with(|| {
            if let Some(value) = self.value.get() {
                return Ok(value);
            }
            let value = f()?;
            Ok(self.value.get_or_init(|| value))
        })
    }

    /// The value, if it was made.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out; the cell is as new.
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Something that is done once: `std::sync::Once`'s counterpart. It is never poisoned: what panicked is tried again.
///
/// # Examples
///
/// ```
/// use ramie::sync::Once;
///
/// let once = Once::new();
/// let mut calls = 0;
/// once.call_once(|| calls += 1);
/// once.call_once(|| calls += 1);
/// assert_eq!(calls, 1);
/// ```
#[derive(Debug, Default)]
pub struct Once {
    done: OnceCell<()>,
}

impl Once {
    /// Nothing was done yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `f` unless somebody has; waits for somebody who is at it.
    ///
    /// # Panics
    ///
    /// With what `f` panics with; the next who asks tries again.
    pub fn call_once(&self, f: impl FnOnce()) {
        self.done.get_or_init(f);
    }

    /// Whether it was done.
    pub fn is_completed(&self) -> bool {
        self.done.get().is_some()
    }
}
