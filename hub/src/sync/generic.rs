//! Primitives with the kind of sharing as a parameter.
//!
//! Programs name the primitives of one thread in `ramie::sync` and those of any thread in
//! `ramie::shared`. Both are aliases of the types here, with [`Local`] or [`Shared`] as the
//! parameter. Code that works with both takes the parameter: see [`Sharing`].

pub use super::event::Event;
pub use super::semaphore::{Semaphore, SemaphorePermit};
pub use super::sharing::{Guarded, Local, Queue, Shared, Sharing};
