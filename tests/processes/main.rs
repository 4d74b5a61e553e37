//! Child processes and signals.

mod gevent_signal;
mod gevent_subprocess;
mod process;
mod signal;
#[path = "../util/mod.rs"]
mod util;
