//! The five verbs by a switch of our own, for x86-64 and AArch64 Unix.
//!
//! A switch stores where this side continues in the [`Context`] of this side, and continues where
//! the context of the other side says. Each fiber has a context, and the hub has one, its [`Home`]:
//!
//! ```text
//!   resume      hub   -> fiber
//!   suspend     fiber -> hub
//!   hand_over   fiber -> another fiber
//! ```
//!
//! The switch is a block of assembly that is inlined where it is used. There is no call with
//! registers to save by a convention: the block declares all registers as overwritten, and the
//! compiler saves the few that are in use at that point. The block itself saves two registers that
//! the compiler reserves.
//!
//! The block leaves by a jump, not by a return. The CPU predicts returns from a stack of recent
//! calls. A switch by `ret` desynchronises that stack, and every later return on the new stack is
//! mispredicted; code that waits in a deep call has many returns to come. A switch by `jmp` does
//! not.
//!
//! The context is not on the stack but in the [`Fiber`], that is, in the record of the greenlet,
//! which the hub has just read. A cache miss on the stack is therefore waited for after the jump,
//! not before it.
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
//! *Backtraces* end at `start`, where the return address and the frame pointer are zero; the hub's
//! frames are not included. The block moves the stack pointer only from one stack to the other, so
//! debuggers and profilers can unwind from any instruction. *Valgrind* gets the stacks registered.
//! *Sanitizers* do not: build with `--cfg ramie_fiber="corosensei"` for them.

#![expect(unsafe_code, reason = "switches stacks by shared references, makes their first frames")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::mem::{ManuallyDrop, offset_of};
use std::ptr;

use corosensei::stack::valgrind::ValgrindStackRegistration;

use super::body::{MAX_INLINE_BODY, run_body};
use crate::stack::{Stack, under_valgrind};

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod arch;

/// The size of a cache line.
const LINE: usize = 64;

/// The number of cache lines of a suspended stack that are prefetched: the frames between the
/// switch and the waiting code.
const FETCHED_LINES: usize = 5;

/// The resumption point of code that was left. The blocks of assembly depend on its layout.
#[derive(Default)]
#[repr(C)]
struct Context {
    code: usize,
    stack: usize,
    /// The frame pointer; zero at the beginning, which ends the chain.
    frame: usize,
    /// rbx or x19.
    base: usize,
}

/// The resumption point of the hub while a fiber runs.
#[derive(Default)]
pub(crate) struct Home {
    context: UnsafeCell<Context>,
}

/// Code on a stack of its own.
///
/// All methods take a shared reference, because two parties hold one at the same time: the hub is
/// inside [`resume`](Fiber::resume) while the fiber's own code calls [`suspend`](Fiber::suspend).
///
/// Dropping a fiber drops its body if it has never run. If it has run and is not done, everything
/// it holds is leaked. Either way the stack is not reused; only [`take_stack`](Fiber::take_stack)
/// releases it for reuse.
#[repr(C)]
pub(crate) struct Fiber {
    /// First, so that the address that the switch passes is also the address of the fiber.
    context: UnsafeCell<Context>,
    /// The hub's side, set when the fiber is resumed.
    home: Cell<*const Home>,
    done: Cell<bool>,
    /// The function that drops the body on the stack; `None` once the body has started. A caller
    /// must answer the `# Safety` section of [`drop_body`].
    unrun: Cell<Option<unsafe fn(&Stack)>>,
    stack: Stack,
    valgrind: ManuallyDrop<Option<ValgrindStackRegistration>>,
}

const _: () = assert!(offset_of!(Fiber, context) == 0);

