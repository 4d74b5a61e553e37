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
/// still be read.
///
/// # Closing
///
/// [`shutdown`](TlsStream::shutdown) ends the connection in order, and returns errors. A drop sends
/// the remaining data and a `close_notify` as far as this needs no wait, and does not let other
/// greenlets run. A drop during an unwinding, after a panic, a kill or a timeout, does not: the
/// peer gets `UnexpectedEof`, and does not take the data for complete. The peer gets it too if it
/// has left no room for the remaining data.
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
    /// `None` only while the stream is dropped or taken out.
    stream: Option<S>,
    session: Session,
    close: fn(&Session, &mut S),
}

const OWNED: &str = "a TLS stream owns its stream until it is dropped";

impl<S> TlsStream<S> {
    /// Returns the inner stream.
    pub fn get_ref(&self) -> &S {
        self.stream()
    }

    /// Returns the inner stream. Reading from it or writing to it breaks the connection; setting
    /// its timeouts does not.
    pub fn get_mut(&mut self) -> &mut S {
        self.parts().1
    }

    fn stream(&self) -> &S {
        self.stream.as_ref().expect(OWNED)
    }

    fn take_stream(&mut self) -> S {
        self.stream.take().expect(OWNED)
    }

    fn parts(&mut self) -> (&Session, &mut S) {
        (&self.session, self.stream.as_mut().expect(OWNED))
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
    pub fn into_inner(mut self) -> S {
        self.take_stream()
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

    /// Lets a drop end the stream without a `close_notify`.
    pub(super) fn forget(&self) {
        self.session.forget();
    }

    /// Ends the connection as a drop does. Later calls have no effect.
    pub(super) fn close(&self)
    where
        S: ReadWriteRef,
    {
        self.session.close(&mut ByRef(self.get_ref()));
    }
}

impl<S: Read + Write> TlsStream<S> {
    pub(super) fn handshake(connection: Connection, mut stream: S) -> io::Result<Self> {
        let session = Session::handshake(connection, &mut stream)?;
        Ok(TlsStream { stream: Some(stream), session, close: Session::close })
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
        let (session, stream) = self.parts();
        session.shutdown(stream)
    }
}

/// Sends a `close_notify`; see [`TlsStream::shutdown`].
impl<S: ReadWriteRef> ShutdownWrite for TlsStream<S> {
    fn shutdown_write(&self) -> io::Result<()> {
        self.session.shutdown(&mut ByRef(self.get_ref()))
    }
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Many reads are served from what one record has brought.
        ramie_hub::count_operation();
        let (session, stream) = self.parts();
        session.read(stream, buffer)
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let (session, stream) = self.parts();
        session.write(stream, |writer| writer.write(data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let (session, stream) = self.parts();
        session.write(stream, |writer| writer.write_vectored(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        let (session, stream) = self.parts();
        session.flush(stream)
    }
}

impl<S> Drop for TlsStream<S> {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            (self.close)(&self.session, stream);
        }
    }
}

by_ref!(@[S: ReadWriteRef] TlsStream<S>);

impl<S: ReadWriteRef> Read for &TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.read(&mut ByRef(self.get_ref()), buffer)
    }
}

impl<S: ReadWriteRef> Write for &TlsStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.session.write(&mut ByRef(self.get_ref()), |writer| writer.write(data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.session.write(&mut ByRef(self.get_ref()), |writer| writer.write_vectored(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.session.flush(&mut ByRef(self.get_ref()))
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("stream", self.get_ref()).finish_non_exhaustive()
    }
}
