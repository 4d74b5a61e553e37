//! Greenlets: their handles, how they are made and killed, and their local values.

pub(crate) mod builder;
pub(crate) mod handle;
pub(crate) mod kill;
pub(crate) mod local;
