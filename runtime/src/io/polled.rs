//! A wrapper for descriptors that must stay in blocking mode.

use std::fmt;
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, fstat};

use super::by_ref::by_ref;
use super::handle::Handle;
use super::macros::{clone_and_nonblocking, close, handle, read, readable, writable, write};

/// The number of bytes that a pipe accepts without blocking when it is reported writable.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ATOMIC: usize = 4096;
/// The minimum that POSIX guarantees.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const ATOMIC: usize = 512;

/// A wrapper for a descriptor that is and stays in blocking mode: it polls for data to read, or
/// room to write, before each attempt.
///
/// Non-blocking mode belongs to the open file description, not to the descriptor. Setting it for an
/// inherited terminal or pipe sets it for every process that shares the description, and makes
/// their reads and writes fail. This wrapper is therefore for inherited descriptors:
/// [`stdin`](super::stdin), [`stdout`](super::stdout) and [`stderr`](super::stderr) are based on
/// it. Only the descriptor of the inner value is used.
///
/// A regular file is always ready. It is read and written at once, and other greenlets do not run
/// during that time; see [`ramie::fs`](crate::fs).
///
/// There is one limitation: if two processes read one terminal or pipe, the other one may take the
/// data between the poll and the read, which then blocks the thread until more data arrives. At
/// most 4096 bytes are written at a time (512 where the system guarantees only that), because a
/// pipe that is writable need not have more room.
///
/// # Cancellation
///
/// A kill or a timeout during a read or a write consumes and writes nothing.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use ramie::io::Polled;
///
/// let (mut near, far) = UnixStream::pair()?; // both in blocking mode
/// let mut far = Polled::new(far)?;
/// ramie::spawn(move || near.write_all(b"hello"));
/// let mut text = String::new();
/// far.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Polled<T: AsFd> {
    handle: Handle<Asked<T>>,
}

handle!(@[T: AsFd] Polled<T>);
clone_and_nonblocking!(@[T: AsFd] Polled<T>);
readable!(@[T: AsFd + 'static] Polled<T>);
writable!(@[T: AsFd] Polled<T>);
close!(@[T: AsFd] Polled<T>);
read!(@[T: AsFd] Polled<T>);
write!(@[T: AsFd] Polled<T>);
by_ref!(@[T: AsFd] Polled<T>);

impl<T: AsFd> Polled<T> {
    /// Wraps a value with a descriptor, and leaves the mode of the descriptor unchanged.
    ///
    /// # Errors
    ///
    /// Returns an error if the system does not know the descriptor.
    pub fn new(inner: T) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(fstat(&inner)?.st_mode);
        let most = if kind == FileType::RegularFile { usize::MAX } else { ATOMIC };
        Ok(Polled { handle: Handle::new(Asked { inner, most })? })
    }

    /// Returns the inner value.
    pub fn get_ref(&self) -> &T {
        &self.handle.get_ref().inner
    }

    /// Returns the inner value, unchanged.
    ///
    /// # Errors
    ///
    /// Returns `ResourceBusy` if there are clones.
    pub fn into_inner(self) -> io::Result<T> {
        Ok(self.handle.into_inner()?.inner)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|asked| {
            asked.check(PollFlags::IN)?;
            Ok(rustix::io::read(asked, &mut *buffer)?)
        })
    }

    fn receive_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.handle.read_with(|asked| {
            asked.check(PollFlags::IN)?;
            Ok(rustix::io::readv(asked, buffers)?)
        })
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Polled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Polled").field(self.get_ref()).finish()
    }
}

/// A value that is polled before each use.
struct Asked<T> {
    inner: T,
    /// The maximum number of bytes in one write.
    most: usize,
}

impl<T: AsFd> Asked<T> {
    /// Returns `WouldBlock` if an operation would block.
    fn check(&self, wanted: PollFlags) -> io::Result<()> {
        let mut fds = [PollFd::new(self, wanted)];
        match rustix::event::poll(&mut fds, Some(&Timespec::default()))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }
}

impl<T: AsFd> AsFd for Asked<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// A vectored write would have to be limited in size. Therefore only the first slice is written,
/// which is the default of `Write`.
impl<T: AsFd> Write for &Asked<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check(PollFlags::OUT)?;
        Ok(rustix::io::write(*self, &data[..data.len().min(self.most)])?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
