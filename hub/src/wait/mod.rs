//! Waiting: limits, objects, and the guards that undo registrations when a wait ends.

pub(crate) mod collections;
pub(crate) mod future;
pub(crate) mod guard;
pub(crate) mod limit;
pub(crate) mod multi;
pub(crate) mod put_off;
pub(crate) mod sleep;
pub(crate) mod timeout;
pub(crate) mod turn;
pub(crate) mod wait_queue;
pub(crate) mod waitable;
