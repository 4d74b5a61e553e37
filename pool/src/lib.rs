//! Groups and pools of greenlets, and a pool of threads, built on `ramie-hub`.
//!
//! A [`Group`] is a set of greenlets that are joined and killed together. A [`Pool`] is a group
//! with a limit. A [`ThreadPool`] runs blocking calls on OS threads, and [`blocking`] makes one
//! such call. All of them run functions over inputs through [`Mapping`]: `apply`, `map`, `imap` and
//! their variants. The [`guide`] lists each operation of gevent's pools beside its counterpart
//! here.
//!
//! Most programs use the `ramie` crate, which re-exports this one.
#![warn(missing_docs)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::unwrap_used, clippy::print_stdout)
)]

mod error;
mod group;
#[doc = include_str!("guide.md")]
pub mod guide {}
mod mapping;
mod members;
mod ordered_slab;
mod pool;
mod thread_pool;

pub use crate::error::{JobAbandoned, PoolFull, PoolShutDown, SetSizeError};
pub use crate::group::Group;
#[cfg(feature = "futures")]
pub use crate::mapping::IMapStream;
pub use crate::mapping::{Call, IMap, Job, Mapping, Spawn, TryCall};
pub use crate::pool::Pool;
pub use crate::thread_pool::{ThreadJob, ThreadPool, ThreadPoolBuilder, blocking, blocking_owned};
