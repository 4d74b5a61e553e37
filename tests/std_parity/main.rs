//! std's own tests, restated.

mod channel;
mod channel_zero;
mod condvar;
mod net;
mod sync;
#[path = "../util/mod.rs"]
mod util;
