//! Greenlets and work that borrow from a frame.

mod lend;
mod scope;
mod scope_kills;
mod scope_prepare;
#[path = "../util/mod.rs"]
mod util;
