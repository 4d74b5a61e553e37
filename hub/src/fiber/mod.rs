//! Fibers: code on a stack of its own, which stops in the middle and goes on later.
//!
//! This is the seam between the hub and whatever switches stacks. It has four verbs.
//!
//! ```text
//!        hub (the thread's own stack)                     fiber (a stack from the pool)
//!
//!   make     Fiber::new(stack, body)     ....             body waits, nothing has run
//!   resume   fiber.resume() ─────────────────────────▶    body runs
//!            returns false  ◀─────────────────────────    fiber.suspend()          suspend
//!            fiber.resume() ─────────────────────────▶    suspend returns
//!            returns true   ◀─────────────────────────    body returns: done
//!   recycle  Fiber::take_stack(fiber)                     the stack is free for the next one
//! ```
//!
//! The rules, which every implementation may count on and no one checks at run time:
//!
//! 1. Only the hub resumes: from the thread's own stack, never from inside a fiber.
//! 2. A fiber stays on the thread that made it, so its body needs not be `Send`.
//! 3. Only the code that runs on a fiber suspends that fiber.
//! 4. No panic crosses the switch. The body catches everything; what it lets through aborts the process.
//! 5. A fiber that has started and not ended is never unwound and its stack never reused: dropping it leaks both.
//!    Other fibers may hold pointers into its frames, and unwinding is the business of whoever knows what it means.
//!
//! 6. From its first resume to its end a fiber stays where it is in memory.
//!
//! Three implementations have these verbs; `--cfg ramie_fiber="..."` in RUSTFLAGS chooses one, and the rest of the
//! hub cannot tell them apart.
//!
//! * `native` is a switch of our own in a few instructions of assembly, the default on x86-64 and AArch64 Unix.
//! * `coro`, by the name of "corosensei", leaves the switching to that crate. It is the default everywhere else, the
//!   reference for `native`, and the choice for sanitizers.
//! * `thread` gives each fiber an OS thread and lets one of them run at a time. It is slow and a little wrong, and it
//!   lets Miri check everything above the switch, which has it by default.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[cfg(any(miri, ramie_fiber = "thread"))]
#[path = "thread.rs"]
mod imp;

#[cfg(all(
    unix,
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(any(miri, ramie_fiber = "thread", ramie_fiber = "corosensei"))
))]
#[path = "native.rs"]
mod imp;

#[cfg(not(any(
    miri,
    ramie_fiber = "thread",
    all(unix, any(target_arch = "x86_64", target_arch = "aarch64"), not(ramie_fiber = "corosensei"))
)))]
#[path = "corosensei.rs"]
mod imp;

#[cfg(all(ramie_fiber = "native", not(all(unix, any(target_arch = "x86_64", target_arch = "aarch64")))))]
compile_error!("the native switch is for x86-64 and AArch64 Unix; leave `ramie_fiber` to its default");

pub(crate) use self::imp::{Fiber, fetch};

#[cfg(test)]
mod tests;

/// A body that is larger goes to the heap, so that the top page of the stack has room for frames.
#[cfg_attr(
    any(miri, ramie_fiber = "thread"),
    expect(dead_code, reason = "threads have all bodies on the heap")
)]
const MAX_INLINE_BODY: usize = 1024;

/// Runs the body of a fiber, past which no panic goes.
///
/// Aborting is for bugs of the runtime: the code above catches what greenlets throw. Letting a panic through would
/// raise it in the hub, in the middle of somebody else's turn.
fn run_body(body: impl FnOnce()) {
    // A destructor would not do: where no frame catches, an unwinding does not begin and runs none.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(body)) {
        let _never_dropped = ManuallyDrop::new(payload);
        // The process ends either way, with the message or without.
        let _ = std::io::stderr().write_all(b"ramie: a panic has left the body of a fiber; this is a bug\n");
        std::process::abort();
    }
}
