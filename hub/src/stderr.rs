//! Output of last resort.

use std::io::Write;

/// Writes to stderr. An error of the write is ignored, since no receiver for it is left.
pub(crate) fn write(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
