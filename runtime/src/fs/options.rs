//! How files are opened and folders are made.

use std::fs;
use std::io;
use std::path::Path;

use ramie_pool::blocking;

use super::file::File;

/// How a file is opened: `std::fs::OpenOptions`' counterpart.
///
/// On Unix it has std's `OpenOptionsExt` too. Made [from](From) std's type it has whatever else that was given.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Seek, Write};
/// use ramie::fs::OpenOptions;
///
/// let path = std::env::temp_dir().join(format!("ramie-options-{}", std::process::id()));
/// let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
/// file.write_all(b"brand new")?;
/// file.rewind()?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "brand new");
/// ramie::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(fs::OpenOptions);

/// Passes calls on to the value of std inside.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, $name: bool) -> &mut Self {
            self.0.$name($name);
            self
        }
    )*};
}

impl OpenOptions {
    /// Nothing is allowed yet.
    #[expect(clippy::new_without_default, reason = "std has no default for it either")]
    pub fn new() -> Self {
        OpenOptions(fs::OpenOptions::new())
    }

    settings! {
        /// Whether it can be read.
        read;
        /// Whether it can be written.
        write;
        /// Whether each write goes to the end of the file, wherever that is by then.
        append;
        /// Whether what is in it is thrown away.
        truncate;
        /// Whether it is made if it is not there.
        create;
        /// Whether it is made, and must not be there: `AlreadyExists` otherwise.
        create_new;
    }

    /// Opens a file. Lets others run.
    ///
    /// # Errors
    ///
    /// std's: those of the system, and `InvalidInput` for settings that contradict each other.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised when it is done: a file that was to be made is there, one that was to be truncated is empty. A
    /// FIFO without its other end keeps the thread for as long as that is missing: see [what never
    /// ends](crate::fs#what-never-ends).
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        blocking(|| self.0.open(path)).map(File::from)
    }
}

impl From<fs::OpenOptions> for OpenOptions {
    fn from(options: fs::OpenOptions) -> Self {
        OpenOptions(options)
    }
}

/// Makes folders: `std::fs::DirBuilder`'s counterpart. On Unix it has std's `DirBuilderExt` too.
///
/// # Examples
///
/// ```
/// use ramie::fs::{DirBuilder, remove_dir_all};
///
/// let folder = std::env::temp_dir().join(format!("ramie-builder-{}", std::process::id()));
/// DirBuilder::new().recursive(true).create(folder.join("a/b/c"))?;
/// remove_dir_all(folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct DirBuilder(fs::DirBuilder);

impl DirBuilder {
    /// Makes one folder, with the mode that is usual.
    #[expect(clippy::new_without_default, reason = "std has no default for it either")]
    pub fn new() -> Self {
        DirBuilder(fs::DirBuilder::new())
    }

    settings! {
        /// Whether all that is missing above the folder is made too. Then it is no error if the folder is there.
        recursive;
    }

    /// Makes the folder. Lets others run.
    ///
    /// # Errors
    ///
    /// std's.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised when it is done.
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        blocking(|| self.0.create(path))
    }
}

#[cfg(unix)]
impl std::os::unix::fs::OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.0.custom_flags(flags);
        self
    }
}

#[cfg(unix)]
impl std::os::unix::fs::DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }
}
