//! Tests that run themselves again in a process of their own and watch how it ends.

mod callback_matrix;
mod callback_places;
mod interrupt;
mod no_descriptors;
mod panic_hook;
mod process_exit;
mod raise;
mod scope_aborts;
mod stdio;
mod stuck_pool;
#[path = "../util/mod.rs"]
mod util;
mod wait_check;
