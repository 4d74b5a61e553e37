//! The last way to tell somebody something.

use std::io::Write;

/// Writes to stderr, where a failure to write has nobody left to be told to.
pub(crate) fn write(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
