//! The mechanism under `ramie`: a mio event loop that switches stackful greenlets on one thread.
//!
//! Most programs use the `ramie` crate, which re-exports this one; this page is for those who bring
//! a protocol or a primitive of their own, or embed the bare hub.
//!
//! # The loop in ten sentences
//!
//! 1. Every thread has one hub, made when it is first needed; greenlets never leave their thread.
//! 2. The thread's own stack is the *main greenlet*; when it waits, the hub runs in its place.
//! 3. A greenlet runs until it waits or ends; then control is the hub's again.
//! 4. Only the hub resumes a greenlet; a wake, from wherever, only queues.
//! 5. The queue is strictly first in, first out: starts, yields, notifications, kills.
//! 6. A notification is one item of the queue: its waiters run one after another, each until it
//!    waits again.
//! 7. When the queue is empty, or after 5 ms, the hub polls the system; an operation that need not
//!    wait lets it.
//! 8. What is due then is served by priority: timers, ready sources, and last the limits of waits.
//! 9. Other threads reach the hub through a [`Remote`] only.
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
//! * A wake never switches, and a wait is ended by one wake at most.
//! * Every wait can be killed and timed out, and leaves nothing behind either way. [`scope`] and
//!   [`lend`], whose caller's frame is in use, raise what came when that is over.
//! * A panic in a greenlet is that greenlet's failure and nobody else's trouble.
//!
//! # The end of a hub
//!
//! A hub ends with its thread, before every thread-local that a greenlet can be using is destroyed.
//! Greenlets that have not ended by then are killed with [`GreenletExit`], and the loop runs until
//! they have unwound, for at most a second. One that catches the exception is killed twice more.
//! Those that still do not end are *abandoned*: their stacks and everything on them are leaked,
//! [`abandoned_greenlets`] counts them, and stderr names them. Structured programs use
//! `ramie::run`, which ends them without that limit.
//!
//! An abandoned greenlet may be in the middle of changing a thread-local, and so may work that it
//! has [lent](lend) to another thread. So the thread-locals that the thread has left are leaked
//! with it: their destructors do not run. That is possible on Linux with glibc. Elsewhere the end
//! of the thread waits for such work, and says so on stderr after a second, but a thread-local that
//! an abandoned greenlet has half-changed is destroyed.
//!
//! The end of the main thread, when `main` returns or calls `std::process::exit`, is no different,
//! except that it does not wait for lent work: the process ends at once. When a greenlet or a
//! callback calls `std::process::exit`, no greenlet is unwound. A destructor that calls
//! `std::process::exit` while the process ends is refused by std, which aborts.
//!
//! A destructor of a thread-local that waits after the end of its thread's hub gets another hub,
//! which ends when that destructor has returned.
//!
//! # Thread-locals
//!
//! Greenlets of one thread share its thread-locals. Three things must not be done with std's
//! `thread_local!`, and nothing can check them: waiting in the *initialiser* of one (another
//! greenlet would initialise it a second time and drop what the first refers to), waiting while a
//! reference to one's own stack is lent to others through one, and (except on Linux with glibc)
//! ending a thread while a greenlet is suspended in the middle of using one that was used for the
//! first time after main has waited 32 times. With glibc this is left: `std::process::exit`, called
//! by a greenlet or a callback that has run before, while another greenlet is suspended in the
//! middle of using a thread-local that was used for the first time since the loop last polled.
//! [`greenlet_local!`] has none of these problems. In debug builds `RAMIE_CHECK_WAITS=1` in the
//! environment makes a wait in an initialiser, or in a `std::thread::scope`, panic.
//!
//! # Unwinding
//!
//! Kills and scope timeouts unwind. std keeps one count of panics for the thread: while a greenlet
//! waits in a destructor during an unwinding, `std::thread::panicking()` is true for its neighbours
//! too, and a `std::sync::Mutex` whose guard such a neighbour drops meanwhile is poisoned.
//! parking_lot's locks are not.
//!
//! Kills and scope timeouts that come while a greenlet unwinds are put off, so that a destructor
//! that waits is not interrupted; limits of single calls and scopes inside the destructor work. One
//! case is not covered: a greenlet that *panics* while another is suspended in the middle of its
//! own unwinding, that then waits in a destructor, and is killed there. The process ends with std's
//! message about a panic in a destructor.
//!
//! Code that catches every panic (`catch_unwind` in a framework) also catches kills and timeouts;
//! see [`Raised`] for what follows.
//!
//! **A panic hook must not wait.** std runs one hook at a time on a thread and knows no greenlets:
//! while a greenlet waits in the hook, a panic of any other greenlet of the thread aborts the
//! process, and so does [`std::panic::set_hook`]. A hook that has something to send hands it to a
//! thread or puts it in a queue. While a greenlet waits in the middle of an unwinding, `set_hook`
//! and `take_hook` panic, because `std::thread::panicking()` is true.
//!
//! # Std's locks and cells
//!
//! `std::sync::LazyLock`, `OnceLock`, `Once` and `Mutex` block the thread. A greenlet that waits in
//! the initialiser of one, or with a guard, stops its thread for good as soon as another greenlet
//! of the thread asks for the same one. `ramie::sync` has `OnceCell`, `Once` and `Mutex` that let
//! others run. `std::thread::scope` blocks its thread when it is left, until its threads have
//! ended: no kill or timeout interrupts that.
//!
//! # Values that no caller takes
//!
//! The value of a greenlet is dropped where its last handle is dropped. If no handle is left when
//! the body returns, that is at the end of the greenlet, on its stack. If the hub drops the last
//! handle, a greenlet is made that drops the value. In each of these places its destructor may
//! wait: a buffered writer is flushed. A kill interrupts it there as it interrupts any greenlet, so
//! a program that ends by `ramie::run` joins those whose values have something to do. What a
//! destructor panics with is reported.
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
pub use crate::error::{
    BlockingSwitchOutError, GetError, HubGone, LoopExit, NotRun, TimedOut, WaitWhileBorrowed, Waiting,
};
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
pub use crate::hub::handle::{Hub, get_hub, try_get_hub};
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
#[doc(hidden)]
pub use crate::scheduler::borrowed::while_borrowed;
pub use crate::scheduler::callback::Callback;
pub use crate::scheduler::current::abandoned_greenlets;
#[doc(hidden)]
pub use crate::scheduler::current::has_hub;
pub use crate::scheduler::report::{ErrorContext, ErrorHandler};
pub use crate::scheduler::unwind::{Caught, Raised, catch, raise};
pub use crate::stack::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError, StackStats};
pub use crate::sync::async_result::AsyncResult;
pub use crate::sync::event::Event;
pub use crate::sync::semaphore::{Semaphore, SemaphorePermit};
pub use crate::task::AnyGreenlet;
pub use crate::task::body::{Body, Fallible, ScopedBody, fallible};
pub use crate::task::{Lane, LinkId, Rule};
pub use crate::wait::limit::Limit;
pub use crate::wait::multi::{IWait, JoinOptions, iwait, joinall, joinall_with, wait, wait_timeout};
#[doc(hidden)]
pub use crate::wait::put_off::put_off;
#[doc(hidden)]
pub use crate::wait::sleep::count_operation;
pub use crate::wait::sleep::{idle, sleep, sleep_unref, yield_now};
pub use crate::wait::timeout::{Timeout, with_timeout};
pub use crate::wait::wait_queue::{WaitError, WaitQueue, Waits};
pub use crate::wait::waitable::Waitable;
