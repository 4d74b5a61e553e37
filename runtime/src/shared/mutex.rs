//! A mutual exclusion lock around a value, for any thread.

use ramie_hub::generic::Shared;

use crate::generic;

/// A mutual exclusion lock that may be held across waits: the thread-safe counterpart of
/// [`sync::Mutex`](crate::sync::Mutex). It is never poisoned.
///
/// Unlike with `std::sync::Mutex`, a greenlet that waits for the lock does not block its thread.
/// The holder may therefore wait while it holds the lock.
///
/// # Examples
///
/// ```
/// use std::{sync::Arc, thread, time::Duration};
/// use ramie::{shared::Mutex, sleep};
///
/// let total = Arc::new(Mutex::new(0));
/// let threads: Vec<_> = (0..4).map(|_| {
///     let total = total.clone();
///     thread::spawn(move || {
///         let mut total = total.lock();
///         let before = *total;
///         sleep(Duration::from_millis(1)); // no other greenlet gets the lock
///         *total = before + 1;
///     })
/// }).collect();
/// for thread in threads {
///     thread.join().unwrap();
/// }
/// assert_eq!(*total.lock(), 4);
/// ```
pub type Mutex<T> = generic::Mutex<T, Shared>;

/// A guard that gives access to the value of a [`Mutex`] and releases the lock when it is dropped.
///
/// A guard must stay on the thread that locked:
///
/// ```compile_fail,E0277
/// fn sends<T: Send>() {}
/// sends::<ramie::shared::MutexGuard<'_, u8>>();
/// ```
pub type MutexGuard<'a, T> = generic::MutexGuard<'a, T, Shared>;
