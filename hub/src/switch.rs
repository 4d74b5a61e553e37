//! The two crossings between the hub and a greenlet, and the making of the fiber they cross on.
#![expect(unsafe_code, reason = "resumes and suspends fibers, whose contracts the hub's rules fulfil")]

use crate::fiber::Fiber;
use crate::stack::Stack;
use crate::stack::overflow;
use crate::task::TaskRef;

/// Whether every fiber has a panic count of its own, as the stand-in's threads do, instead of sharing the hub's.
pub(crate) const COUNTS_APART: bool = cfg!(any(miri, ramie_fiber = "thread"));

/// Gives a task its fiber.
pub(crate) fn make(record: &TaskRef, stack: Stack, body: impl FnOnce() + 'static) {
    record.task.overflow.set_stack(stack.guard(), stack.size());
    let old = record.task.fiber.borrow_mut().replace(Fiber::new(stack, body));
    debug_assert!(old.is_none(), "a task begins once");
}

/// Runs a task until it suspends; true when it has ended. Called by the hub only, on main's stack.
// Inlined with all that is between it and the loop: what the hub called and has not returned from when a greenlet goes
// on stands in the way of the processor's predictions of that greenlet's returns.
#[inline(always)]
pub(crate) fn resume(record: &TaskRef) -> bool {
    let fiber = record.task.fiber.borrow();
    let fiber = fiber.as_ref().expect("a running task has a fiber until it is reaped");
    // SAFETY: the record outlives the run, which ends below, because the caller holds it.
    unsafe { overflow::set_running(&raw const record.task.overflow) };
    // SAFETY: only `Core::switch_to` comes here, in hub mode, so on the stack of the hub and on its thread (records
    // are not Send). The task was parked or new and is marked as running from now on, so it is not resumed twice;
    // a task that has ended is taken out of the slab and never switched to again.
    let done = unsafe { fiber.resume() };
    // SAFETY: null says that nobody runs.
    unsafe { overflow::set_running(std::ptr::null()) };
    done
}

/// Suspends the running task until the hub resumes it. `record` is that of the running task.
#[inline(always)]
pub(crate) fn suspend(record: &TaskRef) {
    let fiber = record.task.fiber.borrow();
    let fiber = fiber.as_ref().expect("a running task has a fiber until it is reaped");
    // SAFETY: `Core::park` passes the current task in greenlet mode, and the current task is the one whose fiber
    // the hub resumed last: this code runs on it.
    unsafe { fiber.suspend() };
}
