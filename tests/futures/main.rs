//! Futures in greenlets, and greenlets and their primitives as futures.

mod block_on;
mod hyper;
mod local;
mod random;
mod readiness;
mod remote;
mod shared;
mod shared_cancel;
mod shared_wakers;
mod sleep;
mod starvation;
mod tokio;
#[cfg(unix)]
mod tokio_run;
mod traits;
#[path = "../util/mod.rs"]
mod util;
