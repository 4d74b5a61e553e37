//! The handle of a hub, its watchers, its statistics, and greenlets
//! that other threads spawn in it.

pub(crate) mod handle;
pub(crate) mod remote_greenlet;
pub(crate) mod stats;
pub(crate) mod watcher;
