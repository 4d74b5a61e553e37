//! A wrapper that makes any descriptor with non-blocking mode wait without blocking the thread.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use super::handle::Handle;
use super::macros::{close, handle, readable, writable};

/// A wrapper around a value with a descriptor: where an operation would block, it waits and lets
/// other greenlets run.
///
/// The wrapper reads and writes like the inner value. If the inner value can be read through `&`,
/// several greenlets may share the wrapper and use [`read_with`](Cooperative::read_with). Sockets
/// and pipes have their own types in [`ramie::net`](crate::net) and [`ramie::io`](crate::io); this
/// is for all others: devices, the pipes of a child of std, sockets of other libraries.
///
/// The descriptor is put into non-blocking mode. The mode belongs to the open file description,
/// which other processes may share: for inherited descriptors, such as standard input, use
/// [`Polled`](super::Polled).
///
/// # Cancellation
///
/// A kill or a timeout during a read or a write consumes and writes nothing.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use std::process::{Command, Stdio};
/// use ramie::io::Cooperative;
///
/// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
/// let mut output = Cooperative::new(child.stdout.take().unwrap())?;
/// let mut text = String::new();
/// output.read_to_string(&mut text)?; // other greenlets run until the child has written it
/// assert_eq!(text, "hello\n");
/// # child.wait()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Cooperative<T: AsFd> {
    handle: Handle<T>,
}

handle!(@[T: AsFd] Cooperative<T>);
readable!(@[T: AsFd + 'static] Cooperative<T>);
writable!(@[T: AsFd] Cooperative<T>);
close!(@[T: AsFd] Cooperative<T>);

impl<T: AsFd> Cooperative<T> {
    /// Wraps a value and puts its descriptor into non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if it cannot set the mode.
    pub fn new(inner: T) -> io::Result<Self> {
        set_nonblocking(inner.as_fd(), true)?;
        Ok(Cooperative { handle: Handle::new(inner)? })
    }

    /// Returns the inner value.
    pub fn get_ref(&self) -> &T {
        self.handle.get_ref()
    }

    /// Returns the inner value, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns no error: the wrapper has no clones.
    pub fn into_inner(self) -> io::Result<T> {
        self.handle.into_inner()
    }

    /// Runs a reading operation, such as `|mut inner| inner.read(buffer)`. If it would block, waits
    /// until the descriptor is readable and repeats it. Lets other greenlets run if it waits.
    ///
    /// # Errors
    ///
    /// Returns the error of the operation, `TimedOut` after the read timeout, or `EBADF` if the
    /// descriptor was closed.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout inside means that no operation has succeeded: nothing is read.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::io::Cooperative;
    ///
    /// let socket = Cooperative::new(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    /// let address = socket.get_ref().local_addr()?;
    /// ramie::spawn(move || std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address));
    /// let (length, _) = socket.read_with(|socket| socket.recv_from(&mut [0; 100]))?;
    /// assert_eq!(length, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.handle.read_with(op)
    }

    /// Runs a writing operation. If it would block, waits until the descriptor is writable and
    /// repeats it. Lets other greenlets run if it waits.
    ///
    /// # Errors
    ///
    /// Returns the error of the operation, `TimedOut` after the write timeout, or `EBADF` if the
    /// descriptor was closed.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout inside means that no operation has succeeded: nothing is written.
    pub fn write_with<R>(&self, op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.handle.write_with(op)
    }
}

impl<T: AsFd + Read> Read for Cooperative<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_mut_with(|inner| inner.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.handle.read_mut_with(|inner| inner.read_vectored(buffers))
    }
}

impl<T: AsFd + Write> Write for Cooperative<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.handle.write_mut_with(|inner| inner.write(data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.handle.write_mut_with(|inner| inner.write_vectored(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.handle.write_mut_with(Write::flush)
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Cooperative<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cooperative").field(self.get_ref()).finish()
    }
}

/// Sets the mode of an open file description, which affects every descriptor that shares it.
pub(super) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, nonblocking)?)
}
