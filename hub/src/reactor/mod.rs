//! Readiness: the system's poll facility and the table of registered descriptors. Wakes nothing.

#[cfg(unix)]
pub(crate) mod fd_table;
pub(crate) mod poller;
