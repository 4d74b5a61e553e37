//! The four verbs over corosensei.
//!
//! corosensei is portable, and debuggers, profilers, sanitizers and valgrind understand its stacks,
//! so this is the reference for other implementations. Its price is that it enters and leaves a
//! coroutine with `ret`: a switch from deeper calls, as in any real program, defeats the CPU's
//! return-address prediction.
//!
//! corosensei passes its *yielder*, which suspends, only to the coroutine's function. The code that
//! suspends is far from that function. A thread-local would find the yielder, at a cost for each
//! switch, and a field of [`Fiber`] cannot be set from inside, because a `Fiber` moves. The
//! function therefore writes the yielder's address to a fixed place, two words at the top of the
//! stack, on a cache line that each switch touches anyway:
//!
//! ```text
//!   top of the slot ─▶ ┌──────────────────────────────┐
//!                      │ (unused word)                │
//!           link    ─▶ │ address of the yielder       │ ─┐  written once, at the first resume
//!           base()  ─▶ ├──────────────────────────────┤  │
//!                      │ the coroutine's root frame,  │ ◀┘
//!                      │ which the yielder is part of │
//!                      │ the body, until it starts    │
//!                      │ frames of the greenlet       │
//!                      ┆                              ┆
//!           limit() ─▶ └──────────────────────────────┘
//! ```

#![expect(unsafe_code, reason = "resumes and suspends by shared references, hands stacks to corosensei")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;

use corosensei::stack::StackPointer;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::body::{MAX_INLINE_BODY, run_body};
use crate::stack::Stack;

/// The size of two words above the first frame, so that the base keeps its alignment.
const LINK_ROOM: usize = 16;

/// Code on a stack of its own.
///
/// All methods take a shared reference, because two parties hold one at the same time: the hub is
/// inside [`resume`](Fiber::resume) while the fiber's own code calls [`suspend`](Fiber::suspend).
///
/// Dropping a fiber drops its body if it has never run. If it has run and is not done, everything
/// it holds is leaked. Either way the stack is not reused; only [`take_stack`](Fiber::take_stack)
/// releases it for reuse.
pub(crate) struct Fiber {
    /// The place of the yielder's address, outside the coroutine, which the hub has borrowed while
    /// the fiber runs.
    link: Link,
    done: Cell<bool>,
    /// Accessed only by the hub's side.
    coroutine: UnsafeCell<ManuallyDrop<Coroutine<(), (), (), Ground>>>,
}

