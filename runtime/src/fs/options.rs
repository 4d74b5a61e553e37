//! How files are opened and folders are made.

use std::fs;
use std::io;
use std::path::Path;

use ramie_pool::blocking_owned;

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
    /// A kill or a timeout is raised at once, and the call goes on by itself: the file may be made or truncated later, and is
    /// closed then. A FIFO without its other end keeps a thread of the pool for as long as that is missing: see [what never
    /// ends](crate::fs#what-never-ends).
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
pub struct DirBuilder {
    recursive: bool,
    #[cfg(unix)]
    mode: Option<u32>,
}

impl DirBuilder {
    /// Makes one folder, with the mode that is usual.
    #[expect(clippy::new_without_default, reason = "std has no default for it either")]
    pub fn new() -> Self {
        DirBuilder {
            recursive: false,
            #[cfg(unix)]
            mode: None,
        }
    }

    /// Whether all that is missing above the folder is made too. Then it is no error if the folder is there.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Makes the folder. Lets others run.
    ///
    /// # Errors
    ///
    /// std's.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised at once, and the call goes on by itself.
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
