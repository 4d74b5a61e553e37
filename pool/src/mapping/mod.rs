//! Functions over inputs, in groups and pools.
//!
//! `operations` has the trait [`Mapping`], whose methods are the same for every place that can run
//! a body; `spawn` says what such a place offers; `map` and `imap` have the greenlets behind the
//! methods of those names, and `imap_stream` the results as a stream.

mod imap;
#[cfg(feature = "futures")]
mod imap_stream;
mod map;
mod operations;
mod spawn;

pub use self::imap::IMap;
#[cfg(feature = "futures")]
pub use self::imap_stream::IMapStream;
pub use self::operations::Mapping;
pub use self::spawn::{Call, Job, Spawn, TryCall};
