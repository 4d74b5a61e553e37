//! The handle of a hub, its use in a foreign loop, its watchers, its statistics, and the greenlets
//! that other threads spawn in it.

mod embed;
pub(crate) mod handle;
pub(crate) mod remote_greenlet;
pub(crate) mod stats;
pub(crate) mod watcher;
