//! Tests that run themselves again in a process of their own and watch how it ends.

mod interrupt;
mod raise;
mod scope_aborts;
mod stdio;
#[path = "../util/mod.rs"]
mod util;
