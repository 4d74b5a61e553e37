//! Open files.

use std::fmt;
use std::fs::{self, FileTimes, Metadata, Permissions};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use ramie_pool::blocking;

use super::options::OpenOptions;
use crate::shared::Mutex;

/// An open file with operations that run on a thread of the pool: the counterpart of
/// `std::fs::File`.
///
/// Reading, writing and seeking also work through `&File`. On Unix the file also implements std's
/// `FileExt`; its `read_at` and `write_at` use no position. A file may be sent to other threads.
///
/// Nothing is buffered: the data of a write has been passed to the system when the call returns,
/// `flush` has no effect, and a drop loses nothing. A drop closes the file on the calling thread,
/// which takes time on few file systems.
///
/// The [module](crate::fs#costs) describes the cost of a call, and how to reduce it for many small
/// ones. A read or a write is one job, and so is each `read_exact`, `read_to_end`,
/// `read_to_string`, `write_all` and `write!`. A seek is a job only if it is relative to the end.
///
/// # Order
///
/// Reads, writes, seeks, truncations, extensions and syncs run one after another, in the order of
/// the calls, whichever greenlets and threads make them, and through whichever
/// [clone](File::try_clone). The data of one `write_all` is therefore never mixed with the data of
/// another. Other operations, including those of `FileExt`, use no position and are not ordered:
/// several `read_at` run in parallel.
///
/// A job of the global pool that waits for its turn occupies a thread of the pool. If all threads
/// waited, the next operation of the file could not run. A file that greenlets use must therefore
/// not be used by many such jobs at the same time.
///
/// Terminals and devices are no exception: a write waits for a read that waits for input. Use
/// [`Cooperative`](crate::io::Cooperative) for those.
///
/// # Cancellation
///
/// A kill or a timeout during the wait for earlier operations has no effect on the file. An
/// operation that runs on a thread is waited for; then the kill is raised, and the result of the
/// operation is dropped. A killed `read` has therefore moved the position by an unknown number of
/// bytes, which are in the buffer, and a killed `write` has written an unknown part of its data. A
/// killed `write_all` has written everything, unless the system reported an error, and a killed
/// `read_exact` or `read_to_end` has read everything. A sequence of calls may end between any two
/// of them: a killed `io::copy` has written some blocks, and a `BufReader` or `BufWriter` still
/// holds its buffered data.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Seek, SeekFrom, Write};
/// use ramie::fs::File;
///
/// let path = std::env::temp_dir().join(format!("ramie-file-{}", std::process::id()));
/// let mut file = File::create_new(&path)?;
/// file.write_all(b"hello, world")?; // lets other greenlets run
/// file.sync_all()?;
/// let mut file = File::open(&path)?;
/// file.seek(SeekFrom::End(-5))?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "world");
/// ramie::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    shared: Arc<Shared>,
}

/// The state that the clones of a file share.
struct Shared {
    file: fs::File,
    /// Held during each operation that uses the position or changes the contents, because the
    /// threads of the pool do not run jobs in order.
    turn: Mutex<()>,
}

/// Forwards operations to the ones of the same name in std, either in order or unordered.
macro_rules! as_std {
    ($how:ident: $($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty)?) -> $gives:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// Lets other greenlets run.
        ///
        /// # Errors
        ///
        /// Returns the errors of std.
        ///
        /// # Cancellation
        ///
        /// A kill or a timeout is raised after the call has completed.
        pub fn $name(&self $(, $argument: $kind)?) -> io::Result<$gives> {
            self.$how(|file| file.$name($($argument)?))
        }
    )*};
}

