//! The basic primitives: event, semaphore, asynchronous result.

pub(crate) mod async_result;
pub(crate) mod event;
pub(crate) mod semaphore;
