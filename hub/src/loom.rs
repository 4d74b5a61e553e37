//! The primitives of state that several threads share. The loom models (`hub/tests/loom.rs`)
//! include the files that use this module, and replace it by loom's types.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

pub(crate) use parking_lot::{Mutex, MutexGuard};
