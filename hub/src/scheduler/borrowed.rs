//! User code that runs while an object is borrowed, and so must not wait.

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
