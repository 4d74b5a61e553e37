//! What is in a folder.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ramie_pool::{blocking, blocking_owned};

/// How many entries are fetched by one job.
const BATCH: usize = 64;

/// Iterates over what is in a folder, in no particular order: `std::fs::read_dir`'s counterpart. Lets others run, here and whenever
/// the iterator needs more.
///
/// # Errors
///
/// std's.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once. The folder is closed again when it has been opened.
///
/// # Examples
///
/// ```
/// use ramie::fs;
///
/// let mut names = fs::read_dir("src")?
///     .map(|entry| entry.map(|entry| entry.file_name()))
///     .collect::<Result<Vec<_>, _>>()?;
/// names.sort();
/// assert!(names.contains(&"lib.rs".into()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    // Most folders are small, so the first entries come along.
    blocking_owned(move || {
        let mut entries = ReadDir { inner: Some(fs::read_dir(path)?), fetched: VecDeque::new() };
        entries.fetch();
        Ok(entries)
    })
}

/// An iterator over what is in a folder. Made by [`read_dir`].
///
/// It fetches up to 64 entries at a time, and their kinds with them. What is made or removed in the folder meanwhile may be seen or
/// not, as with std.
///
/// # Cancellation
///
/// A kill or a timeout inside `next` loses no entry.
pub struct ReadDir {
    /// `None` when it has come to its end.
    inner: Option<fs::ReadDir>,
    fetched: VecDeque<io::Result<DirEntry>>,
}

impl ReadDir {
    /// Runs on a thread of the pool. What it has fetched is kept whatever becomes of its caller.
    fn fetch(&mut self) {
        let Some(inner) = &mut self.inner else { return };
        for entry in inner.by_ref().take(BATCH) {
            let entry = entry.map(|inner| DirEntry { kind: inner.file_type().ok(), inner: Arc::new(inner) });
            self.fetched.push_back(entry);
        }
        if self.fetched.len() < BATCH {
            self.inner = None;
        }
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.fetched.is_empty() && self.inner.is_some() {
            blocking(|| self.fetch());
        }
        self.fetched.pop_front()
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Something in a folder. Given by [`ReadDir`].
pub struct DirEntry {
    /// Shared with the jobs that ask the system about it.
    inner: Arc<fs::DirEntry>,
    /// The kind, if it could be had when the entry was fetched.
    kind: Option<FileType>,
}

impl DirEntry {
    /// The path: the name, below the path that [`read_dir`] was given. Does not let others run.
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// The name without anything above it. Does not let others run.
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }

    /// What is known about it. Symbolic links are not followed. Lets others run.
    ///
    /// # Errors
    ///
    /// std's.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised at once.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let inner = self.inner.clone();
        blocking_owned(move || inner.metadata())
    }

    /// What kind of thing it is. Symbolic links are not followed. Lets others run only if the system did not tell before.
    ///
    /// # Errors
    ///
    /// std's.
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.kind {
            Some(kind) => Ok(kind),
            None => {
                let inner = self.inner.clone();
                blocking_owned(move || inner.file_type())
            }
        }
    }
}

#[cfg(unix)]
impl std::os::unix::fs::DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.inner.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
