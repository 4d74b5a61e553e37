//! Handles and primitives that several threads share.

mod bound;
mod late_drops;
mod remote;
mod shared;
mod shared_races;
#[path = "../util/mod.rs"]
mod util;
