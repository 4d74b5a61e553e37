//! Waiting: every call that waits, its limits and how it is cut short.

mod borrowed;
mod cancel_matrix;
mod collections;
mod fairness;
mod hand_over;
mod select;
mod timeouts;
#[path = "../util/mod.rs"]
mod util;
mod wait_mix;
mod waits;
