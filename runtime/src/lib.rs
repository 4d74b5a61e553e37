//! Green threads with gevent's semantics: code as for threads, thousands of them, no `async`.
//!
//! ```no_run
//! use std::io;
//! use ramie::net::TcpListener;
//!
//! fn main() -> io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:7000")?;
//!     loop {
//!         let (stream, peer) = listener.accept()?;
//!         ramie::spawn(move || match io::copy(&mut &stream, &mut &stream) {
//!             Ok(bytes) => println!("{peer}: {bytes} bytes"),
//!             Err(error) => println!("{peer}: {error}"),
//!         });
//!     }
//! }
//! ```
//!
//! The streams implement [`std::io::Read`] and [`std::io::Write`], so `BufReader`, TLS libraries
//! and parsers written for std work on them unchanged. While one greenlet waits, others run. All
//! greenlets of a thread share `Rc` and `RefCell` freely, and nothing needs `Send`.
//!
//! # From std, from gevent
//!
//! | std | gevent | ramie |
//! |---|---|---|
//! | `thread::spawn` | `gevent.spawn` | [`spawn`] |
//! | `JoinHandle::join` | `Greenlet.get` | [`Greenlet::get`], [`Greenlet::take`] |
//! | `thread::Builder` | `Greenlet(...)` | [`Builder`] |
//! | `thread::scope` | | [`scope`](fn@scope) |
//! | `thread::sleep` | `gevent.sleep` | [`sleep`] |
//! | `thread::yield_now` | `gevent.sleep(0)` | [`yield_now`] |
//! | `thread::current` | `gevent.getcurrent` | [`getcurrent`] |
//! | `thread_local!` | `gevent.local.local` | [`greenlet_local!`], [`tree_local!`] |
//! | `net::TcpStream`, `net::UdpSocket` | `gevent.socket` | [`net::TcpStream`], [`net::TcpListener`], [`net::UdpSocket`] |
//! | `os::unix::net` | `gevent.socket` | `os::unix::net` |
//! | `fs` | `gevent.fileobject` | [`fs`]: files, on threads of the pool |
//! | `io::stdin`, `io::pipe` | `gevent.fileobject` | [`io`]: the same, and wrappers for any descriptor |
//! | | `gevent.server` | [`server::StreamServer`], [`server::DatagramServer`] |
//! | | `gevent.ssl` | `tls`, with the feature of that name |
//! | | `gevent.select` | `io::poll` |
//! | `process` | `gevent.subprocess` | `process`: commands and children |
//! | | `gevent.signal_handler` | `signal`: handlers, and signals to wait for |
//! | | `KeyboardInterrupt` | [`KeyboardInterrupt`], under [`run`](fn@run) |
//! | | `Greenlet.kill`, `killall` | [`AnyGreenlet::kill`], [`killall`] |
//! | | `Timeout`, `with_timeout` | [`Timeout`], [`with_timeout`] |
//! | | `link`, `rawlink` | [`Greenlet::link`], [`Greenlet::rawlink`] |
//! | | `wait`, `iwait`, `joinall` | [`wait`](fn@wait), [`iwait`], [`joinall`] |
//! | | `event.Event`, `lock.Semaphore` | [`sync::Event`], [`sync::Semaphore`] |
//! | | `pool.Group`, `pool.Pool` | [`Group`], [`Pool`] |
//! | | `pool.map`, `pool.imap` | [`Mapping::map`], [`Mapping::imap`] |
//! | `thread::spawn`, for what blocks | `threadpool.ThreadPool` | [`ThreadPool`] |
//! | | `get_hub`, `hub.join` | [`get_hub`], [`hub::Hub::join`] |
//! | a future's `.await` | | [`block_on`] |
//! | | `loop.run_callback_threadsafe` | [`hub::Remote::post`] |
//!
//! [`guide`] has the full table.
//!
//! # Where a name is
//!
//! This page lists the names that most programs use. Everything else is in a module, and each name
//! is in one place: [`sync`], [`queue`], [`channel`] and [`select`](mod@select) for greenlets of
//! one thread, [`shared`] for several threads, [`generic`] for code that serves both, [`net`],
//! [`io`], [`fs`], `os` and `tls` for input and output, [`pool`] for the less common parts of
//! groups and pools, and [`hub`] for code that builds a waitable object of its own, hands messages
//! to another thread's hub, or embeds the loop.
//!
//! # Futures
//!
//! [`block_on`] drives any future: the greenlet waits while the future is pending, and others run. A
//! kill or a timeout drops the future. [`using_crates`] says how to call crates such as reqwest,
//! hyper, sqlx, redis, rusqlite and rayon, with a program for each.
//!
//! # What waits and what blocks
//!
//! Every call of this crate that waits lets other greenlets run. Any other call that waits, such as
//! `std::thread::sleep`, locking a `std::sync::Mutex` or reading a `std::fs::File`, blocks the
//! thread and every greenlet on it, unless it runs in [`blocking`] or in a [`ThreadPool`], where
//! only the greenlet that needs the result waits.
//!
//! # When `spawn` is sound
//!
//! A greenlet never leaves its thread. Closures therefore need not be `Send`, and a function sees
//! the same thread-locals throughout. But Rust does not know greenlets, and some code of std relies
//! on no other code running during a call. [`spawn`] is sound if the program and its dependencies
//! keep the following conditions, which the language does not check:
//!
//! * no wait inside the initialiser of a `thread_local!`: another greenlet would run the
//!   initialiser again, and the second value would replace the first, to which references exist.
//!   The initialiser of a [`greenlet_local!`] may wait;
//! * no wait while a reference to the greenlet's own stack is lent through a thread-local, as
//!   `scoped-tls` does;
//! * no wait inside `std::thread::scope`: its threads are not joined if the greenlet is abandoned.
//!   [`scope`](fn@scope) and [`blocking`] borrow safely;
//! * no wait in the destructor of a thread-local while an abandoned greenlet is in the middle of
//!   using another one;
//! * no stack frame above 64 KiB in code without stack probes, such as C or assembly.
//!
//! With `RAMIE_CHECK_WAITS=1` in the environment, a debug build captures a backtrace at each wait,
//! which takes about a millisecond. It panics if the wait is inside such an initialiser, a
//! `std::thread::scope` or a `set` of `scoped-tls`. The check is for tests. `SECURITY.md` in the
//! repository has the reasons and the remaining conditions.
#![warn(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::unwrap_used, clippy::print_stdout)
)]

