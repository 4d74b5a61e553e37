//! A value that only its own thread can access, inside a container that may be sent to other threads.
//!
//! The payload of an unwinding must be `Send`, and the failure of a greenlet should be, but an
//! exception may hold an `Rc`. The value is therefore stored with the number of its thread: on other
//! threads it cannot be reached, and if it is dropped there it is leaked instead.
#![expect(unsafe_code, reason = "declares a container Send and Sync whose content never leaves its thread")]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The number of the hub that this thread works for; 0 means none.
    static HUB_NUMBER: Cell<u64> = const { Cell::new(0) };
    /// The number of this thread; 0 until it is needed.
    static THREAD_NUMBER: Cell<u64> = const { Cell::new(0) };
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

/// Returns the number of this thread, which no other thread of this process has or will have. The
/// threads of stand-in fibers have the number of their hub's thread.
pub(crate) fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if THREAD_NUMBER.get() == 0 {
        THREAD_NUMBER.set(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    THREAD_NUMBER.get()
}

/// Gives this thread the number of another one. Only the stand-in's fibers call it: of the threads
/// with one number, a single one runs at a time.
pub(crate) fn set_thread_number(number: u64) {
    THREAD_NUMBER.set(number);
}

/// A value bound to the thread that created it.
pub(crate) struct ThreadBound<T> {
    owner: u64,
    value: ManuallyDrop<Option<T>>,
}

// SAFETY: `value` is reached only by `get`, `take` and `drop`. Each of them first compares the
// number of the thread with `owner`. Each thread has a number of its own (the stand-in fibers pass
// one on together with control). So no two threads ever reach the value.
unsafe impl<T> Send for ThreadBound<T> {}

// SAFETY: a shared reference gives access by `get` alone, on the thread of the value: see above.
unsafe impl<T> Sync for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    /// Binds a value to this thread.
    pub(crate) fn new(value: T) -> Self {
        ThreadBound { owner: thread_number(), value: ManuallyDrop::new(Some(value)) }
    }

    fn is_home(&self) -> bool {
        THREAD_NUMBER.get() == self.owner
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
    use std::thread;

    #[test]
    fn reached_at_home_only() {
        let value = Rc::new(5);
        let mut bound = ThreadBound::new(value.clone());
        assert_eq!(bound.get().map(|v| **v), Some(5));
        thread::scope(|scope| {
            scope.spawn(|| assert!(bound.get().is_none()));
        });
        let elsewhere = thread::spawn(move || {
            assert!(bound.get().is_none());
            assert!(bound.take().is_none());
            // A number of its own makes no difference.
            drop(ThreadBound::new(7));
            assert!(bound.get().is_none());
            bound
        });
        bound = elsewhere.join().expect("the thread does not panic");
        assert_eq!(bound.take().map(|v| *v), Some(5));
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn leaks_when_dropped_elsewhere() {
        let value = Rc::new(5);
        let bound = ThreadBound::new(value.clone());
        thread::spawn(move || drop(bound)).join().expect("the thread does not panic");
        assert_eq!(Rc::strong_count(&value), 2);
    }
}
