//! The four verbs by a switch of our own, for x86-64 and AArch64 Unix.
//!
//! A switch exchanges where one side goes on for where the other does, in one place, the fiber's [`Context`]:
//!
//! ```text
//!   while the fiber is suspended    context = where the fiber goes on
//!   while the fiber runs            context = where the hub goes on
//!
//!   resume, suspend:   swap (code address, stack pointer, two registers) with the context; jump
//! ```
//!
//! It is a block of assembly that is inlined where it is used. So there is no call whose registers have to be saved by
//! a convention: the block says that it overwrites all of them, and the compiler saves those that are in use there,
//! which are few. Two that it does not let go of are saved by the block. And it leaves by a jump, not by a return: the
//! processor predicts returns by counting calls, so it would foresee none of the returns after one that goes to
//! another stack, and the code that waits in a deep call has many of them to come.
//!
//! The context is not on the stack but in the [`Fiber`], that is, in the record of the greenlet, which the hub has just
//! looked at. A stack that is not in the cache is waited for after the jump, not before it.
//!
//! ```text
//!   top of the slot ─▶ ┌──────────────────────────────┐
//!                      │ the body, until it starts    │
//!                      │ zero, as a return address    │  on x86-64; elsewhere it is in a register
//!                      ├──────────────────────────────┤
//!                      │ frame of `start`             │
//!                      │ frames of the greenlet       │
//!                      ┆                              ┆
//! ```
//!
//! *Backtraces.* They end at `start`, whose return address and frame pointer are zero; the hub's frames are not in
//! them. The block moves no stack pointer but to the other stack, so debuggers and profilers find their way from any
//! instruction. *Valgrind* is told of the stacks. *Sanitizers* are not: build with `--cfg ramie_fiber="corosensei"`
//! for them.

#![expect(unsafe_code, reason = "switches stacks by shared references, makes their first frames")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::mem::{ManuallyDrop, offset_of};
use std::ptr;

use corosensei::stack::valgrind::ValgrindStackRegistration;

use super::{MAX_INLINE_BODY, run_body};
use crate::stack::{Stack, under_valgrind};

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod arch;

/// A line of the cache.
const LINE: usize = 64;

/// How many lines of a suspended stack are fetched ahead: the frames between the switch and the code that waits.
const FETCHED_LINES: usize = 5;

/// Where code goes on that has been left. The blocks of assembly know its layout.
#[repr(C)]
struct Context {
    code: usize,
    stack: usize,
    /// The frame pointer, zero at the beginning: the end of the chain.
    frame: usize,
    /// rbx or x19.
    base: usize,
}

/// Code on a stack of its own.
///
/// All methods take a shared reference, because two parties hold one at the same time: the hub is inside
/// [`resume`](Fiber::resume) while the fiber's own code calls [`suspend`](Fiber::suspend).
///
/// Dropping a fiber drops its body if it has never run. If it has run and is not done, everything it holds is leaked.
/// Either way the stack is not reused; only [`take_stack`](Fiber::take_stack) hands it on.
#[repr(C)]
pub(crate) struct Fiber {
    /// First, so that the address which the switch passes is that of both.
    context: UnsafeCell<Context>,
    done: Cell<bool>,
    /// Drops the body that lies on the stack; none once it has started. To name its type promises nothing: who calls it answers
    /// the `# Safety` of [`drop_body`].
    unrun: Cell<Option<unsafe fn(&Stack)>>,
    stack: Stack,
    valgrind: ManuallyDrop<Option<ValgrindStackRegistration>>,
}

const _: () = assert!(offset_of!(Fiber, context) == 0);

