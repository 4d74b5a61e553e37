//! The fault handler where there is none: the system's own report of an overflow has to do.

/// Nothing to hold: no stack for signals is ever made.
#[derive(Debug)]
pub(crate) enum AltStack {}

/// Does nothing.
pub(crate) fn install() {}

/// Returns `None`: no handler will run.
pub(crate) fn ensure_alt_stack() -> Option<AltStack> {
    None
}
