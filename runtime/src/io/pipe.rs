//! Pipes.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;

use super::cooperative::set_nonblocking;
use super::handle::Handle;
use super::macros::{clone_and_nonblocking, handle, read, readable, release, writable, write};

/// Creates a pipe with ends that wait without blocking the thread: the counterpart of
/// `std::io::pipe`.
///
/// A reader gets the end of the stream after the writing end is closed, by `close` or by the drop
/// of its last handle. A writer gets `BrokenPipe` after the reading end is closed.
///
/// # Errors
///
/// Returns the error of the system if no descriptor is left.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = ramie::io::pipe()?;
/// ramie::spawn(move || writer.write_all(b"hello"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// An end that is passed to a child process is put into blocking mode:
///
/// ```
/// use std::io::Read;
/// use ramie::process::{Command, Stdio};
///
/// let (mut reader, writer) = ramie::io::pipe()?;
/// let mut child = Command::new("echo").arg("hello").stdout(Stdio::try_from(writer)?).spawn()?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "hello\n");
/// assert!(child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (writer, reader) = mio::unix::pipe::new()?;
    Ok((PipeReader::try_from(OwnedFd::from(reader))?, PipeWriter::try_from(OwnedFd::from(writer))?))
}

/// Implements the methods and conversions of both ends.
macro_rules! end {
    ($type:ty) => {
        handle!($type);
        clone_and_nonblocking!($type);
        release!($type);

        /// Converts the end of a pipe, and puts it into non-blocking mode.
        impl TryFrom<OwnedFd> for $type {
            type Error = io::Error;

            fn try_from(end: OwnedFd) -> io::Result<Self> {
                set_nonblocking(end.as_fd(), true)?;
                Ok(Self { handle: Handle::new(File::from(end))? })
            }
        }

        /// Converts the end to a descriptor in blocking mode. Fails with `ResourceBusy` if there
        /// are clones, and with `EBADF` if it was closed.
        impl TryFrom<$type> for OwnedFd {
            type Error = io::Error;

            fn try_from(end: $type) -> io::Result<Self> {
                let end = end.handle.into_inner()?;
                set_nonblocking(end.as_fd(), false)?;
                Ok(end.into())
            }
        }

        /// Passes the end to a child process, in blocking mode. Fails with `ResourceBusy` if there
        /// are clones.
        impl TryFrom<$type> for Stdio {
            type Error = io::Error;

            fn try_from(end: $type) -> io::Result<Self> {
                Ok(OwnedFd::try_from(end)?.into())
            }
        }
    };
}

/// The reading end of a [`pipe`]. Reading also works through `&PipeReader`.
///
/// # Cancellation
///
/// A kill or a timeout during a read consumes nothing.
#[derive(Debug)]
pub struct PipeReader {
    handle: Handle<File>,
}

readable!(PipeReader);
read!(PipeReader);
end!(PipeReader);

impl PipeReader {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|mut pipe| pipe.read(buffer))
    }

    fn receive_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.handle.read_with(|mut pipe| pipe.read_vectored(buffers))
    }
}

/// The writing end of a [`pipe`]. Writing also works through `&PipeWriter`.
///
/// # Cancellation
///
/// A kill or a timeout during a write writes nothing. During `write_all`, a part may have been
/// written.
#[derive(Debug)]
pub struct PipeWriter {
    handle: Handle<File>,
}

writable!(PipeWriter);
write!(PipeWriter);
end!(PipeWriter);
