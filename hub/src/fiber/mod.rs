//! Fibers: code on a stack of its own that can be suspended and resumed.
//!
//! This is the seam between the hub and the implementation that switches stacks. It has four verbs.
//!
//! ```text
//!        hub (the thread's own stack)                     fiber (a stack from the pool)
//!
//!   make     Fiber::new(stack, body)     ....             body waits, nothing has run
//!   resume   fiber.resume() ─────────────────────────▶    body runs
//!            returns        ◀─────────────────────────    fiber.suspend()          suspend
//!            fiber.resume() ─────────────────────────▶    suspend returns
//!            returns        ◀─────────────────────────    body returns: done
//!   recycle  Fiber::take_stack(fiber)                     the stack is free for the next one
//! ```
//!
//! A fifth verb, `hand_over`, is a suspend and the resume of another fiber in one switch; it exists
//! only where [`HANDS_OVER`] is true. `resume` then returns when the fiber that runs last suspends
//! or ends.
//!
//! The rules, which every implementation may rely on and which are not checked at run time:
//!
//! 1. Only the hub resumes: from the thread's own stack, never from inside a fiber. A fiber hands
//!    over only to another one of the same hub that is suspended.
//! 2. A fiber stays on the thread that made it, so its body need not be `Send`.
//! 3. Only the code that runs on a fiber suspends that fiber.
//! 4. No panic crosses the switch. The body catches every panic; a panic that leaves it aborts the
//!    process.
//! 5. A fiber that has started and not ended is never unwound and its stack is never reused:
//!    dropping it leaks both. Other fibers may hold pointers into its frames, and only the code
//!    above knows when unwinding is allowed.
//!
//! 6. A fiber does not move in memory from its first resume to its end.
//!
//! Three implementations have these verbs; `--cfg ramie_fiber="..."` in RUSTFLAGS selects one, and
//! the rest of the hub cannot tell them apart.
//!
//! * `native` is a switch of our own in a few instructions of assembly, the default on x86-64 and
//!   AArch64 Unix.
//! * `corosensei` leaves the switching to that crate. It is the
//!   default everywhere else, the reference for `native`, and the choice for sanitizers.
//! * `thread` gives each fiber an OS thread and lets one of them run at a time. It is slow and not
//!   fully equivalent, but Miri can check everything above the switch with it; Miri uses it by
//!   default.

mod body;

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

pub(crate) use self::imp::{Fiber, HANDS_OVER, Home, fetch};

#[cfg(test)]
mod tests;