impl File {
    /// Opens a file for reading; see [`OpenOptions::open`]. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the errors of std.
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing, creating it if it does not exist and truncating it if it does; see
    /// [`OpenOptions::open`]. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the errors of std.
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Creates a file for reading and writing; see [`OpenOptions::open`]. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the errors of std, among them `AlreadyExists` if the path exists.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// Returns [`OpenOptions::new`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    as_std! { in_turn:
        /// Truncates the file, or extends it with zeros. Does not move the position.
        set_len(size: u64) -> ();
        /// Waits until the contents and the metadata are on the disk.
        sync_all() -> ();
        /// Waits until the contents are on the disk.
        sync_data() -> ();
    }

    as_std! { at_once:
        /// Returns the metadata of the file.
        metadata() -> Metadata;
        /// Changes the permissions.
        set_permissions(permissions: Permissions) -> ();
        /// Changes the timestamps.
        set_times(times: FileTimes) -> ();
        /// Changes the modification time.
        set_modified(time: SystemTime) -> ();
    }

    /// Creates another handle of the same file, with the same position. The descriptor is shared
    /// and not duplicated: it is closed when the last handle is dropped. Does not let other
    /// greenlets run.
    ///
    /// # Errors
    ///
    /// Returns no error; the `Result` is for compatibility with std.
    pub fn try_clone(&self) -> io::Result<File> {
        Ok(File { shared: self.shared.clone() })
    }

    /// Converts the file to one of std, for blocking use. If there are clones, the result is a
    /// duplicate that shares the position with them.
    ///
    /// # Errors
    ///
    /// Returns an error if there are clones and the system has no descriptor left for a duplicate.
    pub fn into_std(self) -> io::Result<fs::File> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.file),
            Err(shared) => shared.file.try_clone(),
        }
    }

    /// Runs an operation after all earlier ones.
    fn in_turn<R: Send>(&self, op: impl FnOnce(&fs::File) -> R + Send) -> R {
        let _turn = self.shared.turn.lock();
        self.at_once(op)
    }

    fn at_once<R: Send>(&self, op: impl FnOnce(&fs::File) -> R + Send) -> R {
        let file = &self.shared.file;
        blocking(|| op(file))
    }
}

/// Implements the stream traits, for the value and for a reference to it. Each method is one job;
/// the default methods of std would be one job for each piece.
macro_rules! streams {
    ($($type:ty),*) => {$(
        impl Read for $type {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.in_turn(|mut file| file.read(buffer))
            }

            fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.in_turn(|mut file| file.read_vectored(buffers))
            }

            fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
                self.in_turn(|mut file| file.read_exact(buffer))
            }

            fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
                self.in_turn(|mut file| file.read_to_end(buffer))
            }

            fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
                self.in_turn(|mut file| file.read_to_string(text))
            }
        }

        impl Write for $type {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                self.in_turn(|mut file| file.write(data))
            }

            fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
                self.in_turn(|mut file| file.write_vectored(data))
            }

            fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
                self.in_turn(|mut file| file.write_all(data))
            }

            /// Writes all arguments at once instead of one at a time.
            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                self.write_all(text.to_string().as_bytes())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Seek for $type {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                match to {
                    // A network file system may have to ask the server for the size.
                    SeekFrom::End(_) => self.in_turn(|mut file| file.seek(to)),
                    // Only sets a number.
                    SeekFrom::Start(_) | SeekFrom::Current(_) => {
                        let _turn = self.shared.turn.lock();
                        (&self.shared.file).seek(to)
                    }
                }
            }
        }
    )*};
}

streams!(File, &File);

/// Uses no position, so these operations are not ordered.
#[cfg(unix)]
impl std::os::unix::fs::FileExt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.at_once(|file| file.read_at(buffer, offset))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.at_once(|file| file.read_exact_at(buffer, offset))
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.at_once(|file| file.write_at(data, offset))
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.at_once(|file| file.write_all_at(data, offset))
    }
}

impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        File { shared: Arc::new(Shared { file, turn: Mutex::new(()) }) }
    }
}

impl TryFrom<File> for fs::File {
    type Error = io::Error;

    fn try_from(file: File) -> io::Result<Self> {
        file.into_std()
    }
}

#[cfg(unix)]
impl From<std::os::fd::OwnedFd> for File {
    fn from(fd: std::os::fd::OwnedFd) -> Self {
        fs::File::from(fd).into()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for File {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.shared.file.as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for File {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.shared.file.as_raw_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsHandle for File {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.shared.file.as_handle()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.file.fmt(f)
    }
}
