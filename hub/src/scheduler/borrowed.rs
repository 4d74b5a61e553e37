//! User code that runs while an object is borrowed, or in the middle of an operation, and so must
//! not wait.

use std::task::Waker;

use crate::scheduler::current;
use crate::scheduler::unwind::guard;

/// Runs `f`; every wait in it raises [`WaitWhileBorrowed`](crate::WaitWhileBorrowed) with this
/// text. For objects that call a comparison or a clone of an item while they are borrowed.
#[doc(hidden)]
pub fn while_borrowed<R>(call: &'static str, f: impl FnOnce() -> R) -> R {
    // Without a hub there are no greenlets that could access the borrowed object.
    let Some(core) = current::try_core() else { return f() };
    let outer = core.nested.set_borrowed(Some(call));
    let result = core.as_hub(|| guard(f));
    core.nested.set_borrowed(outer);
    result.unwrap_or_else(|escape| escape.resume())
}

/// Wakes the executor of a future, in an operation that must not wait and must wake others too. A
/// panic of the waker ends here, after the panic hook has reported it.
pub(crate) fn wake_future(waker: Waker) {
    if let Err(escape) = guard(|| while_borrowed("Waker::wake", || waker.wake())) {
        escape.let_go();
    }
}
