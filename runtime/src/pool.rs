//! The less common parts of groups and pools: errors, iterators, builders.
//!
//! [`Group`](crate::Group), [`Pool`](crate::Pool), [`ThreadPool`](crate::ThreadPool), their
//! functions over inputs in [`Mapping`](crate::Mapping), and [`blocking`](crate::blocking) are at
//! the root. [`ramie_pool::guide`] lists each operation of gevent's pools beside its counterpart.

#[cfg(feature = "futures")]
pub use ramie_pool::IMapStream;
pub use ramie_pool::{
    Call, IMap, Job, JobAbandoned, PoolFull, PoolShutDown, SetSizeError, Spawn, ThreadJob, ThreadPoolBuilder,
    TryCall, blocking_owned,
};
