//! A stream split into two halves with separate owners.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::ops::Deref;

use crate::io::ShutdownWrite;

/// A bidirectional stream with handles that share one descriptor.
pub trait Duplex: ShutdownWrite + Sized + 'static {
    /// Creates another handle.
    #[doc(hidden)]
    fn share(&self) -> Self;

    /// Returns `true` if both are handles of one stream.
    #[doc(hidden)]
    fn is_same(&self, other: &Self) -> bool;

    /// Runs a writing operation that lets other greenlets run. Repeats it after each wait for room
    /// if it would block.
    #[cfg(unix)]
    #[doc(hidden)]
    fn write_elsewhere<R>(
        &self,
        op: impl FnMut(std::os::fd::BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R>;
}

/// The reading half of a stream. Returned by `into_split`.
///
/// The half gives access to the stream itself, for addresses, options and timeouts.
#[derive(Debug)]
pub struct OwnedReadHalf<S: Duplex> {
    stream: S,
}

/// The writing half of a stream. Returned by `into_split`.
///
/// Dropping it shuts down the writing direction, unless it was [forgotten](OwnedWriteHalf::forget).
/// The half gives access to the stream itself, for addresses, options and timeouts.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use ramie::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let near = TcpStream::connect(listener.local_addr()?)?;
/// let (mut far, _) = listener.accept()?;
/// let (mut reading, mut writing) = near.into_split();
/// ramie::spawn(move || writing.write_all(b"all there is"));
/// let mut text = String::new();
/// far.read_to_string(&mut text)?; // ends, because the half was dropped
/// far.write_all(b"thanks")?;
/// drop(far);
/// text.clear();
/// reading.read_to_string(&mut text)?;
/// assert_eq!(text, "thanks");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct OwnedWriteHalf<S: Duplex> {
    /// `None` only while the half is dropped or taken apart.
    stream: Option<S>,
}

pub(crate) fn split<S: Duplex>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let reading = OwnedReadHalf { stream: stream.share() };
    (reading, OwnedWriteHalf { stream: Some(stream) })
}

impl<S: Duplex> OwnedReadHalf<S> {
    /// Reunites the halves of one stream.
    ///
    /// # Errors
    ///
    /// Returns both halves if they belong to different streams.
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !self.stream.is_same(&other) {
            return Err(ReuniteError(self, other));
        }
        drop(self);
        Ok(other.into_stream())
    }
}

impl<S: Duplex> OwnedWriteHalf<S> {
    /// Reunites the halves of one stream.
    ///
    /// # Errors
    ///
    /// Returns both halves if they belong to different streams.
    pub fn reunite(self, other: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        other.reunite(self)
    }

    /// Drops the half without shutting down the writing direction.
    pub fn forget(self) {
        drop(self.into_stream());
    }

    fn into_stream(mut self) -> S {
        self.stream.take().expect("a half owns its stream until it is dropped")
    }
}

impl<S: Duplex> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // The peer may be gone already; the error has no effect then.
            let _ = stream.shutdown_write();
        }
    }
}

impl<S: Duplex> Deref for OwnedReadHalf<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.stream
    }
}

impl<S: Duplex> Deref for OwnedWriteHalf<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.stream.as_ref().expect("a half owns its stream until it is dropped")
    }
}

impl<S: Duplex> Read for OwnedReadHalf<S>
where
    for<'a> &'a S: Read,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.stream).read_vectored(buffers)
    }
}

impl<S: Duplex> Write for OwnedWriteHalf<S>
where
    for<'a> &'a S: Write,
{
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&**self).write(data)
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        (&**self).write_vectored(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Two halves of different streams, given back.
#[derive(Debug)]
pub struct ReuniteError<S: Duplex>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: Duplex> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves belong to different streams")
    }
}

impl<S: Duplex + fmt::Debug> Error for ReuniteError<S> {}
