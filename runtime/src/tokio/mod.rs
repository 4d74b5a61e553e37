//! Futures that need tokio: clients and servers written for it, in greenlets.
//!
//! A future of tokio finds its reactor, its timers and its `spawn` through a *context* of the thread.
//! [`ramie::block_on`](crate::block_on) gives it none, so tokio panics there: "there is no reactor
//! running". This module has two ways to give it one.
//!
//! | | [`block_on`] | [`run`](fn@run) |
//! |---|---|---|
//! | tokio's reactor | on a thread of its own, shared by all hubs | on the thread of the greenlets |
//! | the program | unchanged | begins with `run` in place of [`ramie::run`](fn@crate::run) |
//! | a wake-up | comes from another thread | is one push on the queue |
//! | futures | their spawned tasks must be `Send` | tasks may be local (`spawn_local`) |
//!
//! Take [`block_on`] for a few calls of a library, such as a client of a database or of HTTP. Take
//! [`run`](fn@run) where most of the program's traffic goes through such a library.
//!
//! # What does not work
//!
//! * Many functions of tokio look for the context when they are *called*: `tokio::time::sleep(..)`
//!   panics before the future exists. Call them in an `async` block, as the example does.
//! * `Handle::block_on`, `Runtime::block_on` and `futures::executor::block_on` stop the whole thread
//!   while they wait, and all its greenlets.
//! * The guard of `Handle::enter` belongs to the thread. When a greenlet waits while it holds one,
//!   the other greenlets of the thread are in that context too, and tokio panics when the guards are
//!   dropped in another order than that of their creation. The functions here enter the context
//!   during each poll only.
//! * A greenlet that waits inside a poll, for example in a call of [`sleep`](crate::sleep) in an
//!   `async` block, stays in the context while others run. `await` something instead.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! let sleeper = ramie::spawn(|| {
//!     ramie::tokio::block_on(async { tokio::time::sleep(Duration::from_millis(2)).await });
//!     "slept in tokio"
//! });
//! assert_eq!(sleeper.get().unwrap(), "slept in tokio");
//! ```

mod context;
#[cfg(unix)]
mod driver;
mod shared_runtime;

pub use self::context::{block_on_with, block_on_with_timeout};
#[cfg(unix)]
pub use self::driver::run;
pub use self::shared_runtime::{block_on, block_on_timeout, handle};
