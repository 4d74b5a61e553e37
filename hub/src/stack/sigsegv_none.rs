//! The fault handler on systems without one: an overflow gets only the system's own report.

/// An uninhabited type: no stack for signals is ever made.
#[derive(Debug)]
pub(crate) enum AltStack {}

/// Does nothing.
pub(crate) fn install() {}

/// Returns `None`: no handler will run.
pub(crate) fn ensure_alt_stack() -> Option<AltStack> {
    None
}
