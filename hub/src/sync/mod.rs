//! The basic primitives: event, semaphore, asynchronous result.

pub(crate) mod async_result;
pub(crate) mod event;
pub mod generic;
pub(crate) mod local;
pub(crate) mod semaphore;
pub(crate) mod sharing;
