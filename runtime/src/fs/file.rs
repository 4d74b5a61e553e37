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

/// An open file whose operations run on a thread of the pool: `std::fs::File`'s counterpart.
///
/// Reading, writing and seeking also work through `&File`. On Unix it has std's `FileExt` too, whose `read_at` and `write_at` use no
/// position. It may go to other threads.
///
/// Nothing is buffered here: what a call has written is with the system when it returns, `flush` has nothing to do, and
/// a drop loses nothing. A drop closes the file on the spot, for which few file systems need any time.
///
/// What a call costs, and what to do about many small ones, is said in the [module](crate::fs#costs). Reading and writing are one
/// call each, and so are `read_exact`, `read_to_end`, `read_to_string`, `write_all` and `write!`. Seeking is a call to the pool
/// only from the end.
///
/// # Order
///
/// What reads, writes, seeks, cuts, extends or synchronises is done one after the other, in the order in which it was called,
/// whichever greenlets and threads call, and through whichever [clone](File::try_clone). So the data of one `write_all` is never
/// mixed with that of another. The rest, and what `FileExt` adds, uses no position and does not stand in that line: several
/// `read_at` run side by side.
///
/// Whoever waits for its turn in a job of the global pool keeps a thread meanwhile. If all of them did, the file's next operation
/// would have none: so a file that greenlets use at the same time is none for many such jobs.
///
/// A file that is a terminal or a device is no exception: a write waits for a read that waits for somebody to type. Use
/// [`Cooperative`](crate::io::Cooperative) for those.
///
/// # Cancellation
///
/// A kill or a timeout while an operation waits for those before it has done nothing. Once the thread is at work it
/// is waited for; then the kill is raised, and the result of the operation dropped. So a killed `read` has moved the position by an
/// unknown number of bytes, which are in the buffer, and a killed `write` has written an unknown part of its data; but a killed
/// `write_all` has written everything, unless the system refused, and a killed `read_exact` or `read_to_end` has read everything.
/// Between two calls anything may end: of an `io::copy` that was killed some blocks have been written, and what a
/// `BufReader` or `BufWriter` holds is still in it.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Seek, SeekFrom, Write};
/// use ramie::fs::File;
///
/// let path = std::env::temp_dir().join(format!("ramie-file-{}", std::process::id()));
/// let mut file = File::create_new(&path)?;
/// file.write_all(b"hello, world")?; // other greenlets run meanwhile
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

/// What the clones of a file have in common.
struct Shared {
    file: fs::File,
    /// Held by whoever uses the position or changes the contents: threads of the pool know no order.
    turn: Mutex<()>,
}

/// Operations that std has under the same name: in their turn, or whenever they are called.
macro_rules! as_std {
    ($how:ident: $($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty)?) -> $gives:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// Lets others run.
        ///
        /// # Errors
        ///
        /// std's.
        ///
        /// # Cancellation
        ///
        /// A kill or a timeout is raised when it is done.
        pub fn $name(&self $(, $argument: $kind)?) -> io::Result<$gives> {
            self.$how(|file| file.$name($($argument)?))
        }
    )*};
}

impl File {
    /// Opens a file for reading; see [`OpenOptions::open`]. Lets others run.
    ///
    /// # Errors
    ///
    /// std's.
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).open(path)
    }

    /// Opens a file for writing, which is made if it is not there, and emptied if it is; see [`OpenOptions::open`]. Lets
    /// others run.
    ///
    /// # Errors
    ///
    /// std's.
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    /// Makes a file for reading and writing; see [`OpenOptions::open`]. Lets others run.
    ///
    /// # Errors
    ///
    /// std's; `AlreadyExists` if there is something of that name.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    /// [`OpenOptions::new`].
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    as_std! { in_turn:
        /// Cuts the file, or extends it by zeros. The position stays where it is.
        set_len(size: u64) -> ();
        /// Waits until the contents and all that is known about the file are on the disk.
        sync_all() -> ();
        /// Waits until the contents are on the disk.
        sync_data() -> ();
    }

    as_std! { at_once:
        /// What is known about the file.
        metadata() -> Metadata;
        /// Changes the permissions.
        set_permissions(permissions: Permissions) -> ();
        /// Changes the times.
        set_times(times: FileTimes) -> ();
        /// Changes the time of the last change.
        set_modified(time: SystemTime) -> ();
    }

    /// A second handle of the same file, with the same position. The descriptor is shared and not duplicated: it is closed when the
    /// last handle is dropped. Does not let others run.
    ///
    /// # Errors
    ///
    /// None here; `Result` is std's signature.
    pub fn try_clone(&self) -> io::Result<File> {
        Ok(File { shared: self.shared.clone() })
    }

    /// Gives the file to std, for blocking use. If there are clones it is a duplicate, which shares the position with them.
    ///
    /// # Errors
    ///
    /// When there are clones and the system has no descriptor for a duplicate.
    pub fn into_std(self) -> io::Result<fs::File> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.file),
            Err(shared) => shared.file.try_clone(),
        }
    }

    /// Runs an operation after those that were called before.
    fn in_turn<R: Send>(&self, op: impl FnOnce(&fs::File) -> R + Send) -> R {
        let _turn = self.shared.turn.lock();
        self.at_once(op)
    }

    fn at_once<R: Send>(&self, op: impl FnOnce(&fs::File) -> R + Send) -> R {
        let file = &self.shared.file;
        blocking(|| op(file))
    }
}

/// The streams, for the value and for a reference to it. Each method is one job: std's own would make one for each piece.
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

            /// In one piece, instead of one for each argument.
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
                    // Somebody may have to ask another machine where that is.
                    SeekFrom::End(_) => self.in_turn(|mut file| file.seek(to)),
                    // No more than a number that is set.
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

/// Without a position, so side by side with everything else.
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
