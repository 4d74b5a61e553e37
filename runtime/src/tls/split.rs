//! A TLS connection split into two halves with separate owners.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::ops::Deref;
use std::rc::Rc;

use super::stream::TlsStream;
use crate::io::ReadWriteRef;

/// The reading half of a TLS connection. Returned by [`TlsStream::into_split`].
///
/// The half gives access to the connection itself, for the inner stream and the negotiated
/// parameters.
#[derive(Debug)]
pub struct OwnedReadHalf<S> {
    stream: Rc<TlsStream<S>>,
}

/// The writing half of a TLS connection. Returned by [`TlsStream::into_split`].
///
/// Dropping it sends a `close_notify` as a drop of the [whole](TlsStream#closing) does, unless it
/// was [forgotten](OwnedWriteHalf::forget).
/// [`shutdown_write`](crate::io::ShutdownWrite::shutdown_write) waits, and returns errors.
///
/// # Examples
///
/// One greenlet reads while another one writes:
///
/// ```
/// use std::io::{Read, Write};
/// use ramie::os::unix::net::UnixStream;
/// use ramie::tls::{self, Acceptor};
/// use ramie::spawn;
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let key = tls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
/// # let config = tls::rustls::ServerConfig::builder().with_no_client_auth();
/// # let server = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
/// # let mut roots = tls::rustls::RootCertStore::empty();
/// # roots.add(made.cert.der().clone()).unwrap();
/// # let client = tls::rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
///
/// let (near, far) = UnixStream::pair()?;
/// let echo = spawn(move || {
///     let stream = Acceptor::new(server).accept(far).unwrap();
///     let (mut reading, mut writing) = stream.into_split();
///     std::io::copy(&mut reading, &mut writing) // the drop of the halves sends the end
/// });
/// let (mut reading, mut writing) = tls::connect(near, "localhost", client)?.into_split();
/// let writer = spawn(move || writing.write_all(&[7; 1_000_000]));
/// let mut back = Vec::new();
/// reading.read_to_end(&mut back)?;
/// assert_eq!(back.len(), 1_000_000);
/// writer.take().unwrap()?;
/// assert_eq!(echo.take().unwrap()?, 1_000_000);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct OwnedWriteHalf<S> {
    /// `None` only while the half is dropped or taken apart.
    stream: Option<Rc<TlsStream<S>>>,
    close: fn(&TlsStream<S>),
}

pub(super) fn split<S: ReadWriteRef>(stream: TlsStream<S>) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Rc::new(stream);
    let reading = OwnedReadHalf { stream: stream.clone() };
    (reading, OwnedWriteHalf { stream: Some(stream), close: TlsStream::close })
}

impl<S> OwnedReadHalf<S> {
    /// Reunites the halves of one connection.
    ///
    /// # Errors
    ///
    /// Returns both halves if they belong to different connections.
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<TlsStream<S>, ReuniteError<S>> {
        if !std::ptr::eq(&raw const *self.stream, &raw const *other) {
            return Err(ReuniteError(self, other));
        }
        drop(self);
        match Rc::into_inner(other.into_stream()) {
            Some(stream) => Ok(stream),
            None => unreachable!("the halves are the only owners of the stream"),
        }
    }
}

impl<S> OwnedWriteHalf<S> {
    /// Reunites the halves of one connection.
    ///
    /// # Errors
    ///
    /// Returns both halves if they belong to different connections.
    pub fn reunite(self, other: OwnedReadHalf<S>) -> Result<TlsStream<S>, ReuniteError<S>> {
        other.reunite(self)
    }

    /// Drops the half. No `close_notify` is sent, neither now nor when the reading half is dropped.
    pub fn forget(self) {
        self.into_stream().forget();
    }

    fn into_stream(mut self) -> Rc<TlsStream<S>> {
        self.stream.take().expect("a half owns its stream until it is dropped")
    }
}

impl<S> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            (self.close)(stream);
        }
    }
}

impl<S> Deref for OwnedReadHalf<S> {
    type Target = TlsStream<S>;

    fn deref(&self) -> &TlsStream<S> {
        &self.stream
    }
}

impl<S> Deref for OwnedWriteHalf<S> {
    type Target = TlsStream<S>;

    fn deref(&self) -> &TlsStream<S> {
        self.stream.as_ref().expect("a half owns its stream until it is dropped")
    }
}

impl<S: ReadWriteRef> Read for OwnedReadHalf<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.stream).read(buffer)
    }
}

impl<S: ReadWriteRef> Write for OwnedWriteHalf<S> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&**self).write(data)
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        (&**self).write_vectored(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&**self).flush()
    }
}

/// Two halves of different connections, given back.
#[derive(Debug)]
pub struct ReuniteError<S>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves belong to different connections")
    }
}

impl<S: fmt::Debug> Error for ReuniteError<S> {}
