//! Greenlets and work that borrow from the frame of their caller.

pub(crate) mod frame_guard;
pub(crate) mod lend;
pub(crate) mod scope;
pub(crate) mod scope_children;
