//! A value that only the thread of its hub can access, inside a container that may be sent to other
//! threads.
//!
//! The payload of an unwinding must be `Send`, but an exception may hold an `Rc`. The value is
//! therefore stored with the number of its hub: on other threads it cannot be reached, and if it is
//! dropped there it is leaked instead.
#![expect(unsafe_code, reason = "declares a container Send whose content never leaves its hub's thread")]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The number of the hub that this thread works for; 0 means none.
    static HUB_NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// Returns a number that no other hub of this process has or will have.
pub(crate) fn next_hub_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Returns the number of the hub that this thread works for.
pub(crate) fn hub_number() -> u64 {
    HUB_NUMBER.get()
}

/// Sets the number of the hub that this thread works for; 0 means none.
pub(crate) fn set_hub_number(number: u64) {
    HUB_NUMBER.set(number);
}

/// A value bound to the thread that created it.
pub(crate) struct ThreadBound<T> {
    owner: u64,
    value: ManuallyDrop<Option<T>>,
}

// SAFETY: `value` is reached only by `get`, `take` and `drop`. Each of them first compares the
// number of the thread's hub with `owner`. A hub number is set on one thread at a time, which runs
// that hub's code (the stand-in fibers pass the number on together with control). So no two threads
// ever reach the value at once.
unsafe impl<T> Send for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    /// Binds a value to the hub of this thread.
    pub(crate) fn new(value: T) -> Self {
        ThreadBound { owner: HUB_NUMBER.get(), value: ManuallyDrop::new(Some(value)) }
    }

    fn is_home(&self) -> bool {
        self.owner != 0 && HUB_NUMBER.get() == self.owner
    }

    /// Returns the value, on its own thread.
    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_home() { self.value.as_ref() } else { None }
    }

    /// Takes the value out, on its own thread.
    pub(crate) fn take(&mut self) -> Option<T> {
        if self.is_home() { self.value.take() } else { None }
    }
}

impl<T> Drop for ThreadBound<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn reached_at_home_only() {
        set_hub_number(next_hub_number());
        let value = Rc::new(5);
        let mut bound = ThreadBound::new(value.clone());
        assert_eq!(bound.get().map(|v| **v), Some(5));
        bound = std::thread::spawn(move || {
            assert!(bound.get().is_none());
            set_hub_number(next_hub_number());
            assert!(bound.get().is_none());
            bound
        })
        .join()
        .expect("the thread does not panic");
        assert_eq!(bound.take().map(|v| *v), Some(5));
        assert_eq!(Rc::strong_count(&value), 1);
        set_hub_number(0);
    }

    #[test]
    fn leaks_when_dropped_elsewhere() {
        set_hub_number(next_hub_number());
        let value = Rc::new(5);
        let bound = ThreadBound::new(value.clone());
        std::thread::spawn(move || drop(bound)).join().expect("the thread does not panic");
        assert_eq!(Rc::strong_count(&value), 2);
        set_hub_number(0);
    }
}
