//! Errors of TLS handshakes.

use std::error::Error;
use std::fmt;
use std::io;

/// The error of a failed TLS handshake. The `?` operator converts it to an `io::Error`.
///
/// The inner `io::Error` is `TimedOut` after the timeout, `InvalidData` if the peers do not agree
/// or a certificate is not trusted, `UnexpectedEof` if the peer closed the connection, or the error
/// of the stream.
#[derive(Debug)]
pub struct HandshakeError(pub(super) io::Error);

impl HandshakeError {
    /// Returns the kind of the inner error.
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind()
    }

    /// Returns the inner error.
    pub fn into_inner(self) -> io::Error {
        self.0
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the TLS handshake failed: {}", self.0)
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        io::Error::new(error.kind(), error)
    }
}

/// The error of a connection of a [`StreamServer::tls`](crate::server::StreamServer::tls) that did
/// not complete its handshake: the failure of its handler's greenlet. The hub's default report
/// ignores it, because any peer can cause it.
#[derive(Debug)]
pub struct AcceptError(pub(crate) HandshakeError);

impl AcceptError {
    /// Returns the error of the handshake.
    pub fn handshake(&self) -> &HandshakeError {
        &self.0
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for AcceptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
