//! The parts of a hub that other threads touch, below its scheduler.

mod homes;
pub(crate) mod hub_inbox;
pub(crate) mod lease;
pub(crate) mod mailbox;
pub(crate) mod registry;
pub(crate) mod thread_bound;
