//! Handles of a hub for other threads, and what other threads answer.

pub(crate) mod handle;
pub(crate) mod job;
pub(crate) mod reply;
