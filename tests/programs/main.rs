//! The examples, and programs of others on the other side.

mod examples;
mod http_example;
#[path = "../util/mod.rs"]
mod util;
