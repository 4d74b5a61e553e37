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
//! 7. When the queue is empty, or after 5 ms, the hub polls the system; an operation that need not
//!    wait also lets the hub poll then.
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
//! A hub ends with its thread, before any thread-local that a greenlet can be using is destroyed.
//! Greenlets that have not ended by then are killed with [`GreenletExit`], and the loop runs until
//! they have unwound, for at most a second. A greenlet that catches the exception is killed twice
//! more. Greenlets that still do not end are *abandoned*: their stacks and everything on them are
//! leaked, [`abandoned_greenlets`] counts them, and stderr lists their names. Structured programs
//! use `ramie::run`, which ends them without that limit.
//!
//! An abandoned greenlet may be in the middle of changing a thread-local, and so may work that it
//! has [lent](lend) to another thread. So the remaining thread-locals of the thread are leaked with
//! it: their destructors do not run. This is possible on Linux with glibc. On other systems the end
//! of the thread waits for such work, and reports that on stderr after a second, but a thread-local
//! that an abandoned greenlet has half-changed is destroyed.
//!
//! The end of the main thread, when `main` returns or calls `std::process::exit`, is no different,
//! except that it does not wait for lent work: the process ends at once. When a greenlet or a
//! callback calls `std::process::exit`, no greenlet is unwound. If a destructor calls
//! `std::process::exit` while the process ends, std refuses the call and aborts.
//!
//! A destructor of a thread-local that waits after the end of its thread's hub gets another hub,
//! which ends when that destructor has returned.
//!
//! # Thread-locals
//!
//! Greenlets of one thread share its thread-locals. Three uses of std's `thread_local!` are
//! forbidden and cannot be checked: waiting in the *initialiser* of a thread-local (another
//! greenlet would initialise it a second time and drop the value that the first one refers to),
//! waiting while a reference to the greenlet's own stack is lent to others through a thread-local,
//! and (except on Linux with glibc) ending a thread while a greenlet is suspended in the middle of
//! using a thread-local that was used for the first time after main has waited 32 times. With glibc
//! one case remains: `std::process::exit`, called by a greenlet or a callback that has run before,
//! while another greenlet is suspended in the middle of using a thread-local that was used for the
//! first time since the loop last polled. [`greenlet_local!`] has none of these problems. In debug
//! builds `RAMIE_CHECK_WAITS=1` in the environment makes a wait in an initialiser, or in a
//! `std::thread::scope`, panic.
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
//!
//! Code that catches every panic (`catch_unwind` in a framework) also catches kills and timeouts;
//! see [`Raised`] for the consequences.
//!
//! **A panic hook must not wait.** std runs one hook at a time on a thread and does not know
//! greenlets: while a greenlet waits in the hook, a panic of any other greenlet of the thread
//! aborts the process, and so does [`std::panic::set_hook`]. A hook that must send a message passes
//! it to a thread or to a queue. While a greenlet waits in the middle of an unwinding, `set_hook`
//! and `take_hook` panic, because `std::thread::panicking()` is true.
//!
//! # Std's locks and cells
//!
//! `std::sync::LazyLock`, `OnceLock`, `Once` and `Mutex` block the thread. A greenlet that waits in
//! the initialiser of one of these, or with a guard, stops its thread forever as soon as another
//! greenlet of the thread uses the same object. `ramie::sync` has `OnceCell`, `Once` and `Mutex`
//! that let other greenlets run. `std::thread::scope` blocks its thread at its end until its
//! threads have ended: no kill or timeout interrupts that.
//!
//! # Values that no caller takes
//!
//! The value of a greenlet is dropped where its last handle is dropped. If no handle is left when
//! the body returns, that is at the end of the greenlet, on its stack. If the hub drops the last
//! handle, a new greenlet drops the value. In each of these places the destructor of the value may
//! wait: a buffered writer is flushed. A kill interrupts the destructor there like any other code
//! of a greenlet, so a program that ends by `ramie::run` should join greenlets that have values
//! with such destructors. A panic of the destructor is reported.
#![warn(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

mod borrow;
mod bound;
mod by_ref;
mod error;
mod exception;
mod fiber;
mod future;
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
pub use crate::bound::Bound;
pub use crate::by_ref::ReadWriteRef;
pub use crate::error::{
    BlockingSwitchOutError, GetError, HubGone, LoopExit, NotRun, TimedOut, WaitWhileBorrowed, Waiting,
};
pub use crate::exception::{Exception, Failure, FailureText, GreenletExit, SystemExit};
pub use crate::future::block_on::{block_on, block_on_timeout};
pub use crate::future::sleep::Sleep;
pub use crate::greenlet::builder::{
    Builder, SpawnCallbackId, add_spawn_callback, remove_spawn_callback, spawn, spawn_later, spawn_raw,
};
pub use crate::greenlet::handle::{Greenlet, getcurrent};
pub use crate::greenlet::kill::{Kill, killall, killall_nowait, killall_with};
pub use crate::greenlet::local::LocalKey;
#[doc(hidden)]
pub use crate::greenlet::local::LocalScope;
pub use crate::hub::handle::{Hub, get_hub, try_get_hub};
pub use crate::hub::remote_greenlet::RemoteGreenlet;
pub use crate::hub::stats::HubStats;
pub use crate::hub::watcher::Watcher;
#[cfg(unix)]
#[doc(hidden)]
pub use crate::io::OwnsFd;
pub use crate::io::{Io, Source};
#[cfg(unix)]
pub use crate::io::{wait_any_fd, wait_read, wait_readwrite, wait_write};
pub use crate::remote::handle::{KeepAlive, Remote, Waiter, Waker};
pub use crate::remote::job::{JobFailure, run_job};
pub use crate::remote::reply::Reply;
pub use crate::scheduler::Next;
#[doc(hidden)]
pub use crate::scheduler::borrowed::while_borrowed;
pub use crate::scheduler::callback::Callback;
pub use crate::scheduler::current::abandoned_greenlets;
#[doc(hidden)]
pub use crate::scheduler::current::has_hub;
#[doc(hidden)]
pub use crate::scheduler::interrupts::unwinding;
pub use crate::scheduler::report::{ErrorContext, ErrorHandler};
pub use crate::scheduler::unwind::{Caught, Raised, catch, raise};
pub use crate::stack::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError, StackStats};
pub use crate::sync::async_result::AsyncResult;
pub use crate::sync::generic;
pub use crate::sync::local::{Event, Semaphore, SemaphorePermit};
pub use crate::task::AnyGreenlet;
#[doc(hidden)]
pub use crate::task::Observer;
pub use crate::task::body::{Body, Fallible, ScopedBody, fallible};
pub use crate::task::{Lane, LinkId, WakePolicy};
pub use crate::wait::collections::{IntoGreenlets, IntoWaitables, Iterated, Listed};
pub use crate::wait::future::WaitFuture;
pub use crate::wait::limit::Limit;
pub use crate::wait::multi::{IWait, JoinOptions, iwait, joinall, joinall_with, wait, wait_timeout};
#[doc(hidden)]
pub use crate::wait::put_off::put_off;
#[doc(hidden)]
pub use crate::wait::sleep::count_operation;
pub use crate::wait::sleep::{idle, sleep, sleep_unref, yield_now};
pub use crate::wait::timeout::{Timeout, with_timeout};
pub use crate::wait::turn::Turn;
pub use crate::wait::wait_queue::{WaitError, WaitQueue, Waits};
pub use crate::wait::waitable::Waitable;
