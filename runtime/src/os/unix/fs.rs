//! File operations of Unix systems: the counterpart of `std::os::unix::fs`, on a thread of the
//! pool. General file operations are in [`ramie::fs`](crate::fs).
//!
//! The traits of that module of std work here unchanged: `FileExt`, `OpenOptionsExt`,
//! `DirBuilderExt`, `DirEntryExt`, and those of types that std owns.

use std::io;
use std::os::unix::fs;
use std::path::Path;

use ramie_pool::blocking_owned;

/// Creates a symbolic link to `original`, which need not exist. Lets other greenlets run.
///
/// # Errors
///
/// Returns the errors of std.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once, and the call continues.
///
/// # Examples
///
/// ```
/// use ramie::{fs, os::unix::fs::symlink};
///
/// let link = std::env::temp_dir().join(format!("ramie-symlink-{}", std::process::id()));
/// symlink("somewhere/else", &link)?;
/// assert_eq!(fs::read_link(&link)?.to_str(), Some("somewhere/else"));
/// fs::remove_file(&link)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    blocking_owned(move || fs::symlink(original, link))
}

/// Changes the owner and the group of a file; `None` keeps the current one. Follows symbolic links.
/// Lets other greenlets run.
///
/// # Errors
///
/// Returns the errors of std.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once, and the call continues.
pub fn chown(path: impl AsRef<Path>, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking_owned(move || fs::chown(path, owner, group))
}

/// Changes the owner and the group of a file, or of a symbolic link itself; see [`chown`].
///
/// # Errors
///
/// Returns the errors of std.
pub fn lchown(path: impl AsRef<Path>, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking_owned(move || fs::lchown(path, owner, group))
}
