//! The mechanism under `ramie`: a mio event loop that switches stackful greenlets on one thread.
//!
//! Most programs use the `ramie` crate, which re-exports this one. This page is for code that adds
//! a protocol or a primitive of its own, or embeds the hub alone.
//!
//! # The loop in ten sentences
//!
//! 1. Every thread has one hub, created when it is first needed; greenlets never leave their
//!    thread.
//! 2. The thread's own stack is the *main greenlet*; when it waits, the hub runs in its place.
//! 3. A greenlet runs until it waits or ends; then the hub has control again.
//! 4. Only the hub resumes a greenlet; a wake-up, from any thread, only queues.
//! 5. The queue is strictly first in, first out: starts, yields, notifications, kills.
//! 6. A notification is one item of the queue: its waiters run one after another, each until it
//!    waits again.
//! 7. When the queue is empty, or after 5 ms, the hub polls the system.
//! 8. Due events are then served by priority: timers, ready sources, and last the limits of waits.
//! 9. Other threads reach the hub only through a [`Remote`].
//! 10. When nothing is left that could wake the main greenlet, [`LoopExit`] is raised in it.
//!
//! ```text
//!   greenlet            hub                     system
//!   --------            ---                     ------
//!   read: would block
//!   register, park ---> next item ... queue empty
//!                       poll ------------------> waits
//!                       event: wake token <----- ready
//!   read: 5 bytes <---- resume
//! ```
//!
//! # Promises
//!
//! * A greenlet keeps its thread: closures and results need not be `Send`.
//! * A wake-up never switches, and a wait is ended by at most one wake-up.
//! * Every wait can be killed and timed out, and leaves nothing behind either way. [`scope`] and
//!   [`lend`] lend the caller's frame: they raise a pending interrupt when the frame is no longer
//!   in use.
//! * A panic in a greenlet is the failure of that greenlet and affects no other.
//!
//! # The end of a hub
//!
//! A hub ends with its thread. Greenlets that have not ended by then are *abandoned*: their stacks
//! and everything on them are leaked, never unwound, because their destructors could reach
//! thread-locals that are gone already. [`abandoned_greenlets`] counts them. Structured programs
//! use `ramie::run`, which ends them while the thread is still whole.
//!
//! # Thread-locals
//!
//! Greenlets of one thread share its thread-locals. Three uses of std's `thread_local!` are
//! forbidden and cannot be checked: waiting in the *initialiser* of a thread-local (another
//! greenlet would initialise it a second time and drop the value that the first one refers to),
//! waiting while a reference to the greenlet's own stack is lent to others through a thread-local,
//! and waiting in the *destructor* of a thread-local at the end of the thread while greenlets are
//! suspended in the middle of using another. [`greenlet_local!`] has none of these problems.
//!
//! # Unwinding
//!
//! Kills and scope timeouts unwind. std keeps one count of panics for each thread: while a greenlet
//! waits in a destructor during an unwinding, `std::thread::panicking()` is true for the other
//! greenlets of the thread too, and a `std::sync::Mutex` is poisoned when one of them drops its
//! guard at that time. parking_lot's locks are not.
//!
//! Kills and scope timeouts that arrive while a greenlet unwinds are deferred, so that a destructor
//! that waits is not interrupted; limits of single calls and scopes inside the destructor work. One
//! case is not covered: a greenlet *panics* while another is suspended in the middle of its own
//! unwinding, then waits in a destructor, and is killed there. The process then ends with std's
//! message about a panic in a destructor.
#![warn(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod borrow;
mod error;
mod exception;
mod fiber;
mod greenlet;
mod hub;
mod inbox;
mod io;
mod loom;
mod reactor;
mod remote;
mod scheduler;
pub mod shared;
mod stack;
mod stderr;
mod sync;
mod task;
mod timers;
mod wait;

pub use crate::borrow::lend::{Lent, lend};
pub use crate::borrow::scope::{Scope, ScopedGreenlet, scope};
pub use crate::error::{BlockingSwitchOutError, GetError, HubGone, LoopExit, NotRun, TimedOut, Waiting};
pub use crate::exception::{Exception, Failure, FailureText, GreenletExit, SystemExit};
pub use crate::greenlet::builder::{
    Builder, SpawnCallbackId, add_spawn_callback, remove_spawn_callback, spawn, spawn_later, spawn_raw,
};
pub use crate::greenlet::handle::{Greenlet, getcurrent};
pub use crate::greenlet::kill::{
    killall, killall_nowait, killall_timeout, killall_with, killall_with_nowait, killall_with_timeout,
};
pub use crate::greenlet::local::LocalKey;
#[doc(hidden)]
pub use crate::greenlet::local::LocalScope;
pub use crate::hub::handle::{Hub, get_hub};
pub use crate::hub::stats::HubStats;
pub use crate::hub::watcher::Watcher;
pub use crate::io::{Io, Source};
#[cfg(unix)]
pub use crate::io::{wait_any_fd, wait_read, wait_readwrite, wait_write};
pub use crate::remote::handle::{KeepAlive, Remote, Waiter, Waker};
pub use crate::remote::job::{JobFailure, run_job};
pub use crate::remote::reply::Reply;
pub use crate::scheduler::callback::Callback;
pub use crate::scheduler::current::abandoned_greenlets;
#[doc(hidden)]
pub use crate::scheduler::current::has_hub;
pub use crate::scheduler::report::{ErrorContext, ErrorHandler};
pub use crate::scheduler::unwind::{Caught, Raised, catch, raise};
pub use crate::stack::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError, StackStats};
pub use crate::sync::async_result::AsyncResult;
pub use crate::sync::event::Event;
pub use crate::sync::semaphore::Semaphore;
pub use crate::task::AnyGreenlet;
pub use crate::task::body::{Body, Fallible, ScopedBody, fallible};
pub use crate::task::{Lane, LinkId, Rule};
pub use crate::wait::limit::Limit;
pub use crate::wait::multi::{IWait, JoinOptions, iwait, joinall, joinall_with, wait, wait_timeout};
pub use crate::wait::sleep::{idle, sleep, sleep_unref, yield_now};
pub use crate::wait::timeout::{Timeout, with_timeout};
pub use crate::wait::wait_queue::{WaitError, WaitQueue, Waits};
pub use crate::wait::waitable::Waitable;
