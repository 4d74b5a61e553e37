//! Pipes.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;

use super::cooperative::set_nonblocking;
use super::handle::{Handle, handle, read, readable, release, shared, writable, write};

/// A pipe whose ends wait without blocking the thread: `std::io::pipe`'s counterpart.
///
/// A reader gets the end of the stream when the writing end is closed, by `close` or by the drop of its last handle; a writer
/// gets `BrokenPipe` when the reading end is.
///
/// # Errors
///
/// When the system has no descriptor left.
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
/// An end for a child process goes there in blocking mode:
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

/// What both ends have in common.
macro_rules! end {
    ($type:ty) => {
        handle!($type);
        shared!($type);
        release!($type);

        /// Takes over the end of a pipe, and puts it into non-blocking mode.
        impl TryFrom<OwnedFd> for $type {
            type Error = io::Error;

            fn try_from(end: OwnedFd) -> io::Result<Self> {
                set_nonblocking(end.as_fd(), true)?;
                Ok(Self { handle: Handle::new(File::from(end))? })
            }
        }

        /// Gives the end away in blocking mode; `ResourceBusy` while there are clones, `EBADF` when it was closed.
        impl TryFrom<$type> for OwnedFd {
            type Error = io::Error;

            fn try_from(end: $type) -> io::Result<Self> {
                let end = end.handle.into_inner()?;
                set_nonblocking(end.as_fd(), false)?;
                Ok(end.into())
            }
        }

        /// Gives the end to a child process, in blocking mode; `ResourceBusy` while there are clones.
        impl TryFrom<$type> for Stdio {
            type Error = io::Error;

            fn try_from(end: $type) -> io::Result<Self> {
                Ok(OwnedFd::try_from(end)?.into())
            }
        }
    };
}

/// The reading end of a [`pipe`]; also works through `&PipeReader`.
///
/// # Cancellation
///
/// A kill or a timeout inside a read has consumed nothing.
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

/// The writing end of a [`pipe`]; also works through `&PipeWriter`.
///
/// # Cancellation
///
/// A kill or a timeout inside a write has written nothing; inside `write_all` a part may have been written.
#[derive(Debug)]
pub struct PipeWriter {
    handle: Handle<File>,
}

writable!(PipeWriter);
write!(PipeWriter);
end!(PipeWriter);
