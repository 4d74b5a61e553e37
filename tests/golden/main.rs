//! gevent's recorded traces.

mod core;
mod pool;
mod queues;
#[path = "../util/mod.rs"]
mod util;
mod waits;
