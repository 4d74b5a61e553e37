//! What only some systems have, where std has it.

#[cfg(unix)]
pub mod unix;
