//! Functionality of particular systems, in the same place as in std.

#[cfg(unix)]
pub mod unix;
