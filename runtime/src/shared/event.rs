//! An event that any thread can set and wait for.

use ramie_hub::generic::{self, Shared};

/// A flag that greenlets and threads wait for: the thread-safe counterpart of
/// [`sync::Event`](crate::sync::Event). Clones are the same event.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::shared::Event;
///
/// let loaded = Event::new();
/// thread::spawn({
///     let loaded = loaded.clone();
///     move || loaded.set()
/// });
/// loaded.wait();
/// assert!(loaded.is_set());
/// ```
pub type Event = generic::Event<Shared>;