impl Fiber {
    /// Makes a fiber. `body` runs on `stack` from the first resume on; until then it only lies there.
    ///
    /// A `body` that panics aborts the process.
    #[inline]
    pub(crate) fn new<F: FnOnce() + 'static>(stack: Stack, body: F) -> Fiber {
        if const { size_of::<F>() > MAX_INLINE_BODY || align_of::<F>() > MAX_INLINE_BODY } {
            return Fiber::with_small(stack, Box::new(body));
        }
        Fiber::with_small(stack, body)
    }

    #[inline]
    fn with_small<F: FnOnce() + 'static>(stack: Stack, body: F) -> Fiber {
        let place = place_of::<F>(&stack);
        // SAFETY: the place is aligned, and inside the stack, which is ours and which nothing runs on.
        unsafe { pointer::<F>(place).write(body) };
        let base = place & !15;
        // SAFETY: the word is next to the body, aligned to 8, and taken by nothing.
        unsafe { pointer::<usize>(base - 8).write(0) };
        let start: extern "C" fn(*mut Context) -> ! = start::<F>;
        let context = Context { code: start as usize, stack: base - arch::RETURN_ADDRESS, frame: 0, base: 0 };
        let valgrind = under_valgrind()
            .then(|| ValgrindStackRegistration::new(pointer(stack.limit()), stack.top() - stack.limit()));
        Fiber {
            context: UnsafeCell::new(context),
            done: Cell::new(false),
            unrun: Cell::new(Some(drop_body::<F>)),
            stack,
            valgrind: ManuallyDrop::new(valgrind),
        }
    }

    /// Runs the fiber until it suspends or ends. Returns whether it has ended.
    ///
    /// # Safety
    ///
    /// The caller is on the thread that made the fiber, not inside a fiber, and the fiber is not done and has not
    /// moved since its first resume.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self) -> bool {
        // SAFETY: the fiber is suspended or fresh, since somebody else has control, so the context is the fiber's. The
        // hub is here once at a time.
        let back = unsafe { arch::switch(self.context()) };
        let done = back.is_null();
        if done {
            self.done.set(true);
        }
        done
    }

    /// Goes back to the hub. Returns when the hub resumes this fiber again, which may be never.
    ///
    /// # Safety
    ///
    /// The caller runs on this very fiber.
    #[inline(always)]
    pub(crate) unsafe fn suspend(&self) {
        // SAFETY: the fiber runs, so the context is the hub's, which is in `resume`.
        unsafe { arch::switch(self.context()) };
    }

    /// Has the processor fetch what the next resume will touch on the stack. A hint and nothing else.
    #[inline(always)]
    pub(crate) fn fetch(&self) {
        // SAFETY: the context is written by switches only, and none is under way.
        let frames = unsafe { (*self.context.get()).stack };
        fetch(frames, FETCHED_LINES);
    }

    /// Takes the stack, for the next fiber, out of one that is done or that has never run; nothing is left in its place.
    ///
    /// Of the latter the body is dropped first. Should that panic, the panic goes to the caller and the stack is
    /// leaked.
    ///
    /// # Panics
    ///
    /// When the fiber is suspended: something lives on that stack.
    #[inline]
    // Read where it lies: to move the fiber out first would be to wait for what the last switch has written to it.
    pub(crate) fn take_stack(place: &mut Option<Fiber>) -> Stack {
        let fiber = place.as_mut().expect("there is a fiber");
        if !fiber.done() {
            assert!(fiber.unrun.get().is_some(), "the stack of a suspended fiber is in use");
            fiber.drop_unrun();
        }
        drop(fiber.valgrind.take());
        // SAFETY: the place is overwritten next, and not dropped, so this becomes the only one.
        let stack = unsafe { ptr::read(&raw const fiber.stack) };
        // SAFETY: it is a place to write to. What is lost is nothing but the stack that was read.
        unsafe { ptr::write(place, None) };
        stack
    }

    /// Tells whether the body has returned.
    #[inline]
    pub(crate) fn done(&self) -> bool {
        self.done.get()
    }

    /// What the switch goes by: the address of the context, from which `start` gets at the fiber as well.
    #[inline(always)]
    fn context(&self) -> *mut Context {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Drops the body of a fiber that has never run; does nothing for others.
    #[cold]
    fn drop_unrun(&self) {
        if let Some(drop_body) = self.unrun.take() {
            // SAFETY: the body has been on the stack since the fiber was made, and is dropped and run by nobody else,
            // as whoever takes `unrun` does one of the two.
            unsafe { drop_body(&self.stack) };
        }
    }
}

impl Drop for Fiber {
    #[inline]
    fn drop(&mut self) {
        // The stack of one that has begun is leaked with all that is on it, and stays known to valgrind.
        self.drop_unrun();
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("done", &self.done).finish_non_exhaustive()
    }
}

/// Has the processor fetch so many lines from this address on into its cache. A hint: any address will do.
#[inline(always)]
pub(crate) fn fetch(address: usize, lines: usize) {
    for line in 0..lines {
        arch::prefetch(address.wrapping_add(line * LINE));
    }
}

/// The first function on each stack: jumped to at the first resume, as if it had been called, and left by a jump.
extern "C" fn start<F: FnOnce()>(context: *mut Context) -> ! {
    // SAFETY: this is what `resume` has passed, made from a reference to the whole fiber, which exists as long as
    // somebody resumes it and does not move.
    let fiber = unsafe { &*context.cast::<Fiber>() };
    fiber.unrun.set(None);
    // SAFETY: the body was written there when the fiber was made. It is moved out, and nobody takes it for one any more.
    let body = unsafe { pointer::<F>(place_of::<F>(&fiber.stack)).read() };
    run_body(body);
    // SAFETY: the hub is in `resume`, whose side the context holds. No frame is left on this stack but this one, which
    // has nothing to drop.
    unsafe { arch::leave(context) }
}

/// Where the body lies before it runs.
#[inline]
fn place_of<F>(stack: &Stack) -> usize {
    (stack.top() - size_of::<F>()) & !(align_of::<F>() - 1)
}

/// Drops a body in its place.
///
/// # Safety
///
/// It lies there, and nobody uses it any more.
unsafe fn drop_body<F>(stack: &Stack) {
    // SAFETY: the caller says that it is there.
    unsafe { pointer::<F>(place_of::<F>(stack)).drop_in_place() };
}

#[inline]
fn pointer<T>(address: usize) -> *mut T {
    ptr::with_exposed_provenance_mut(address)
}
