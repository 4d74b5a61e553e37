//! What only Unix can do to files: `std::os::unix::fs`, on a thread of the pool. For files in general there is [`ramie::fs`](crate::fs).
//!
//! std's traits of that module work here as they are: `FileExt`, `OpenOptionsExt`, `DirBuilderExt`, `DirEntryExt`, and those of std's
//! own values.

use std::io;
use std::os::unix::fs;
use std::path::Path;

use ramie_pool::blocking_owned;

/// Makes a symbolic link to `original`, which need not exist. Lets others run.
///
/// # Errors
///
/// std's.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once, and the call goes on by itself.
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

/// Changes the owner or the group of a file; `None` leaves it. Symbolic links are followed. Lets others run.
///
/// # Errors
///
/// std's.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once, and the call goes on by itself.
pub fn chown(path: impl AsRef<Path>, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking_owned(move || fs::chown(path, owner, group))
}

/// Changes the owner or the group of a file, or of a symbolic link itself; as [`chown`].
///
/// # Errors
///
/// std's.
pub fn lchown(path: impl AsRef<Path>, owner: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking_owned(move || fs::lchown(path, owner, group))
}
