//! Checks that ramie does the same as gevent, by running the same programs on both.
//!
//! `README.md` beside this package documents the format of the programs, the commands and the
//! deviations.

pub mod compare;
pub mod corpus;
pub mod coverage;
pub mod deviation;
pub mod generate;
pub mod gevent;
pub mod program;
pub mod random;
pub mod runner;
pub mod shrink;
