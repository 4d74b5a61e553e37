//! How a handshake fails.

use std::error::Error;
use std::fmt;
use std::io;

/// A TLS handshake that came to nothing. Becomes an `io::Error` by `?`.
///
/// The `io::Error` inside is `TimedOut` when the time was over, `InvalidData` when the two sides do not agree or one is not trusted,
/// `UnexpectedEof` when the other side has hung up, or the stream's own.
#[derive(Debug)]
pub struct HandshakeError(pub(super) io::Error);

impl HandshakeError {
    /// What has failed.
    pub fn kind(&self) -> io::ErrorKind {
        self.0.kind()
    }

    /// The error by which it has failed.
    pub fn into_inner(self) -> io::Error {
        self.0
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the TLS handshake has failed: {}", self.0)
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

/// By what a connection of a [`StreamServer::tls`](crate::server::StreamServer::tls) has ended that never was one of TLS: the failure
/// of its handler's greenlet. The hub's default report passes over it, as any stranger can bring it about.
#[derive(Debug)]
pub struct AcceptError(pub(crate) HandshakeError);

impl AcceptError {
    /// How its handshake has failed.
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
