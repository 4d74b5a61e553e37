//! The two crossings between the hub and a greenlet, and the creation of the fiber.
#![expect(unsafe_code, reason = "resumes and suspends fibers, whose contracts the hub's rules fulfil")]

use std::cell::UnsafeCell;

use crate::fiber::Fiber;
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
    // SAFETY: the fiber has returned: `resume` has come back finally and `suspend` is never called
    // on it again. Those two have the only references.
    let place = unsafe { &mut *cell.0.get() };
    Fiber::take_stack(place)
}

/// Runs a task until it suspends. Returns `true` when it has ended. Called only by the hub, on
/// main's stack.
// Inlined up to the loop. Any call still open on the hub's side when a greenlet resumes would leave
// the CPU's return-address predictor one entry off for every return of that greenlet.
#[inline(always)]
pub(crate) fn resume(cell: &FiberCell, notice: &OverflowInfo) -> bool {
    let fiber = cell.get();
    // SAFETY: both are in the record of a task that has a slot in the hub until its fiber has
    // returned, and so outlives the run, which ends below.
    unsafe { overflow::set_running(notice) };
    // SAFETY: only `Core::switch_to` calls this, in hub mode, so on the stack of the hub and on its
    // thread (records are not Send). The task was parked or new and is marked as running from now
    // on, so it is not resumed twice. A task that has ended is removed from the slab and never
    // switched to again. The fiber is in the record, which does not move.
    let done = unsafe { fiber.resume() };
    // SAFETY: null means that no greenlet runs.
    unsafe { overflow::set_running(std::ptr::null()) };
    done
}

/// Suspends the running task, which owns this fiber, until the hub resumes it.
#[inline(always)]
pub(crate) fn suspend(cell: &FiberCell) {
    // SAFETY: `Core::park` passes the cell of the current task in greenlet mode, and the hub has
    // resumed the fiber of the current task last: this code runs on that fiber.
    unsafe { cell.get().suspend() };
}

/// Prefetches the part of this fiber's stack that a switch touches. A hint.
#[inline(always)]
pub(crate) fn fetch_stack(cell: &FiberCell) {
    if let Some(fiber) = cell.peek() {
        fiber.fetch();
    }
}
