//! The handle of a hub, its watchers and its statistics.

pub(crate) mod handle;
pub(crate) mod stats;
pub(crate) mod watcher;
