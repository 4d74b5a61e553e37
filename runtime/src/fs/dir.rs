//! Reading directories.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ramie_pool::{blocking, blocking_owned};

/// The number of entries that one job fetches.
const BATCH: usize = 64;

/// Iterates over the entries of a directory, in no particular order: the counterpart of
/// `std::fs::read_dir`. Lets other greenlets run, in this call and whenever the iterator has to
/// fetch more entries.
///
/// # Errors
///
/// Returns the errors of std.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once. The directory is closed again if it has been opened.
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
    // Most directories are small, so the first entries are fetched by the same job.
    blocking_owned(move || {
        let mut entries = ReadDir { inner: Some(fs::read_dir(path)?), fetched: VecDeque::new() };
        entries.fetch();
        Ok(entries)
    })
}

/// An iterator over the entries of a directory. Returned by [`read_dir`].
///
/// The iterator fetches up to 64 entries at a time, with their types. As with std, an entry that is
/// created or removed during the iteration may be missing or present.
///
/// # Cancellation
///
/// A kill or a timeout during `next` loses no entry.
pub struct ReadDir {
    /// `None` after the last entry.
    inner: Option<fs::ReadDir>,
    fetched: VecDeque<io::Result<DirEntry>>,
}

impl ReadDir {
    /// Fetches a batch on a thread of the pool. The batch is kept even if the caller is killed.
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

/// An entry of a directory. Returned by [`ReadDir`].
pub struct DirEntry {
    /// Shared with the jobs that query the system about the entry.
    inner: Arc<fs::DirEntry>,
    /// The file type, if the system reported it with the entry.
    kind: Option<FileType>,
}

impl DirEntry {
    /// Returns the path of the entry: its name, joined to the path given to [`read_dir`]. Does not
    /// let other greenlets run.
    pub fn path(&self) -> PathBuf {
        self.inner.path()
    }

    /// Returns the name of the entry without its directory. Does not let other greenlets run.
    pub fn file_name(&self) -> OsString {
        self.inner.file_name()
    }

    /// Returns the metadata of the entry. Does not follow symbolic links. Lets other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the errors of std.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised at once.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let inner = self.inner.clone();
        blocking_owned(move || inner.metadata())
    }

    /// Returns the file type. Does not follow symbolic links. Lets other greenlets run only if the
    /// system did not report the type with the entry.
    ///
    /// # Errors
    ///
    /// Returns the errors of std.
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
