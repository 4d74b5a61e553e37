//! Handles of a hub for other threads, and answers from other threads.

pub(crate) mod handle;
pub(crate) mod job;
pub(crate) mod reply;
