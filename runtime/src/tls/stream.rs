//! A stream of TLS.

use std::cell::Ref;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};

use rustls::Connection;

use super::session::Session;
use super::split::{OwnedReadHalf, OwnedWriteHalf, split};
use crate::io::by_ref::{ByRef, by_ref};
use crate::io::{ReadWriteRef, ShutdownWrite};

/// A TLS connection over a stream. Reading and writing wait like the stream.
///
/// Reading and writing also work through `&TlsStream`, if the inner stream supports this (see
/// [`ReadWriteRef`]): one greenlet may read while another one writes. They share the connection in
/// an `Rc`, or use its [halves](TlsStream::into_split). Several readers, or several writers, take
/// turns.
///
/// # Reading
///
/// A read returns 0 bytes if the peer announced the end with a `close_notify`. If the stream ends
/// without one, a read fails with `UnexpectedEof`: the data may be truncated.
///
/// Reading never waits for room to write. Data that is still to be sent, such as an answer to a key
/// update or the rest of an interrupted write, is sent as far as this needs no wait. The rest is
/// sent by the next write or `flush`, and a waiting read tries again after pauses. During that time
/// a read timeout of the inner stream may be exceeded, at most by a factor of two.
///
/// # Writing
///
/// Data is sent before the call returns, at most 64 KiB in one call of `write`: a peer that does
/// not read makes the writer wait. If the stream fails during a write, the call returns the number
/// of accepted bytes, and the next call, or `flush`, returns the error. A `flush` before a drop
/// therefore reports whether everything was sent. Data from a peer that accepts no more data can
/// still be read. [`shutdown`](TlsStream::shutdown) ends the connection in order. A drop does not,
/// and does not wait: the peer gets `UnexpectedEof`.
///
/// # Cancellation
///
/// A kill or a timeout during a read consumes nothing. A `write` accepts exactly the bytes that it
/// reports. A write that is interrupted before it has accepted any raises the exception, and may be
/// repeated. After it has accepted data it always reports them: a kill or a timeout during the send
/// is raised at the next wait, and the rest is sent by the next write or `flush`. During
/// `write_all`, a part of the data may have been accepted. The inner stream stays open until this
/// is dropped.
pub struct TlsStream<S> {
    session: Session,
    stream: S,
}

impl<S> TlsStream<S> {
    /// Returns the inner stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the inner stream. Reading from it or writing to it breaks the connection; setting
    /// its timeouts does not.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns the rustls connection, which has the peer's certificates and the negotiated
    /// protocol.
    ///
    /// Reads and writes of other greenlets fail with `ResourceBusy` while the connection is
    /// borrowed. The borrow must not be kept across a wait.
    pub fn connection(&self) -> Ref<'_, Connection> {
        self.session.connection()
    }

    /// Returns the inner stream and ends TLS on it. The peer is not notified.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Splits the connection into a reading and a writing half with separate owners.
    ///
    /// # Examples
    ///
    /// See [`OwnedWriteHalf`].
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>)
    where
        S: ReadWriteRef,
    {
        split(self)
    }

    /// Sends a `close_notify` after the remaining data, as far as this needs no wait.
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

    /// Sends the remaining data and announces the end with a `close_notify`. The peer can still
    /// send, and reading continues. Lets other greenlets run if it waits. Through a shared
    /// reference, use [`shutdown_write`](ShutdownWrite::shutdown_write).
    ///
    /// # Errors
    ///
    /// Returns the errors of the stream. A second call has no effect. Later writes fail with
    /// `BrokenPipe`.
    ///
    /// # Cancellation
    ///
    /// After a kill or a timeout, unsent data remains. Another call of this, or `flush`, sends it.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.session.shutdown(&mut self.stream)
    }
}

/// Sends a `close_notify`; see [`TlsStream::shutdown`].
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
