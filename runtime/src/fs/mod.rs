//! Files that do not stop the thread: `std::fs`, each call made on a thread of the [global pool](crate::ThreadPool::global) while
//! other greenlets run.
//!
//! Systems do not tell when a file could be read without waiting for a disk, so there is nothing to wait for but a thread that
//! makes the call. The names and the results are std's; a value of std that holds no file, such as [`Metadata`], is std's own.
//!
//! ```
//! use std::io::{BufRead, BufReader, Write};
//! use ramie::fs;
//!
//! let folder = std::env::temp_dir().join(format!("ramie-fs-{}", std::process::id()));
//! fs::create_dir_all(folder.join("deep"))?;
//! fs::write(folder.join("notes"), "one\ntwo\n")?;
//! writeln!(fs::OpenOptions::new().append(true).open(folder.join("notes"))?, "three")?;
//! fs::rename(folder.join("notes"), folder.join("deep/notes"))?;
//! assert_eq!(fs::metadata(folder.join("deep/notes"))?.len(), 14);
//!
//! let file = fs::File::open(folder.join("deep/notes"))?;
//! let lines = BufReader::with_capacity(1 << 18, file).lines().collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(lines, ["one", "two", "three"]);
//!
//! for entry in fs::read_dir(&folder)? {
//!     assert_eq!(entry?.file_name(), "deep");
//! }
//! fs::remove_dir_all(&folder)?;
//! assert!(!fs::exists(&folder)?);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Costs
//!
//! A call is a job on the pool: about ten microseconds on top of its own. What a [`File`] reads or writes is not copied on the
//! way, since the thread works on the caller's own buffer; paths, and the contents that [`write()`] is given, are copied. What does a whole thing in one call costs that once: [`read`], [`write()`], [`copy`],
//! and on a [`File`] `read_to_end`, `read_exact`, `write_all` and `write!`. Whoever reads or writes in small pieces puts std's
//! `BufReader::with_capacity` or `BufWriter::with_capacity` around the [`File`], with a quarter of a megabyte, say, instead of
//! the 8 KiB that they have by themselves. `io::copy` takes the block size from a `BufReader` or `BufWriter` that it is given.
//!
//! At most 64 calls of the whole process are under way at a time, unless the pool is given [another
//! size](crate::ThreadPool::set_maxsize); others wait for their turn.
//!
//! # What never ends
//!
//! A call occupies its thread for as long as it takes, and nothing can interrupt it. Opening a FIFO waits for its other end, and
//! reading a device or a FIFO may last for ever. Open these in non-blocking mode and wrap them as
//! [`Cooperative`](crate::io::Cooperative): then only a greenlet waits, and no thread.
//!
//! # Panics
//!
//! What waits raises [`BlockingSwitchOutError`](crate::BlockingSwitchOutError) in callbacks of the hub.
//!
//! # Cancellation
//!
//! A thread that is in the middle of a system call cannot be called back.
//!
//! A function that is given a path owns a copy of what it needs: a kill or a timeout is raised at once, and the call goes on by
//! itself on its thread of the pool. It may therefore still be done later, or fail unnoticed; what it returns is dropped. A call
//! that stands in the pool's queue is not made. So a limit of time helps against a disk that does not answer.
//!
//! An operation of a [`File`], and the `next` of a [`ReadDir`], works on the caller's own memory: a kill or a timeout that
//! arrives meanwhile is raised when the operation has returned, and what it returned is dropped. What that means for the position
//! of a file is said at [`File`].
//!
//! The end of the process waits for neither.

mod dir;
mod file;
mod options;
mod paths;

pub use std::fs::{FileTimes, FileType, Metadata, Permissions};

pub use self::dir::{DirEntry, ReadDir, read_dir};
pub use self::file::File;
pub use self::options::{DirBuilder, OpenOptions};
pub use self::paths::{
    canonicalize, copy, create_dir, create_dir_all, exists, hard_link, metadata, read, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink_metadata,
    write,
};
