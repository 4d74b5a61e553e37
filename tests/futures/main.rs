//! Futures in greenlets.

mod block_on;
mod random;
#[path = "../util/mod.rs"]
mod util;
