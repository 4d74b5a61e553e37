//! Greenlets and their primitives as futures, for executors on any thread.

mod local;
mod readiness;
mod remote;
mod shared;
mod shared_cancel;
mod shared_wakers;
mod traits;
#[path = "../util/mod.rs"]
mod util;
