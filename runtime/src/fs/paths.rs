//! File operations by path.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use ramie_pool::blocking_owned;

/// Declares counterparts of functions of std with one or more paths and at most one other argument.
macro_rules! by_path {
    ($($(#[$doc:meta])* $name:ident($($path:ident),+ $(; $argument:ident: $kind:ty)?) -> $gives:ty;)*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("[`std::fs::", stringify!($name), "`] on a thread of the pool. Lets other greenlets run.")]
        ///
        /// # Errors
        ///
        /// Returns the errors of std.
        ///
        /// # Cancellation
        ///
        /// A kill or a timeout is raised at once, and the call continues; see the
        /// [module](crate::fs#cancellation).
        pub fn $name($($path: impl AsRef<Path>),+ $(, $argument: $kind)?) -> io::Result<$gives> {
            $(let $path = $path.as_ref().to_owned();)+
            blocking_owned(move || fs::$name($($path),+ $(, $argument)?))
        }
    )*};
}

by_path! {
    /// Reads a whole file.
    read(path) -> Vec<u8>;
    /// Reads a whole file as text. Returns `InvalidData` if it is not UTF-8.
    read_to_string(path) -> String;
    /// Copies the contents and the permissions of a file to another one. Returns the number of
    /// bytes.
    ///
    /// The whole copy is one job and uses no memory of the greenlet.
    copy(from, to) -> u64;
    /// Creates a directory. Its parent must exist.
    create_dir(path) -> ();
    /// Creates a directory and its missing parents.
    create_dir_all(path) -> ();
    /// Removes a file, or a symbolic link itself.
    remove_file(path) -> ();
    /// Removes an empty directory.
    remove_dir(path) -> ();
    /// Removes a directory and its contents. Does not follow symbolic links.
    remove_dir_all(path) -> ();
    /// Renames a file or a directory, replacing an existing one with the new name.
    rename(from, to) -> ();
    /// Creates a hard link to a file.
    hard_link(original, link) -> ();
    /// Returns the target of a symbolic link.
    read_link(path) -> PathBuf;
    /// Returns the absolute path without symbolic links and dots.
    canonicalize(path) -> PathBuf;
    /// Returns the metadata of a file. Follows symbolic links.
    metadata(path) -> Metadata;
    /// Returns the metadata of a file, or of a symbolic link itself.
    symlink_metadata(path) -> Metadata;
    /// Changes the permissions of a file.
    set_permissions(path; permissions: Permissions) -> ();
    /// Returns `true` if the path exists. A broken symbolic link does not count.
    exists(path) -> bool;
}

/// Writes a whole file, replacing its contents.
///
/// [`std::fs::write`] on a thread of the pool. Lets other greenlets run. The contents are copied
/// first; `File::create` and `write_all` make no copy.
///
/// # Errors
///
/// Returns the errors of std. A part of the contents may have been written then.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once, and the call continues; see the
/// [module](crate::fs#cancellation).
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref().to_owned(), contents.as_ref().to_owned());
    blocking_owned(move || fs::write(path, contents))
}
