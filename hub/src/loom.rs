//! What state that several threads share is made of. The loom models (`hub/tests/loom.rs`) include the files that use
//! this one and put loom's types in its place.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use parking_lot::{Mutex, MutexGuard};
