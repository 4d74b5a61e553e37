//! Groups and pools of greenlets, pools of threads, and mapping over them.

mod blocking;
mod mapping;
mod thread_pool;
mod thread_pool_ends;
#[path = "../util/mod.rs"]
mod util;
