//! The two crossings between the hub and a greenlet, and the creation of the fiber.
#![expect(unsafe_code, reason = "resumes and suspends fibers, whose contracts the hub's rules fulfil")]

use std::cell::UnsafeCell;

use crate::fiber::Fiber;
pub(crate) use crate::fiber::{HANDS_OVER, Home};
use crate::stack::Stack;
use crate::stack::overflow::{self, OverflowInfo};

/// `true` if every fiber has a panic count of its own, as the stand-in's threads do, instead of
/// sharing the hub's count.
pub(crate) const COUNTS_APART: bool = cfg!(any(miri, ramie_fiber = "thread"));

/// The place of a task's fiber, filled from the task's first turn until the hub reclaims the fiber.
pub(crate) struct FiberCell(UnsafeCell<Option<Fiber>>);

impl FiberCell {
    pub(crate) const fn new() -> FiberCell {
        FiberCell(UnsafeCell::new(None))
    }

    #[inline(always)]
    fn peek(&self) -> Option<&Fiber> {
        // SAFETY: the cell is written only by `make`, before any reference to a fiber exists, and
        // by `reclaim`, when no code is inside the fiber any more.
        unsafe { &*self.0.get() }.as_ref()
    }

    /// Returns the fiber, if the task has begun and its fiber was not reclaimed.
    #[inline(always)]
    pub(crate) fn begun(&self) -> Option<&Fiber> {
        self.peek()
    }

    #[inline(always)]
    fn get(&self) -> &Fiber {
        self.peek().expect("a running task has a fiber until it is reaped")
    }
}

/// Creates the fiber of a task. Called once for a task.
pub(crate) fn make(cell: &FiberCell, notice: &OverflowInfo, stack: Stack, body: impl FnOnce() + 'static) {
    notice.set_stack(stack.guard(), stack.size());
    // SAFETY: a task without a fiber has not run, so no reference to the content of the cell
    // exists.
    let place = unsafe { &mut *cell.0.get() };
    assert!(place.is_none(), "a task begins once");
    *place = Some(Fiber::new(stack, body));
}

/// Reclaims the stack of a task when its fiber has returned.
pub(crate) fn reclaim(cell: &FiberCell) -> Stack {
    assert!(cell.get().done(), "the stack of a suspended fiber is in use");
    // SAFETY: the fiber has returned, so `suspend` and `hand_over` are never called on it again, and
    // `resume` is not under way. Those have the only references; a hand-over to it that is still
    // suspended has pointers, which it does not use any more.
    let place = unsafe { &mut *cell.0.get() };
    Fiber::take_stack(place)
}

/// Runs a task, and those to which it hands over, until one of them suspends or ends. Called only
/// by the hub, on main's stack.
// Inlined up to the loop. Any call still open on the hub's side when a greenlet resumes would leave
// the CPU's return-address predictor one entry off for every return of that greenlet.
#[inline(always)]
pub(crate) fn resume(cell: &FiberCell, notice: &OverflowInfo, home: &Home) {
    let fiber = cell.get();
    // SAFETY: the record of a task has a slot in the hub until its fiber has returned, and so
    // outlives the run of the task, which ends at the next `set_running`.
    unsafe { overflow::set_running(notice) };
    // SAFETY: only `Core::switch_to` calls this, in hub mode, so on the stack of the hub and on its
    // thread (records are not Send), where no other resume is under way. The task was parked or new
    // and is marked as running from now on, so it is not resumed twice. A task that has ended is
    // removed from the slab and never switched to again. The fiber is in the record, which does not
    // move.
    unsafe { fiber.resume(home) };
    // SAFETY: null means that no greenlet runs.
    unsafe { overflow::set_running(std::ptr::null()) };
}

/// Returns `true` if the fiber of a task has returned.
#[inline(always)]
pub(crate) fn done(cell: &FiberCell) -> bool {
    cell.get().done()
}

/// Suspends the running task, which owns this fiber, until the hub resumes it.
#[inline(always)]
pub(crate) fn suspend(cell: &FiberCell) {
    // SAFETY: `Core::suspend` passes the cell of the running task in greenlet mode, and the fiber of
    // the running task was resumed last: this code runs on that fiber.
    unsafe { cell.get().suspend() };
}

/// Suspends the running task, which owns this fiber, and runs the task of another fiber, with that
/// task's overflow info. Returns when the first task is resumed.
// By pointers: the other task may have ended, and its fiber be reclaimed, while this call waits.
#[inline(always)]
pub(crate) fn hand_over(cell: &FiberCell, to: *const Fiber, notice: *const OverflowInfo) {
    // SAFETY: as in `resume`, for the record of the other task.
    unsafe { overflow::set_running(notice) };
    // SAFETY: this code runs on the first fiber, as in `suspend`. The other one is that of a parked
    // task of this hub that has begun and not ended, and is marked as running from now on.
    unsafe { cell.get().hand_over(to) };
}

/// Prefetches the part of this fiber's stack that a switch touches. A hint.
#[inline(always)]
pub(crate) fn fetch_stack(cell: &FiberCell) {
    if let Some(fiber) = cell.peek() {
        fiber.fetch();
    }
}