pub mod channel;
pub mod fs;
pub mod generic;
#[doc = include_str!("guide.md")]
pub mod guide {}
pub mod hub;
#[cfg(feature = "hyper")]
pub mod hyper;
pub mod io;
pub mod net;
pub mod os;
pub mod pool;
// rustix has no `waitid` on these systems.
#[cfg(all(unix, not(any(target_os = "openbsd", target_os = "redox"))))]
pub mod process;
pub mod queue;
mod run;
pub mod select;
pub mod server;
pub mod shared;
#[cfg(unix)]
pub mod signal;
pub mod sync;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tokio")]
pub mod tokio;
#[doc = include_str!("using_crates.md")]
pub mod using_crates {}

pub use ramie_hub::{
    AnyGreenlet, Builder, Exception, Failure, GetError, Greenlet, GreenletExit, JoinOptions, Kill, Limit,
    LoopExit, Scope, ScopedGreenlet, SystemExit, TimedOut, Timeout, Waitable, block_on, block_on_timeout,
    catch, fallible, get_hub, getcurrent, greenlet_local, iwait, joinall, joinall_with, killall,
    killall_nowait, killall_with, raise, scope, sleep, spawn, spawn_later, tree_local, wait, wait_timeout,
    with_timeout, yield_now,
};
pub use ramie_pool::{Group, Mapping, Pool, ThreadPool, blocking};

pub use crate::run::{KeyboardInterrupt, Run, run};
