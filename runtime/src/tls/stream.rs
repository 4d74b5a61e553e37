//! A stream of TLS.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};

use rustls::Connection;

/// How much may be taken before it is sent.
const BUFFER_LIMIT: usize = 64 * 1024;

/// A TLS connection over a stream, for one greenlet at a time. Reading and writing wait as the stream does.
///
/// # Reading
///
/// The end is 0 bytes if the other side has said that it is one, by a `close_notify`, and an error, `UnexpectedEof`, if the
/// stream has just ended: then something may be missing.
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
/// A kill or a timeout inside a read has consumed nothing; inside a write a part of the data may have been sent, and the next
/// call goes on with what was begun. The stream below stays open until this is dropped.
pub struct TlsStream<S> {
    connection: Connection,
    stream: S,
    /// Whether the other side was told that nothing more will come.
    ended: bool,
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
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The stream below, and the end of TLS on it. The other side is told nothing.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Read + Write> TlsStream<S> {
    pub(super) fn handshake(connection: Connection, stream: S) -> io::Result<Self> {
        let mut tls = TlsStream { connection, stream, ended: false };
        tls.connection.set_buffer_limit(Some(BUFFER_LIMIT));
        while tls.connection.is_handshaking() {
            if tls.connection.wants_write() {
                tls.send()?;
            } else if tls.receive()? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer has hung up"));
            }
        }
        tls.send()?;
        Ok(tls)
    }

    /// Says that nothing more will come, by a `close_notify`, and sends what is left before. The other side can still send,
    /// and reading goes on. Lets others run if it waits.
    ///
    /// # Errors
    ///
    /// The stream's own. A second call does no harm; what is written from now on is refused with `BrokenPipe`.
    pub fn shutdown(&mut self) -> io::Result<()> {
        if !self.ended {
            self.ended = true;
            self.connection.send_close_notify();
        }
        self.send()
    }

    /// Sends everything that has been encrypted.
    fn send(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut self.stream)? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush()
    }

    /// Receives and decrypts something; 0 at the end of the stream.
    fn receive(&mut self) -> io::Result<usize> {
        let received = self.connection.read_tls(&mut self.stream)?;
        if let Err(error) = self.connection.process_new_packets() {
            // The other side is told why, if it listens: the error is the same if it does not.
            let _ = self.send();
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(received)
    }

    /// Gives data to the connection, and sends it.
    fn write_with(
        &mut self,
        give: impl FnOnce(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.ended {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the connection was shut down"));
        }
        // What an earlier call has left comes first, or its error.
        self.send()?;
        let taken = give(&mut self.connection.writer())?;
        // It is taken, whatever comes now.
        let _ = self.send();
        Ok(taken)
    }
}

/// Whether the other side has ended its half of the stream.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<S: Read + Write> Read for TlsStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Many reads are served from what one record has brought.
        ramie_hub::count_operation();
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            // The other side may be waiting for it: an answer to a change of keys, or what a write has left.
            match self.send() {
                // It takes nothing any more, and may have said why.
                Err(error) if is_refusal(&error) => {}
                sent => sent?,
            }
            self.receive()?;
        }
    }
}

impl<S: Read + Write> Write for TlsStream<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_with(|writer| writer.write(data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|writer| writer.write_vectored(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}
