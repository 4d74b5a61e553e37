//! Greenlets and work that borrow from a frame.

mod lend;
mod scope;
mod scope_kills;
#[path = "../util/mod.rs"]
mod util;
