//! The four verbs on OS threads, for Miri, which cannot follow a switch of stacks.
//!
//! Each fiber is a thread, started at its first resume. A baton goes back and forth between it and the hub's thread:
//! whoever does not have it waits, so exactly one of a hub's threads runs at any time, and all that a fiber does is
//! ordered with all that the hub and its other fibers do.
//!
//! What it gets wrong, compared with a real fiber:
//!
//! * Thread-locals are not shared with the hub. What a fiber needs to find in one, such as the current hub, its body
//!   must set when it starts; no hook is needed, since the body runs first of all on the new thread. The thread's
//!   locals are dropped when the fiber ends, before `resume` returns.
//! * `thread::current` differs, and `thread::panicking` speaks of this fiber only. On a real fiber it is true in
//!   everybody while one unwinds.
//! * Things that belong to a thread, such as the guard of a std mutex, may be dropped on another one.
//! * An abandoned fiber's thread sleeps until the process ends. Miri reports it then, unless it is told with
//!   `-Zmiri-ignore-leaks` that this is meant.
//! * A stack overflow is reported by std, as that of a thread, and costs a whole thread's stack.

#![expect(unsafe_code, reason = "moves what is not Send between threads that take turns")]

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::run_body;
use crate::stack::Stack;

/// Code on a thread of its own that runs when the hub waits for it.
///
/// Dropping a fiber drops its body if it has never run. If it has run and is not done, its thread waits for ever.
pub(crate) struct Fiber {
    stack: Stack,
    /// The body, before the first resume.
    body: Cell<Option<Box<dyn FnOnce()>>>,
    baton: Arc<Baton>,
    thread: Cell<Option<JoinHandle<()>>>,
    done: Cell<bool>,
}

impl Fiber {
    /// Makes a fiber. `body` runs from the first resume on.
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

    /// Runs the fiber until it suspends or ends. Returns whether it has ended.
    ///
    /// # Panics
    ///
    /// When the system has no thread for the first resume.
    ///
    /// # Safety
    ///
    /// The caller is on the thread that made the fiber, not inside a fiber, and the fiber is not done and has not
    /// moved since its first resume.
    pub(crate) unsafe fn resume(&self) -> bool {
        if let Some(body) = self.body.take() {
            self.start(body);
        }
        self.baton.pass(Holder::Fiber);
        let done = self.baton.wait_until(|holder| holder != Holder::Fiber) == Holder::Nobody;
        if done {
            // The thread has yet to drop its thread-locals. That is code of the fiber's too, so the hub lets it end
            // before it goes on.
            let thread = self.thread.take().expect("a fiber that is done was started, and ends once");
            thread.join().expect("a panic in the body would have aborted");
        }
        self.done.set(done);
        done
    }

    fn start(&self, body: Box<dyn FnOnce()>) {
        // SAFETY: the new thread opens it while it has the baton. From then on it and the hub's thread take turns.
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

    /// Goes back to the hub. Returns when the hub resumes this fiber again, which may be never.
    ///
    /// # Safety
    ///
    /// The caller runs on this very fiber.
    pub(crate) unsafe fn suspend(&self) {
        // The hub may drop the record that this fiber is in while it is suspended. Nothing of it is used after the
        // baton has gone.
        let baton = Arc::clone(&self.baton);
        baton.pass(Holder::Hub);
        baton.wait_until(|holder| holder == Holder::Fiber);
    }

    /// Does nothing: a thread's stack is the system's business.
    #[inline]
    pub(crate) fn fetch(&self) {}

    /// Takes the stack, for the next fiber, out of one that is done or that has never run; nothing is left in its place.
    ///
    /// # Panics
    ///
    /// When the fiber is suspended: something lives on that stack.
    pub(crate) fn take_stack(place: &mut Option<Fiber>) -> Stack {
        let fiber = place.take().expect("there is a fiber");
        let never_ran = fiber.body.take().is_some();
        assert!(never_ran || fiber.done(), "the stack of a suspended fiber is in use");
        fiber.stack
    }

    /// Tells whether the body has returned.
    pub(crate) fn done(&self) -> bool {
        self.done.get()
    }
}

/// Does nothing, so that it need not be known where it would help.
#[inline]
pub(crate) fn fetch(_address: usize, _lines: usize) {}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("done", &self.done).finish_non_exhaustive()
    }
}

/// Who may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holder {
    #[default]
    Hub,
    Fiber,
    /// The fiber has ended, and the hub may go on.
    Nobody,
}

/// The right to run, which two threads hand to each other.
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

    /// A plain value cannot be left half-changed, so poison means nothing here.
    fn lock(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that goes to another thread although it is not `Send`.
struct Turns<T>(T);

// SAFETY: what must not be sent is what two threads could then use at once. The constructor's caller promises that
// the threads take turns, with the baton's mutex ordering one's writes before the other's reads. What depends on the
// identity of its thread sees another one; the head of this file says so.
unsafe impl<T> Send for Turns<T> {}

impl<T> Turns<T> {
    /// # Safety
    ///
    /// The thread that opens it runs only while all others that share something with `T` wait.
    unsafe fn new(inner: T) -> Turns<T> {
        Turns(inner)
    }

    fn open(self) -> T {
        self.0
    }
}