impl Fiber {
    /// Creates a fiber. `body` is stored on `stack` and runs there from the first resume.
    ///
    /// A `body` that panics aborts the process.
    ///
    /// # Panics
    ///
    /// On Windows, where the stack's memory is allocated here, when there is no memory.
    #[inline]
    pub(crate) fn new<F: FnOnce() + 'static>(stack: Stack, body: F) -> Fiber {
        if const { size_of::<F>() > MAX_INLINE_BODY } {
            return Fiber::with_small(stack, Box::new(body));
        }
        Fiber::with_small(stack, body)
    }

    #[inline]
    fn with_small<F: FnOnce() + 'static>(stack: Stack, body: F) -> Fiber {
        let ground = Ground::new(stack);
        let link = ground.link();
        let coroutine = Coroutine::with_stack(ground, move |yielder: &Yielder<(), ()>, ()| {
            // SAFETY: this runs on the ground that `link` was made for, so the ground exists.
            unsafe { link.fill(yielder) };
            run_body(body);
        });
        Fiber { link, done: Cell::new(false), coroutine: UnsafeCell::new(ManuallyDrop::new(coroutine)) }
    }

    /// Runs the fiber until it suspends or ends.
    ///
    /// # Safety
    ///
    /// The caller must be on the thread that made the fiber and not inside a fiber. The fiber must
    /// not be done and must not have moved since its first resume.
    #[inline]
    pub(crate) unsafe fn resume(&self, _home: &Home) {
        // SAFETY: no other reference to the coroutine exists: `suspend` and `done` do not access
        // it, and the hub is here once at a time, since the caller is not inside a fiber.
        let coroutine = unsafe { &mut *self.coroutine.get() };
        let done = matches!(coroutine.resume(()), CoroutineResult::Return(()));
        self.done.set(done);
    }

    /// Switches to the hub. Returns when the hub resumes this fiber again, which may be never.
    ///
    /// # Safety
    ///
    /// The caller must run on this fiber.
    #[inline]
    pub(crate) unsafe fn suspend(&self) {
        // SAFETY: the fiber runs, so its first resume has filled the link, and its ground exists.
        let yielder = unsafe { self.link.yielder() };
        yielder.suspend(());
    }

    /// Never called: see [`HANDS_OVER`].
    ///
    /// # Safety
    ///
    /// None is asked for, since nothing is done; the other implementation has conditions.
    pub(crate) unsafe fn hand_over(&self, _to: *const Fiber) {
        unreachable!("these fibers switch through the hub");
    }

    /// Does nothing: corosensei does not expose the position of the frames.
    #[inline]
    pub(crate) fn fetch(&self) {}

    /// Takes the stack out of a fiber that is done or has never run, for the next fiber. `place` is
    /// left empty.
    ///
    /// The body of a fiber that has never run is dropped first. If that panics, the panic continues
    /// in the caller and the stack is leaked.
    ///
    /// # Panics
    ///
    /// When the fiber is suspended, since its stack is in use.
    #[inline]
    pub(crate) fn take_stack(place: &mut Option<Fiber>) -> Stack {
        let mut this = ManuallyDrop::new(place.take().expect("the place has a fiber"));
        if !this.done() {
            this.drop_body();
        }
        // SAFETY: `this` is not used again and does not drop the coroutine, and its owner has no
        // reference into it.
        let coroutine = unsafe { ManuallyDrop::take(this.coroutine.get_mut()) };
        coroutine.into_stack().stack
    }

    /// Returns `true` if the body has returned.
    #[inline]
    pub(crate) fn done(&self) -> bool {
        self.done.get()
    }

    /// Drops the body of a fiber that has never run.
    #[cold]
    fn drop_body(&mut self) {
        let coroutine = self.coroutine.get_mut();
        assert!(!coroutine.started(), "the stack of a suspended fiber is in use");
        // This unwinds nothing: for a coroutine that has not started it drops the function.
        coroutine.force_unwind();
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        // Leaks the coroutine and its stack. corosensei would unwind instead, which rule 5 forbids.
        if !self.done() && !self.coroutine.get_mut().started() {
            self.drop_body();
        }
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

/// The word at the top of a stack that leads to the yielder.
#[derive(Clone, Copy)]
struct Link(*const Cell<*const Yielder<(), ()>>);

impl Link {
    /// Writes the address of the yielder.
    ///
    /// # Safety
    ///
    /// The ground that the link was made for must exist.
    #[inline]
    unsafe fn fill(self, yielder: &Yielder<(), ()>) {
        // SAFETY: the word is on the ground, which exists, above all frames. It is aligned. It
        // holds a pointer, zeroes or the remains of an earlier use, each of which is a valid raw
        // pointer.
        let link = unsafe { &*self.0 };
        link.set(yielder);
    }

    /// Returns the yielder.
    ///
    /// # Safety
    ///
    /// The link must have been filled by the coroutine that is running now.
    #[inline]
    unsafe fn yielder<'a>(self) -> &'a Yielder<(), ()> {
        // SAFETY: the caller guarantees that the ground is in use and that the word has been
        // written.
        let link = unsafe { &*self.0 };
        // SAFETY: the yielder is part of the coroutine's root frame. It was lent to the coroutine's
        // function, which encloses the caller, and so outlives this call.
        unsafe { &*link.get() }
    }
}

/// A stack in the form that corosensei uses.
struct Ground {
    stack: Stack,
    memory: memory::Memory,
}

impl Ground {
    #[inline]
    fn new(stack: Stack) -> Ground {
        let memory = memory::Memory::new(&stack);
        Ground { stack, memory }
    }

    #[inline]
    fn link(&self) -> Link {
        Link(ptr::with_exposed_provenance(self.memory.top(&self.stack) - LINK_ROOM))
    }
}

// SAFETY: the range from `limit` to `base` is one stack with a guard at its low end. Its size is at
// least MIN_STACK_SIZE, which is more than corosensei requires. Both addresses are aligned to 16.
// The range is exclusively ours as long as the `Stack`, or on Windows the memory made for it, is
// owned here.
unsafe impl corosensei::stack::Stack for Ground {
    #[inline]
    fn base(&self) -> StackPointer {
        address(self.memory.top(&self.stack) - LINK_ROOM)
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        address(self.memory.limit(&self.stack))
    }

    #[cfg(windows)]
    fn teb_fields(&self) -> corosensei::stack::StackTebFields {
        self.memory.teb_fields()
    }

    #[cfg(windows)]
    fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
        self.memory.update_teb_fields(stack_limit, guaranteed_stack_bytes);
    }
}

#[inline]
fn address(address: usize) -> StackPointer {
    StackPointer::new(address).expect("nothing is mapped at zero")
}

#[cfg(not(windows))]
mod memory {
    //! The memory is the stack's own; it is registered with valgrind.

    use super::Stack;
    use crate::stack::under_valgrind;
    use corosensei::stack::valgrind::ValgrindStackRegistration;

    pub(super) struct Memory {
        _valgrind: Option<ValgrindStackRegistration>,
    }

    impl Memory {
        #[inline]
        pub(super) fn new(stack: &Stack) -> Memory {
            let limit = std::ptr::with_exposed_provenance_mut(stack.limit());
            let register = || ValgrindStackRegistration::new(limit, stack.top() - stack.limit());
            Memory { _valgrind: under_valgrind().then(register) }
        }

        #[inline]
        pub(super) fn top(&self, stack: &Stack) -> usize {
            stack.top()
        }

        #[inline]
        pub(super) fn limit(&self, stack: &Stack) -> usize {
            stack.limit()
        }
    }
}

#[cfg(windows)]
mod memory {
    //! The system takes part in the layout and growth of a stack, so corosensei allocates the
    //! memory for each fiber. It is not pooled: a `Stack` carries no memory on Windows.

    use super::Stack;
    use corosensei::stack::{DefaultStack, Stack as _, StackTebFields};

    pub(super) struct Memory {
        memory: DefaultStack,
    }

    impl Memory {
        pub(super) fn new(stack: &Stack) -> Memory {
            Memory { memory: DefaultStack::new(stack.size()).expect("no memory for a stack") }
        }

        pub(super) fn top(&self, _: &Stack) -> usize {
            self.memory.base().get()
        }

        pub(super) fn limit(&self, _: &Stack) -> usize {
            self.memory.limit().get()
        }

        pub(super) fn teb_fields(&self) -> StackTebFields {
            self.memory.teb_fields()
        }

        pub(super) fn update_teb_fields(&mut self, stack_limit: usize, guaranteed_stack_bytes: usize) {
            self.memory.update_teb_fields(stack_limit, guaranteed_stack_bytes);
        }
    }
}
