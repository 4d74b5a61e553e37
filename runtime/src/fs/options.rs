//! Options for opening files and creating directories.

use std::fs;
use std::io;
use std::path::Path;

use ramie_pool::blocking_owned;

use super::file::File;

/// Options for opening a file: the counterpart of `std::fs::OpenOptions`.
///
/// On Unix it also implements std's `OpenOptionsExt`. A value converted [from](From) std's type
/// keeps all options of that value.
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

/// Forwards setters to the inner value of std.
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
    /// Creates options with all of them set to `false`.
    #[expect(clippy::new_without_default, reason = "std has no default for it either")]
    pub fn new() -> Self {
        OpenOptions(fs::OpenOptions::new())
    }

    settings! {
        /// Sets the option for read access.
        read;
        /// Sets the option for write access.
        write;
        /// Sets the option for append mode: each write goes to the current end of the file.
        append;
        /// Sets the option to truncate the file.
        truncate;
        /// Sets the option to create the file if it does not exist.
        create;
        /// Sets the option to create a new file, failing with `AlreadyExists` if the path exists.
        create_new;
    }

    /// Opens a file. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the errors of std: those of the system, and `InvalidInput` for contradictory
    /// options.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised at once, and the call continues: the file may be created or
    /// truncated later, and is then closed. A FIFO without its other end occupies a thread of the
    /// pool until the other end is opened: see [what never ends](crate::fs#what-never-ends).
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (options, path) = (self.0.clone(), path.as_ref().to_owned());
        blocking_owned(move || options.open(path)).map(File::from)
    }
}

impl From<fs::OpenOptions> for OpenOptions {
    fn from(options: fs::OpenOptions) -> Self {
        OpenOptions(options)
    }
}

/// A builder of directories: the counterpart of `std::fs::DirBuilder`. On Unix it also implements
/// std's `DirBuilderExt`.
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
pub struct DirBuilder {
    recursive: bool,
    #[cfg(unix)]
    mode: Option<u32>,
}

impl DirBuilder {
    /// Creates a builder for one directory, with the default mode.
    #[expect(clippy::new_without_default, reason = "std has no default for it either")]
    pub fn new() -> Self {
        DirBuilder {
            recursive: false,
            #[cfg(unix)]
            mode: None,
        }
    }

    /// Sets the option to create missing parent directories too. An existing directory is no error
    /// then.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Creates the directory. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the errors of std.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised at once, and the call continues.
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(self.recursive);
        #[cfg(unix)]
        if let Some(mode) = self.mode {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
        }
        let path = path.as_ref().to_owned();
        blocking_owned(move || builder.create(path))
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
        self.mode = Some(mode);
        self
    }
}
