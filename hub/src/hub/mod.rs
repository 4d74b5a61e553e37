//! The handle of a hub, its use in a foreign loop, its watchers and its statistics.

mod embed;
pub(crate) mod handle;
pub(crate) mod stats;
pub(crate) mod watcher;
