//! What other threads touch of a hub, below its scheduler.

pub(crate) mod hub_inbox;
pub(crate) mod lease;
pub(crate) mod mailbox;
pub(crate) mod registry;
pub(crate) mod thread_bound;
