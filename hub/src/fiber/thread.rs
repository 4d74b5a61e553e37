//! The four verbs on OS threads, for Miri, which cannot follow a switch of stacks.
//!
//! Each fiber is a thread, started at its first resume. A baton is passed between it and the hub's
//! thread: a thread without the baton waits, so exactly one of a hub's threads runs at any time,
//! and every action of a fiber is ordered with the actions of the hub and its other fibers.
//!
//! Such a fiber differs from a real one as follows:
//!
//! * Thread-locals are not shared with the hub. A fiber's body must set every thread-local that the
//!   fiber reads, such as the current hub, when it starts; no hook is needed, since the body is the
//!   first code on the new thread. The thread's locals are dropped when the fiber ends, before
//!   `resume` returns.
//! * `thread::current` differs, and `thread::panicking` reports this fiber only. On real fibers it
//!   is true in all of them while one unwinds.
//! * Values that belong to a thread, such as the guard of a std mutex, may be dropped on another
//!   one.
//! * An abandoned fiber's thread sleeps until the process ends. Miri then reports it, unless
//!   `-Zmiri-ignore-leaks` is set.
//! * A stack overflow is reported by std, as the overflow of a thread, and costs a whole thread's
//!   stack.

#![expect(unsafe_code, reason = "moves what is not Send between threads that take turns")]

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::body::run_body;
use crate::stack::Stack;

/// Code on a thread of its own that runs when the hub waits for it.
///
/// Dropping a fiber drops its body if it has never run. If it has run and is not done, its thread
/// waits forever.
pub(crate) struct Fiber {
    stack: Stack,
    /// The body, before the first resume.
    body: Cell<Option<Box<dyn FnOnce()>>>,
    baton: Arc<Baton>,
    thread: Cell<Option<JoinHandle<()>>>,
    done: Cell<bool>,
}

impl Fiber {
    /// Creates a fiber. `body` runs from the first resume.
    ///
    /// A `body` that panics aborts the process.
    pub(crate) fn new<F: FnOnce() + 'static>(stack: Stack, body: F) -> Fiber {
        Fiber {
            stack,
            body: Cell::new(Some(Box::new(body))),
            baton: Arc::new(Baton::default()),
            thread: Cell::new(None),
            done: Cell::new(false),
        }
    }

    /// Runs the fiber until it suspends or ends.
    ///
    /// # Panics
    ///
    /// When the system has no thread for the first resume.
    ///
    /// # Safety
    ///
    /// The caller must be on the thread that made the fiber and not inside a fiber. The fiber must
    /// not be done and must not have moved since its first resume.
    pub(crate) unsafe fn resume(&self, _home: &Home) {
        if let Some(body) = self.body.take() {
            self.start(body);
        }
        self.baton.pass(Holder::Fiber);
        let done = self.baton.wait_until(|holder| holder != Holder::Fiber) == Holder::Nobody;
        if done {
            // The thread has yet to drop its thread-locals. Their destructors are code of the fiber
            // too, so the hub lets the thread end before it continues.
            let thread = self.thread.take().expect("a fiber that is done was started, and ends once");
            thread.join().expect("a panic in the body would have aborted");
        }
        self.done.set(done);
    }

    fn start(&self, body: Box<dyn FnOnce()>) {
        // SAFETY: the new thread opens the value while it has the baton. From then on that thread
        // and the hub's thread take turns.
        let body = unsafe { Turns::new(body) };
        let baton = Arc::clone(&self.baton);
        let run = move || {
            baton.wait_until(|holder| holder == Holder::Fiber);
            run_body(body.open());
            baton.pass(Holder::Nobody);
        };
        let builder = thread::Builder::new().name("ramie fiber".into()).stack_size(self.stack.size());
        self.thread.set(Some(builder.spawn(run).expect("no thread for a fiber")));
    }

    /// Switches to the hub. Returns when the hub resumes this fiber again, which may be never.
    ///
    /// # Safety
    ///
    /// The caller must run on this fiber.
    pub(crate) unsafe fn suspend(&self) {
        // The hub may drop the record that contains this fiber while it is suspended. No part of
        // the record is used after the baton is passed.
        let baton = Arc::clone(&self.baton);
        baton.pass(Holder::Hub);
        baton.wait_until(|holder| holder == Holder::Fiber);
    }

    /// Never called: see [`HANDS_OVER`].
    ///
    /// # Safety
    ///
    /// None is asked for, since nothing is done; the other implementation has conditions.
    pub(crate) unsafe fn hand_over(&self, _to: *const Fiber) {
        unreachable!("these fibers switch through the hub");
    }

    /// Does nothing: the system manages a thread's stack.
    #[inline]
    pub(crate) fn fetch(&self) {}

    /// Takes the stack out of a fiber that is done or has never run, for the next fiber. `place` is
    /// left empty.
    ///
    /// # Panics
    ///
    /// When the fiber is suspended, since its stack is in use.
    pub(crate) fn take_stack(place: &mut Option<Fiber>) -> Stack {
        let fiber = place.take().expect("the place has a fiber");
        let never_ran = fiber.body.take().is_some();
        assert!(never_ran || fiber.done(), "the stack of a suspended fiber is in use");
        fiber.stack
    }

    /// Returns `true` if the body has returned.
    pub(crate) fn done(&self) -> bool {
        self.done.get()
    }
}

/// Fibers switch to each other through the hub.
pub(crate) const HANDS_OVER: bool = false;

/// Nothing: this implementation keeps the resumption point of the hub itself.
#[derive(Default)]
pub(crate) struct Home;

/// Does nothing, so that callers need no knowledge of the implementation.
#[inline]
pub(crate) fn fetch(_address: usize, _lines: usize) {}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("done", &self.done).finish_non_exhaustive()
    }
}

/// The holder of the baton, which may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holder {
    #[default]
    Hub,
    Fiber,
    /// The fiber has ended, and the hub may continue.
    Nobody,
}

/// The right to run, which two threads pass to each other.
#[derive(Debug, Default)]
struct Baton {
    holder: Mutex<Holder>,
    passed: Condvar,
}

impl Baton {
    fn pass(&self, to: Holder) {
        *self.lock() = to;
        self.passed.notify_all();
    }

    fn wait_until(&self, ready: impl Fn(Holder) -> bool) -> Holder {
        let mut holder = self.lock();
        while !ready(*holder) {
            holder = self.passed.wait(holder).unwrap_or_else(PoisonError::into_inner);
        }
        *holder
    }

    /// A plain value cannot be left half-changed, so poisoning has no meaning here.
    fn lock(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A value that is sent to another thread although it is not `Send`.
struct Turns<T>(T);

// SAFETY: a value that is not `Send` must not be used by two threads at once. The constructor's
// caller promises that the threads take turns, and the baton's mutex orders one thread's writes
// before the other's reads. A value that depends on the identity of its thread sees another thread;
// the head of this file documents that.
unsafe impl<T> Send for Turns<T> {}

impl<T> Turns<T> {
    /// # Safety
    ///
    /// The thread that opens it must run only while all other threads that share state with `T`
    /// wait.
    unsafe fn new(inner: T) -> Turns<T> {
        Turns(inner)
    }

    fn open(self) -> T {
        self.0
    }
}
