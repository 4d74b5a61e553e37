//! The examples, and programs of others on the other side.

#[cfg(unix)]
mod c_program;
mod examples;
mod http_example;
mod ureq_client;
#[path = "../util/mod.rs"]
mod util;
