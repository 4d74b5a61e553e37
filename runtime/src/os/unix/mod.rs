//! Functionality of Unix systems.

pub mod fs;
pub mod net;
