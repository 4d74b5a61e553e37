//! Readiness: the system's poll facility and the table of registered descriptors. Wakes nothing.

#[cfg(unix)]
mod fd_table;
pub(crate) mod poller;
#[cfg(unix)]
mod registration;
mod sources;

#[cfg(unix)]
pub(crate) use self::registration::BOTH;
pub(crate) use self::sources::Reactor;
