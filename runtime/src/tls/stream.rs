//! A stream of TLS.

use std::cell::Ref;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};

use rustls::Connection;

use super::session::Session;
use super::split::{OwnedReadHalf, OwnedWriteHalf, split};
use crate::io::by_ref::{ByRef, by_ref};
use crate::io::{ReadWriteRef, ShutdownWrite};

/// A TLS connection over a stream. Reading and writing wait as the stream does.
///
/// Reading and writing also work through `&TlsStream`, where the stream below can do the same (it is [`ReadWriteRef`]): one greenlet may
/// read while another one writes. They share the connection in an `Rc`, or have its [halves](TlsStream::into_split).
/// Several that read, or several that write, take turns.
///
/// # Reading
///
/// The end is 0 bytes if the other side has said that it is one, by a `close_notify`, and an error, `UnexpectedEof`, if the
/// stream has just ended: then something may be missing.
///
/// Reading never waits for room to write. What is left to be sent, an answer to a change of keys or the rest of a write that
/// was cut short, is sent as far as that goes without waiting; if something is still left, the next write or `flush` sends it,
/// and a read that waits tries again after pauses. While that is so, a read timeout of the stream below may come later
/// than it was set for, after twice the time at most.
///
/// # Writing
///
/// What is written is sent before the call returns, 64 KiB at most in one call of `write`: a peer that does not read makes the
/// writer wait. When the stream fails in the middle, the call says how much it took, and the next call, or `flush`, has the
/// error. So `flush` before a drop tells whether all was sent. From a peer that takes nothing any more can still be read what it
/// has sent. [`shutdown`](TlsStream::shutdown) ends the connection in order. Dropping it does not, and neither does it wait: the
/// other side gets `UnexpectedEof`.
///
/// # Cancellation
///
/// A kill or a timeout inside a read has consumed nothing. What a `write` has not reported was not taken: one that is cut
/// short before it has taken anything raises, and may be repeated. What it has taken it reports, and a kill or a timeout that
/// comes while it sends that is raised at the next wait; the rest is sent by the next write or `flush`. Inside `write_all` a part
/// of the data may have been taken. The stream below stays open until this is dropped.
pub struct TlsStream<S> {
    session: Session,
    stream: S,
}

impl<S> TlsStream<S> {
    /// The stream below.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream below. Reading from it or writing to it breaks the connection; setting its limits does not.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// What rustls knows about the connection: the other side's certificates, the protocol that was agreed on.
    ///
    /// While it is borrowed, reads and writes of other greenlets fail with `ResourceBusy`, so it is not to be kept across a
    /// wait.
    pub fn connection(&self) -> Ref<'_, Connection> {
        self.session.connection()
    }

    /// The stream below, and the end of TLS on it. The other side is told nothing.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Splits the connection into its reading and its writing half, for two owners.
    ///
    /// # Examples
    ///
    /// On the page of [`OwnedWriteHalf`].
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>)
    where
        S: ReadWriteRef,
    {
        split(self)
    }

    /// Tells the other side that nothing more will come, as far as that goes without waiting.
    pub(super) fn try_shutdown(&self)
    where
        S: ReadWriteRef,
    {
        self.session.try_shutdown(&mut ByRef(&self.stream));
    }
}

impl<S: Read + Write> TlsStream<S> {
    pub(super) fn handshake(connection: Connection, mut stream: S) -> io::Result<Self> {
        Ok(TlsStream { session: Session::handshake(connection, &mut stream)?, stream })
    }

    /// Says that nothing more will come, by a `close_notify`, and sends what is left before. The other side can still send,
    /// and reading goes on. Lets others run if it waits. Through a shared reference it is
    /// [`shutdown_write`](ShutdownWrite::shutdown_write).
    ///
    /// # Errors
    ///
    /// The stream's own. A second call does no harm; what is written from now on is refused with `BrokenPipe`.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves a rest to be sent, by another call of this or by `flush`.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.session.shutdown(&mut self.stream)
    }
}

/// By a `close_notify`; see [`TlsStream::shutdown`].
impl<S: ReadWriteRef> ShutdownWrite for TlsStream<S> {
    fn shutdown_write(&self) -> io::Result<()> {
        self.session.shutdown(&mut ByRef(&self.stream))
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Many reads are served from what one record has brought.
        ramie_hub::count_operation();
        self.session.read(&mut self.stream, buffer)
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.session.write(&mut self.stream, |writer| writer.write(data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.write(&mut self.stream, |writer| writer.write_vectored(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.session.flush(&mut self.stream)
    }
}

by_ref!(@[S: ReadWriteRef] TlsStream<S>);

impl<S: ReadWriteRef> Read for &TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.read(&mut ByRef(&self.stream), buffer)
    }
}

impl<S: ReadWriteRef> Write for &TlsStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.session.write(&mut ByRef(&self.stream), |writer| writer.write(data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.write(&mut ByRef(&self.stream), |writer| writer.write_vectored(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.session.flush(&mut ByRef(&self.stream))
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}
