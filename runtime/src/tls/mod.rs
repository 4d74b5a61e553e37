//! TLS by [rustls](https://docs.rs/rustls), over any stream. Needs the feature `tls`.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::sync::Arc;
//! use ramie::net::{TcpListener, TcpStream};
//! use ramie::server::StreamServer;
//! use ramie::tls;
//! use ramie::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};
//! # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
//! # let certificate = made.cert.der().clone();
//! # let key = tls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
//!
//! // A certificate and its key, from files by `rustls::pki_types::pem::PemObject` in most programs.
//! let config = ServerConfig::builder().with_no_client_auth();
//! let config = Arc::new(config.with_single_cert(vec![certificate.clone()], key).unwrap());
//! let server = StreamServer::tls(TcpListener::bind("127.0.0.1:0")?, config, |mut stream, _peer| {
//!     stream.write_all(b"hello")?;
//!     stream.shutdown()
//! });
//! server.start()?;
//!
//! // Whom to trust: most programs ask `webpki-roots` or `rustls-native-certs`.
//! let mut roots = RootCertStore::empty();
//! roots.add(certificate).unwrap();
//! let config = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
//! let mut stream = tls::connect(TcpStream::connect(server.address()?)?, "localhost", config)?;
//! let mut text = String::new();
//! stream.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok::<(), io::Error>(())
//! ```
//!
//! Certificates, protocols and versions are rustls' business: [`rustls`](mod@rustls) is re-exported as this crate was built with
//! it, with its *ring* provider. A program that links a second provider has to say which one to use, by
//! `ClientConfig::builder_with_provider` or `CryptoProvider::install_default`.
//!
//! # Time
//!
//! A handshake waits for the other side, which may never answer: [`Acceptor`] gives it ten seconds; a client says how long by
//! [`with_timeout`](crate::with_timeout) around [`connect`], or by the timeouts of its stream. Its computations, a millisecond or
//! less, are done by the thread and let nobody else run.

mod error;
mod handshake;
mod session;
mod split;
mod stream;

pub use self::error::{AcceptError, HandshakeError};
pub use self::handshake::{Acceptor, connect};
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use self::stream::TlsStream;
pub use rustls;
