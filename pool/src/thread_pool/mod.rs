//! A pool of OS threads for blocking work, driven from greenlets.
//!
//! `state` makes all decisions under one lock; `worker` is the loop of a thread; `job` is the unit
//! that travels. `handle` has the entry of jobs; `blocking` is an entry of its own; `watchdog`
//! reports that all threads are stuck; `size` and `close` have the other operations of a pool, and
//! `builder` creates one.

mod blocking;
mod builder;
mod close;
mod handle;
mod idle_thread;
mod job;
mod mapping;
mod size;
mod state;
mod watchdog;
mod worker;

pub use self::blocking::{blocking, blocking_owned};
pub use self::builder::ThreadPoolBuilder;
pub use self::handle::ThreadPool;
use self::handle::{Handle, Shared};
pub use self::mapping::ThreadJob;
