//! One-time initialization that may wait.

use std::cell;
use std::fmt;

use ramie_hub::Semaphore;

/// A value that is initialized once, by the first caller: the counterpart of `std::sync::OnceLock`,
/// with the name of a cell.
///
/// The initialization may wait. Other callers wait until it is finished.
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
    /// Creates an empty cell.
    pub fn new() -> Self {
        OnceCell { value: cell::OnceCell::new(), making: Semaphore::new(1) }
    }

    /// Returns the value if it is initialized.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Returns the value if it is initialized.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Sets the value. Waits while another greenlet initializes it. Lets other greenlets run only
    /// if it waits.
    ///
    /// # Errors
    ///
    /// Returns the given value if the cell already has one.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait sets nothing and drops the value.
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.value.get().is_some() {
            return Err(value);
        }
        self.making.with(|| self.value.set(value))
    }

    /// Returns the value, initializing it with `f` if there is none. Waits while another greenlet
    /// initializes it. An `f` that asks the same cell for its value deadlocks.
    ///
    /// # Panics
    ///
    /// Panics if `f` panics. The next caller tries again.
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

    /// Returns the value, initializing it with `f` if there is none and `f` succeeds.
    ///
    /// # Errors
    ///
    /// Returns the error of `f`. The next caller tries again.
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

    /// Returns the value if it is initialized.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value and leaves an empty cell.
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

/// One-time execution of a closure: the counterpart of `std::sync::Once`. It is never poisoned:
/// after a panic the next caller tries again.
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
    /// Creates a `Once` that has not run.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `f` unless an earlier call has completed. Waits while another greenlet runs its
    /// closure. Lets other greenlets run only if it waits, or `f` does.
    ///
    /// # Panics
    ///
    /// Panics if `f` panics. The next caller tries again.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout inside `f` leaves the call to the next caller.
    pub fn call_once(&self, f: impl FnOnce()) {
        self.done.get_or_init(f);
    }

    /// Returns `true` if a call has completed.
    pub fn is_completed(&self) -> bool {
        self.done.get().is_some()
    }
}
