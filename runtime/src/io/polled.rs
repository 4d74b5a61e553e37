//! Descriptors whose mode belongs to others.

use std::fmt;
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, fstat};

use super::by_ref::by_ref;
use super::handle::{Handle, close, handle, read, readable, shared, writable, write};

/// The most that a pipe takes without blocking when it says that it takes something.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ATOMIC: usize = 4096;
/// What POSIX promises.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const ATOMIC: usize = 512;

/// Reads and writes a descriptor that is in blocking mode, and leaves it so: it asks the system whether there is something to
/// read, or room to write, before it tries.
///
/// Non-blocking mode belongs to what was opened, not to the descriptor: who sets it for an inherited terminal or pipe sets it
/// for every process that has the same one open, and their reads and writes begin to fail. So this is for what was inherited:
/// [`stdin`](super::stdin) and its kin are made of it. Of a value that wraps the descriptor nothing but the descriptor is used.
///
/// A regular file is always ready and is read and written at once, in which time nobody else runs; see [`ramie::fs`](crate::fs).
///
/// What this cannot know: when two processes read one terminal or pipe, the other one may take what was there between the
/// question and the read, which then blocks the thread until there is more. At most 4096 bytes go in one write (512 where
/// not even that is promised), as a pipe that has room need not have more.
///
/// # Cancellation
///
/// A kill or a timeout inside a read or a write has consumed and written nothing.
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
shared!(@[T: AsFd] Polled<T>);
readable!(@[T: AsFd + 'static] Polled<T>);
writable!(@[T: AsFd] Polled<T>);
close!(@[T: AsFd] Polled<T>);
read!(@[T: AsFd] Polled<T>);
write!(@[T: AsFd] Polled<T>);
by_ref!(@[T: AsFd] Polled<T>);

impl<T: AsFd> Polled<T> {
    /// Takes something with a descriptor, and leaves the mode of that as it is.
    ///
    /// # Errors
    ///
    /// When the system does not know the descriptor.
    pub fn new(inner: T) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(fstat(&inner)?.st_mode);
        let most = if kind == FileType::RegularFile { usize::MAX } else { ATOMIC };
        Ok(Polled { handle: Handle::new(Asked { inner, most })? })
    }

    /// What is inside.
    pub fn get_ref(&self) -> &T {
        &self.handle.get_ref().inner
    }

    /// Gives back what is inside, as it was.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` while there are clones.
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

/// What is asked before it is used.
struct Asked<T> {
    inner: T,
    /// How many bytes go in one write.
    most: usize,
}

impl<T: AsFd> Asked<T> {
    /// `WouldBlock` when it would.
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

/// One write for all the pieces would have to be cut to size, so the first one goes alone, which is what `Write` does by itself.
impl<T: AsFd> Write for &Asked<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.check(PollFlags::OUT)?;
        Ok(rustix::io::write(*self, &data[..data.len().min(self.most)])?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
