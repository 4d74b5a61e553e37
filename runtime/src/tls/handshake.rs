//! TLS handshakes.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use ramie_hub::with_timeout;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::error::HandshakeError;
use super::stream::TlsStream;

/// The default timeout of a handshake on the server side.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Performs the handshake as a client, with a server of the given name: a DNS name or an IP
/// address. Lets other greenlets run while it waits.
///
/// The stream's own timeouts apply; [`with_timeout`](crate::with_timeout) limits the handshake as a
/// whole.
///
/// # Errors
///
/// Returns [`HandshakeError`] and drops the stream. The error is `InvalidInput` if the name is
/// invalid.
///
/// # Cancellation
///
/// A kill or a timeout drops the stream.
pub fn connect<S: Read + Write>(
    stream: S,
    server_name: &str,
    config: impl Into<Arc<ClientConfig>>,
) -> Result<TlsStream<S>, HandshakeError> {
    let name =
        ServerName::try_from(server_name).map_err(|error| refused(io::ErrorKind::InvalidInput, error))?;
    let connection = ClientConnection::new(config.into(), name.to_owned())
        .map_err(|error| refused(io::ErrorKind::InvalidInput, error))?;
    TlsStream::handshake(Connection::Client(connection), stream).map_err(HandshakeError)
}

/// Performs handshakes as a server, each with a timeout. Created from a [`ServerConfig`]; clones
/// share it.
///
/// # Examples
///
/// [`StreamServer::tls`](crate::server::StreamServer::tls) accepts an `Acceptor` or a plain
/// configuration:
///
/// ```
/// use std::time::Duration;
/// use ramie::tls::Acceptor;
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let key = ramie::tls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
/// # let config = ramie::tls::rustls::ServerConfig::builder().with_no_client_auth();
/// # let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
///
/// let acceptor = Acceptor::new(config).handshake_timeout(Some(Duration::from_secs(2)));
/// ```
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    handshake_timeout: Option<Duration>,
}

impl Acceptor {
    /// Creates an acceptor with a timeout of ten seconds for each handshake.
    pub fn new(config: impl Into<Arc<ServerConfig>>) -> Self {
        Acceptor { config: config.into(), handshake_timeout: Some(HANDSHAKE_TIMEOUT) }
    }

    /// Sets the timeout of each handshake. With `None`, only the stream's own timeouts apply.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Performs the handshake on an accepted connection. Lets other greenlets run while it waits.
    ///
    /// # Errors
    ///
    /// Returns [`HandshakeError`] and drops the stream.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout drops the stream.
    pub fn accept<S: Read + Write>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError> {
        let connection = ServerConnection::new(self.config.clone())
            .map_err(|error| refused(io::ErrorKind::InvalidInput, error))?;
        let handshake = || TlsStream::handshake(Connection::Server(connection), stream);
        let made = match self.handshake_timeout {
            Some(timeout) => with_timeout(timeout, handshake).unwrap_or_else(|late| Err(late.into())),
            None => handshake(),
        };
        made.map_err(HandshakeError)
    }
}

fn refused(
    kind: io::ErrorKind,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> HandshakeError {
    HandshakeError(io::Error::new(kind, error))
}

impl<C: Into<Arc<ServerConfig>>> From<C> for Acceptor {
    fn from(config: C) -> Self {
        Acceptor::new(config)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("handshake_timeout", &self.handshake_timeout).finish_non_exhaustive()
    }
}
