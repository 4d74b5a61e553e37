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
//!   recycle  fiber.into_stack()                           the stack is free for the next one
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
//! Two implementations have these verbs. `coro` switches stacks with corosensei, and nothing outside this room knows
//! that. `thread` gives each fiber an OS thread and lets one of them run at a time; it is slow and a little wrong,
//! and it lets Miri check everything above the switch. Build with `--cfg ramie_fiber="thread"` to have it without
//! Miri.

use std::io::Write;
use std::mem::ManuallyDrop;

#[cfg(not(any(miri, ramie_fiber = "thread")))]
mod coro;
#[cfg(not(any(miri, ramie_fiber = "thread")))]
pub(crate) use self::coro::Fiber;

#[cfg(any(miri, ramie_fiber = "thread"))]
mod thread;
#[cfg(any(miri, ramie_fiber = "thread"))]
pub(crate) use self::thread::Fiber;

#[cfg(test)]
mod tests;

/// Runs the body of a fiber, past which no panic goes.
///
/// Aborting is for bugs of the runtime: the code above catches what greenlets throw. Letting a panic through would
/// raise it in the hub, in the middle of somebody else's turn.
fn run_body(body: impl FnOnce()) {
    let on_unwind = AbortOnUnwind;
    body();
    let _ = ManuallyDrop::new(on_unwind);
}

struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        // The process ends either way, with the message or without.
        let _ = std::io::stderr().write_all(b"ramie: a panic has left the body of a fiber; this is a bug\n");
        std::process::abort();
    }
}
