//! The two crossings between the hub and a greenlet, and the making of the fiber they cross on.
#![expect(unsafe_code, reason = "resumes and suspends fibers, whose contracts the hub's rules fulfil")]

use std::cell::UnsafeCell;

use crate::fiber::Fiber;
use crate::stack::Stack;
use crate::stack::overflow::{self, OverflowInfo};

/// Whether every fiber has a panic count of its own, as the stand-in's threads do, instead of sharing the hub's.
pub(crate) const COUNTS_APART: bool = cfg!(any(miri, ramie_fiber = "thread"));

/// The place of a task's fiber: from its first turn until the hub takes it back.
pub(crate) struct FiberCell(UnsafeCell<Option<Fiber>>);

impl FiberCell {
    pub(crate) const fn new() -> FiberCell {
        FiberCell(UnsafeCell::new(None))
    }

    #[inline(always)]
    fn peek(&self) -> Option<&Fiber> {
        // SAFETY: it is written to by `make` only, when nobody knows of a fiber yet, and by `reclaim`, when nobody is
        // inside it any more.
        unsafe { &*self.0.get() }.as_ref()
    }

    #[inline(always)]
    fn get(&self) -> &Fiber {
        self.peek().expect("a running task has a fiber until it is reaped")
    }
}

/// Gives a task its fiber. Called once for a task.
pub(crate) fn make(cell: &FiberCell, notice: &OverflowInfo, stack: Stack, body: impl FnOnce() + 'static) {
    notice.set_stack(stack.guard(), stack.size());
    // SAFETY: a task without a fiber has not run, so nobody has a reference to what is in the cell.
    let place = unsafe { &mut *cell.0.get() };
    assert!(place.is_none(), "a task begins once");
    *place = Some(Fiber::new(stack, body));
}

/// Takes the stack back from a task whose fiber has returned.
pub(crate) fn reclaim(cell: &FiberCell) -> Stack {
    assert!(cell.get().done(), "the stack of a suspended fiber is in use");
    // SAFETY: the fiber has returned: `resume` has come back for good and `suspend` is never called on it again. Those
    // two have the only references.
    let place = unsafe { &mut *cell.0.get() };
    Fiber::take_stack(place)
}

/// Runs a task until it suspends; true when it has ended. Called by the hub only, on main's stack.
// Inlined with all that is between it and the loop: what the hub called and has not returned from when a greenlet goes
// on stands in the way of the processor's predictions of that greenlet's returns.
#[inline(always)]
pub(crate) fn resume(cell: &FiberCell, notice: &OverflowInfo) -> bool {
    let fiber = cell.get();
    // SAFETY: both are in the record of a task that has a place in the hub until its fiber has returned, and so outlives
    // the run, which ends below.
    unsafe { overflow::set_running(notice) };
    // SAFETY: only `Core::switch_to` comes here, in hub mode, so on the stack of the hub and on its thread (records
    // are not Send). The task was parked or new and is marked as running from now on, so it is not resumed twice;
    // a task that has ended is taken out of the slab and never switched to again. The fiber is in the record, which
    // stays where it is.
    let done = unsafe { fiber.resume() };
    // SAFETY: null says that nobody runs.
    unsafe { overflow::set_running(std::ptr::null()) };
    done
}

/// Suspends the running task, whose fiber this is, until the hub resumes it.
#[inline(always)]
pub(crate) fn suspend(cell: &FiberCell) {
    // SAFETY: `Core::park` passes that of the current task in greenlet mode, and the current task is the one whose fiber
    // the hub resumed last: this code runs on it.
    unsafe { cell.get().suspend() };
}

/// Has what a switch to this fiber touches on its stack fetched into the cache. A hint.
#[inline(always)]
pub(crate) fn fetch_stack(cell: &FiberCell) {
    if let Some(fiber) = cell.peek() {
        fiber.fetch();
    }
}
