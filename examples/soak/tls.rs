//! A TLS server with a certificate of its own, and peers that break off the handshake or never
//! begin it.

use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use ramie::net::{SocketAddr, TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::tls::rustls::pki_types::PrivateKeyDer;
use ramie::tls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use ramie::tls::{Acceptor, TlsStream, connect};
use ramie::{joinall, spawn, with_timeout};

use super::context::{Context, Living, Random, kill_some};

const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let chain = vec![made.cert.der().clone()];
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let trusting = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    let acceptor = Acceptor::new(Arc::new(config)).handshake_timeout(Some(Duration::from_millis(500)));

    let handlers = Living::default();
    let counted = handlers.clone();
    let server = StreamServer::tls(TcpListener::bind("127.0.0.1:0")?, acceptor, move |stream, _peer| {
        let _one = counted.one();
        echo(stream)
    });
    server.start()?;
    let address = server.address()?;

    context.rounds(|random| {
        let clients: Vec<_> = (0..random.size(3))
            .map(|_| {
                let (mut random, context, config) = (random.fork(), context.clone(), trusting.clone());
                spawn(move || {
                    let result = client(&context, address, config, &mut random);
                    context.check(result.is_ok(), || format!("a client failed: {result:?}"));
                })
            })
            .collect();
        let strangers: Vec<_> = (0..random.size(3))
            .map(|_| {
                let (mut random, config) = (random.fork(), trusting.clone());
                spawn(move || {
                    // Refused, reset or cut: it must end.
                    let _any = stranger(address, config, &mut random);
                })
            })
            .collect();
        context.count("kills", kill_some(&strangers, random, 3));
        joinall(&clients);
        joinall(&strangers);
        context.count("strangers", strangers.len() as u64);
        Ok::<(), io::Error>(())
    })?;

    context.check(server.stop_timeout(LIMIT), || "handlers had to be killed".to_owned());
    context.equal("handlers", handlers.count(), 0);
    Ok(())
}

/// Sends back what comes, and ends with the peer.
fn echo(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    stream.get_ref().set_read_timeout(Some(Duration::from_millis(500)))?;
    stream.get_ref().set_write_timeout(Some(Duration::from_millis(500)))?;
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.shutdown(),
            length => {
                stream.write_all(&buffer[..length])?;
                stream.flush()?;
            }
        }
    }
}

fn client(
    context: &Context,
    address: SocketAddr,
    config: Arc<ClientConfig>,
    random: &mut Random,
) -> Result<(), Box<dyn Error>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut stream = connect(stream, "localhost", config)?;
    for _ in 0..random.size(4) {
        // Less than the buffers of a connection hold, as it is read only when all of it is written.
        let sent = random.some_bytes(30_000);
        stream.write_all(&sent)?;
        stream.flush()?;
        let mut received = vec![0; sent.len()];
        stream.read_exact(&mut received)?;
        context.check(received == sent, || "the bytes that came back are others".to_owned());
        context.count("bytes compared", sent.len() as u64);
    }
    stream.shutdown()?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    context.equal("bytes after the last answer", rest.len(), 0);
    Ok(())
}

fn stranger(
    address: SocketAddr,
    config: Arc<ClientConfig>,
    random: &mut Random,
) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    match random.below(5) {
        // Speaks another protocol.
        0 => {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            stream.read_to_end(&mut Vec::new())?;
        }
        // Says nothing until the time for the handshake is over.
        1 if random.once_in(3) => drop(stream.read_to_end(&mut Vec::new())?),
        // Goes in the middle of the handshake.
        2 => drop(with_timeout(random.pause(2_000), || connect(stream, "localhost", config))),
        // Expects another name.
        3 => drop(connect(stream, "elsewhere", config)?),
        // Goes without a word after a message.
        _ => {
            let mut stream = connect(stream, "localhost", config)?;
            stream.write_all(&random.bytes(20_000))?;
            stream.get_ref().set_linger(Some(Duration::ZERO))?;
        }
    }
    Ok(())
}
