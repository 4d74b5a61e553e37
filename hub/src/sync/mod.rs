//! The primitives that others are built on: event, semaphore, asynchronous result.

pub(crate) mod async_result;
pub(crate) mod event;
pub(crate) mod semaphore;
