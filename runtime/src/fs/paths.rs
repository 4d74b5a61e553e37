//! What is done to files by their paths.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use ramie_pool::blocking_owned;

/// Functions of std that are given paths, and perhaps one thing more.
macro_rules! by_path {
    ($($(#[$doc:meta])* $name:ident($($path:ident),+ $(; $argument:ident: $kind:ty)?) -> $gives:ty;)*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("[`std::fs::", stringify!($name), "`] on a thread of the pool. Lets others run.")]
        ///
        /// # Errors
        ///
        /// std's.
        ///
        /// # Cancellation
        ///
        /// A kill or a timeout is raised at once, and the call goes on by itself; see the
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
    /// Reads a whole file as text; `InvalidData` when it is not UTF-8.
    read_to_string(path) -> String;
    /// Copies the contents and the permissions of a file to another one, and returns how many bytes these were.
    ///
    /// All of it is one call, and no greenlet's memory is used.
    copy(from, to) -> u64;
    /// Makes a folder, whose parent must be there.
    create_dir(path) -> ();
    /// Makes a folder and all that is missing above it.
    create_dir_all(path) -> ();
    /// Removes a file, or a symbolic link itself.
    remove_file(path) -> ();
    /// Removes an empty folder.
    remove_dir(path) -> ();
    /// Removes a folder and all that is in it. Symbolic links are not followed.
    remove_dir_all(path) -> ();
    /// Gives a file or a folder another name, replacing what has that name already.
    rename(from, to) -> ();
    /// Gives a file a second name.
    hard_link(original, link) -> ();
    /// What a symbolic link points to.
    read_link(path) -> PathBuf;
    /// The absolute path without symbolic links and dots.
    canonicalize(path) -> PathBuf;
    /// What is known about a file. Symbolic links are followed.
    metadata(path) -> Metadata;
    /// What is known about a file, or about a symbolic link itself.
    symlink_metadata(path) -> Metadata;
    /// Changes the permissions of a file.
    set_permissions(path; permissions: Permissions) -> ();
    /// Whether there is something of that name. A broken symbolic link is nothing.
    exists(path) -> bool;
}

/// Writes a whole file: what was in it is replaced.
///
/// [`std::fs::write`] on a thread of the pool. Lets others run. The contents are copied first; `File::create` and `write_all` do
/// without that.
///
/// # Errors
///
/// std's. Then a part may have been written.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once, and the call goes on by itself; see the [module](crate::fs#cancellation).
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref().to_owned(), contents.as_ref().to_owned());
    blocking_owned(move || fs::write(path, contents))
}
