//! The HTTP server over TLS. The handshake runs in the connection's greenlet, so no other
//! connection waits for it.
//!
//! ```text
//! cargo run --release --example https_server     # with a certificate for localhost that it makes and signs itself
//! curl -ik https://localhost:8443/
//! cargo run --release --example https_server -- --address 0.0.0.0:443 --certificate chain.pem --key key.pem
//! ```
//!
//! Ends by itself: no

mod http;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{io, path::PathBuf};

use lexopt::prelude::*;
use ramie::net::{TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::tls::rustls::ServerConfig;
use ramie::tls::rustls::pki_types::pem::PemObject;
use ramie::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ramie::tls::{Acceptor, TlsStream};

/// The maximum number of connections that are served at once; others wait in the backlog.
const MOST: usize = 1000;
/// The time for which a connection may be silent, and the limit of a handshake.
const IDLE: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A chain of certificates and the key of the first.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn main() -> Result<(), Box<dyn Error>> {
    let (mut address, mut certificate, mut key) = ("127.0.0.1:8443".to_owned(), None, None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("address") => address = arguments.value()?.string()?,
            Long("certificate") => certificate = Some(PathBuf::from(arguments.value()?)),
            Long("key") => key = Some(PathBuf::from(arguments.value()?)),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let (chain, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => from_files(certificate, key)?,
        (None, None) => self_signed()?,
        _ => return Err("a certificate and its key come together".into()),
    };
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = Acceptor::new(Arc::new(config)).handshake_timeout(Some(HANDSHAKE));

    let handle = |mut stream: TlsStream<TcpStream>, peer| {
        stream.get_ref().set_read_timeout(Some(IDLE))?;
        stream.get_ref().set_write_timeout(Some(IDLE))?;
        stream.get_ref().set_nodelay(true)?;
        let served = http::serve(&mut stream, http::site)?;
        println!("{peer}: {served} requests");
        Ok::<(), io::Error>(())
    };
    let server = StreamServer::tls(TcpListener::bind(address)?, acceptor, handle);
    server.set_limit(MOST);
    println!("listening on https://{}/", server.address()?);
    Ok(server.serve_forever()?)
}

pub(crate) fn from_files(certificate: PathBuf, key: PathBuf) -> Result<Identity, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_file(key)?))
}

fn self_signed() -> Result<Identity, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost", "127.0.0.1"].map(str::to_owned))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    Ok((vec![made.cert.der().clone()], key))
}
