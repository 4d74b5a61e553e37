//! Child processes.

mod gevent_subprocess;
mod process;
#[path = "../util/mod.rs"]
mod util;