impl Fiber {
    /// Creates a fiber. `body` is stored on `stack` and runs there from the first resume.
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
        // SAFETY: the place is aligned, and inside the stack, which we own and nothing runs on.
        unsafe { pointer::<F>(place).write(body) };
        let base = place & !15;
        // SAFETY: the word is next to the body, aligned to 8, and unused.
        unsafe { pointer::<usize>(base - 8).write(0) };
        let start: extern "C" fn(*mut Context) -> ! = start::<F>;
        let context = Context { code: start as usize, stack: base - arch::RETURN_ADDRESS, frame: 0, base: 0 };
        let valgrind = under_valgrind()
            .then(|| ValgrindStackRegistration::new(pointer(stack.limit()), stack.top() - stack.limit()));
        Fiber {
            context: UnsafeCell::new(context),
            home: Cell::new(ptr::null()),
            done: Cell::new(false),
            unrun: Cell::new(Some(drop_body::<F>)),
            stack,
            valgrind: ManuallyDrop::new(valgrind),
        }
    }

    /// Runs the fiber, and those to which it [hands over](Fiber::hand_over), until one of them
    /// suspends or ends.
    ///
    /// # Safety
    ///
    /// The caller must be on the thread that made the fiber and not inside a fiber. The fiber must
    /// not be done and must not have moved since its first resume. No other resume with this
    /// `home` may be under way.
    #[inline(always)]
    pub(crate) unsafe fn resume(&self, home: &Home) {
        self.home.set(home);
        // SAFETY: the fiber is suspended or fresh, since other code has control, so its context is
        // valid. The context of the hub is another one, and the hub is here once at a time.
        unsafe { arch::switch(home.context.get(), self.context()) };
    }

    /// Switches to the hub. Returns when this fiber is resumed again, which may be never.
    ///
    /// # Safety
    ///
    /// The caller must run on this fiber.
    #[inline(always)]
    pub(crate) unsafe fn suspend(&self) {
        // SAFETY: the fiber runs, so `resume` or `hand_over` has set its home, which exists until the
        // hub's call of `resume` returns.
        let home = unsafe { &*self.home.get() };
        // SAFETY: the fiber runs, so the hub is in `resume` and its context is valid.
        unsafe { arch::switch(self.context(), home.context.get()) };
    }

    /// Switches to another fiber, as if this one had suspended and the hub had resumed the other.
    /// Returns when this fiber is resumed again, which may be never.
    ///
    /// # Safety
    ///
    /// The caller must run on this fiber. `to` must point to another fiber that exists, is suspended,
    /// not done, was last resumed with the same home, and has not moved since its first resume.
    #[inline(always)]
    // `to` by pointer: that fiber may end, and be gone, before this call returns.
    pub(crate) unsafe fn hand_over(&self, to: *const Fiber) {
        // The context is the first field.
        let context = to.cast_mut().cast::<Context>();
        // SAFETY: the other fiber is suspended, so it is not this one and its context is valid.
        unsafe { arch::switch(self.context(), context) };
    }

    /// Prefetches the part of the stack that the next resume touches. A hint without other effects.
    #[inline(always)]
    pub(crate) fn fetch(&self) {
        // SAFETY: the context is written only by switches, and none is in progress.
        let frames = unsafe { (*self.context.get()).stack };
        fetch(frames, FETCHED_LINES);
    }

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
    // Read in place: moving the fiber out first would wait for the writes of the last switch, a
    // store-forwarding stall.
    pub(crate) fn take_stack(place: &mut Option<Fiber>) -> Stack {
        let fiber = place.as_mut().expect("the place has a fiber");
        if !fiber.done() {
            assert!(fiber.unrun.get().is_some(), "the stack of a suspended fiber is in use");
            fiber.drop_unrun();
        }
        drop(fiber.valgrind.take());
        // SAFETY: the place is overwritten next without a drop, so this becomes the only copy.
        let stack = unsafe { ptr::read(&raw const fiber.stack) };
        // SAFETY: the place is valid for writes. Only the stack that was read is not dropped.
        unsafe { ptr::write(place, None) };
        stack
    }

    /// Returns `true` if the body has returned.
    #[inline]
    pub(crate) fn done(&self) -> bool {
        self.done.get()
    }

    /// Returns the address of the context, which the switch uses and from which `start` reaches the
    /// fiber as well.
    #[inline(always)]
    fn context(&self) -> *mut Context {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Drops the body of a fiber that has never run; does nothing for other fibers.
    #[cold]
    fn drop_unrun(&self) {
        if let Some(drop_body) = self.unrun.take() {
            // SAFETY: the body has been on the stack since the fiber was made. It is run or dropped
            // only by the code that takes `unrun`, which does one of the two.
            unsafe { drop_body(&self.stack) };
        }
    }
}

impl Drop for Fiber {
    #[inline]
    fn drop(&mut self) {
        // The stack of a started fiber is leaked with everything on it, and stays known to
        // valgrind.
        self.drop_unrun();
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("done", &self.done).finish_non_exhaustive()
    }
}

/// Fibers can switch to each other without the hub.
pub(crate) const HANDS_OVER: bool = true;

/// Prefetches that many cache lines from this address on. A hint: any address is allowed.
#[inline(always)]
pub(crate) fn fetch(address: usize, lines: usize) {
    for line in 0..lines {
        arch::prefetch(address.wrapping_add(line * LINE));
    }
}

/// The first function on each stack: entered by a jump at the first resume as if it had been
/// called, and left by a jump.
extern "C" fn start<F: FnOnce()>(context: *mut Context) -> ! {
    // SAFETY: the switch has passed this pointer, made from a reference to the whole fiber. The
    // fiber exists as long as it is resumed, and does not move.
    let fiber = unsafe { &*context.cast::<Fiber>() };
    fiber.unrun.set(None);
    // SAFETY: the body was written there when the fiber was made. It is moved out, and `unrun` no
    // longer gives access to it.
    let body = unsafe { pointer::<F>(place_of::<F>(&fiber.stack)).read() };
    run_body(body);
    fiber.done.set(true);
    // SAFETY: the fiber runs, so its home is set, and exists until the hub's `resume` returns.
    let home = unsafe { &*fiber.home.get() };
    // SAFETY: the hub is in `resume`, so its context is valid. No frame is left on this stack
    // except this one, which has nothing to drop.
    unsafe { arch::leave(home.context.get()) }
}

/// Returns the place of the body before it runs.
#[inline]
fn place_of<F>(stack: &Stack) -> usize {
    (stack.top() - size_of::<F>()) & !(align_of::<F>() - 1)
}

/// Drops a body in its place.
///
/// # Safety
///
/// The body must be there, and must not be used afterwards.
unsafe fn drop_body<F>(stack: &Stack) {
    // SAFETY: the caller guarantees that the body is there.
    unsafe { pointer::<F>(place_of::<F>(stack)).drop_in_place() };
}

#[inline]
fn pointer<T>(address: usize) -> *mut T {
    ptr::with_exposed_provenance_mut(address)
}
