//! Hubs that the loop of the test drives: `poll_once`, the driver, the descriptor.

#[cfg(unix)]
mod descriptor;
mod driver;
mod exceptions;
mod iterations;
#[path = "../util/mod.rs"]
mod util;
