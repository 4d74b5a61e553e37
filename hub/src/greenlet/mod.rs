//! Greenlets: handles, creation, kills and local values.

pub(crate) mod builder;
pub(crate) mod handle;
pub(crate) mod kill;
pub(crate) mod local;
