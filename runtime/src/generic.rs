//! Primitives with the kind of sharing as a parameter.
//!
//! Programs name the primitives of one thread in [`ramie::sync`](crate::sync), and those of any
//! thread in [`ramie::shared`](crate::shared). Both are aliases of the types here, with [`Local`]
//! or [`Shared`] as the last parameter. Code that works with both takes the parameter: see
//! [`Sharing`].

pub use ramie_hub::generic::*;

pub use crate::sync::mutex::{Mutex, MutexGuard};
