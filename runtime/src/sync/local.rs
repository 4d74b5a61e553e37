//! The primitives of one thread that [`ramie::generic`](crate::generic) has for any thread too.

use ramie_hub::generic::Local;

use super::mutex;

/// A mutual exclusion lock for the greenlets of one thread that may be held across waits: the
/// counterpart of `std::sync::Mutex`. It is never poisoned.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use ramie::{joinall, spawn, sync::Mutex, yield_now};
///
/// let total = Rc::new(Mutex::new(0));
/// let greenlets: Vec<_> = (0..10).map(|_| {
///     let total = total.clone();
///     spawn(move || {
///         let mut total = total.lock();
///         let before = *total;
///         yield_now(); // no other greenlet gets the lock
///         *total = before + 1;
///     })
/// }).collect();
/// joinall(&greenlets);
/// assert_eq!(*total.lock(), 10);
/// ```
pub type Mutex<T> = mutex::Mutex<T, Local>;

/// A guard that gives access to the value of a [`Mutex`] and releases the lock when it is dropped.
pub type MutexGuard<'a, T> = mutex::MutexGuard<'a, T, Local>;
