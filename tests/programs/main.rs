//! The examples, and programs of others on the other side.

#[cfg(unix)]
mod c_program;
mod examples;
mod http_example;
#[path = "../util/mod.rs"]
mod util;
