//! File operations that do not block the thread: the counterpart of `std::fs`. Each call runs on a
//! thread of the [global pool](crate::ThreadPool::global) while other greenlets run.
//!
//! Systems do not report when a file can be read without waiting for a disk, so a thread has to
//! make the call. Names and results are those of std. A type of std that owns no file, such as
//! [`Metadata`], is reused.
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
//! A call is a job on the pool, which adds about ten microseconds. The data that a [`File`] reads
//! or writes is not copied, because the thread works on the caller's own buffer. Paths, and the
//! contents passed to [`write()`], are copied. An operation on a whole file is one job: [`read`],
//! [`write()`], [`copy`], and the methods `read_to_end`, `read_exact`, `write_all` and `write!` of
//! a [`File`]. To read or write in small pieces, put std's `BufReader::with_capacity` or
//! `BufWriter::with_capacity` around the [`File`], with a capacity of, for example, 256 KiB instead
//! of their default of 8 KiB. `io::copy` uses the capacity of a `BufReader` or `BufWriter` as its
//! block size.
//!
//! At most 64 calls of the process run at a time, unless the pool is given [another
//! size](crate::ThreadPool::set_maxsize). Further calls wait for their turn.
//!
//! # What never ends
//!
//! A call occupies its thread until it returns, and cannot be interrupted. Opening a FIFO waits for
//! its other end, and reading a device or a FIFO may take forever. Open these in non-blocking mode
//! and wrap them in [`Cooperative`](crate::io::Cooperative): then only the greenlet waits, and no
//! thread.
//!
//! # Panics
//!
//! Calls that wait raise [`BlockingSwitchOutError`](crate::hub::BlockingSwitchOutError) in
//! callbacks of the hub.
//!
//! # Cancellation
//!
//! A thread cannot be recalled from a system call.
//!
//! A function of a path owns a copy of its arguments: a kill or a timeout is raised at once, and
//! the call continues on its thread of the pool. It may therefore complete later, or fail without a
//! report; its result is dropped. A call that is still queued in the pool is not made. A timeout
//! therefore helps against a disk that does not respond.
//!
//! An operation of a [`File`], and the `next` of a [`ReadDir`], works on the caller's own memory. A
//! kill or a timeout that arrives during the operation is raised after it has returned, and its
//! result is dropped. [`File`] describes the effect on the position of a file.
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
