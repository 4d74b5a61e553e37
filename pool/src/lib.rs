//! Groups and pools of greenlets, on top of `ramie-hub`.
//!
//! This crate is a door so far: Group, Pool, the mapping methods and ThreadPool will live here.
#![warn(missing_docs)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::unwrap_used, clippy::print_stdout)
)]

pub use ramie_hub::AnyGreenlet;
