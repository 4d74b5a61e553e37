//! Files.

mod fs;
mod fs_model;
#[path = "../util/mod.rs"]
mod util;
