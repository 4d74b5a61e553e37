//! The body of a fiber: where it is stored, and what stops its panics.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The largest body that is stored on the stack. A larger one goes to the heap, so that the top
/// page of the stack has space for frames.
#[cfg_attr(
    any(miri, ramie_fiber = "thread"),
    expect(dead_code, reason = "threads have all bodies on the heap")
)]
pub(super) const MAX_INLINE_BODY: usize = 1024;

/// Runs the body of a fiber and stops every panic.
///
/// Aborting is for bugs of the runtime: the code above catches the panics of greenlets. A panic
/// that crosses the switch would unwind in the hub, in an unrelated turn.
pub(super) fn run_body(body: impl FnOnce()) {
    // A destructor would not suffice: where no frame catches, an unwinding does not begin and runs
    // no destructor.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        let _never_dropped = ManuallyDrop::new(payload);
        // The process ends either way, with or without the message.
        let _ = std::io::stderr().write_all(b"ramie: a panic has left the body of a fiber; this is a bug\n");
        std::process::abort();
    }
}
