//! TLS streams: what arrives, how they end, what an interruption leaves, and handshakes that fail.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ramie::net::{TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::sync::Event;
use ramie::tls::rustls::version::{TLS12, TLS13};
use ramie::tls::rustls::{ClientConfig, ProtocolVersion, ServerConfig, SupportedProtocolVersion};
use ramie::tls::{self, Acceptor, TlsStream};
use ramie::{Greenlet, get_hub, sleep, spawn, with_timeout};

use crate::util::certificate::Certificate;
use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::sleepers::parked;
use crate::util::within;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

type Tls = TlsStream<TcpStream>;

/// Both ends of a connection: the one that connected, and the one that was accepted.
pub(crate) fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// The same with TLS on it, by these configurations.
pub(crate) fn pair_with(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> (Tls, Tls) {
    let (near, far) = sockets();
    let accepted = spawn(move || Acceptor::new(server).accept(far).unwrap());
    let near = tls::connect(near, "localhost", client).unwrap();
    (near, accepted.take().unwrap())
}

pub(crate) fn pair() -> (Tls, Tls) {
    let certificate = Certificate::new();
    pair_with(certificate.client(), certificate.server())
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn what_is_written_arrives_both_ways() {
    within(LIMIT, || {
        let before = settled();
        let (mut near, mut far) = pair();
        for length in [0, 1, 100, 16_384, 16_385, 3_000_000] {
            let data = pattern(length);
            let expected = data.clone();
            let reader: Greenlet<Tls> = spawn(move || {
                let mut received = vec![0; length];
                far.read_exact(&mut received).unwrap();
                assert!(received == expected);
                far.write_all(&received).unwrap();
                far
            });
            near.write_all(&data).unwrap();
            let mut back = vec![0; length];
            near.read_exact(&mut back).unwrap();
            assert!(back == data);
            far = reader.take().unwrap();
        }
        let sent = near.write_vectored(&[IoSlice::new(b"in "), IoSlice::new(b"pieces")]).unwrap();
        assert_eq!(sent, 9);
        let mut text = [0; 9];
        far.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"in pieces");
        drop((near, far));
        assert_eq!(settled(), before);
    });
}

#[test]
fn both_versions_and_what_was_agreed_on_are_seen() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let cases: [(&'static SupportedProtocolVersion, ProtocolVersion); 2] =
            [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)];
        for (version, agreed) in cases {
            let mut client = ClientConfig::builder_with_protocol_versions(&[version])
                .with_root_certificates(certificate.roots())
                .with_no_client_auth();
            client.alpn_protocols = vec![b"word".to_vec()];
            let mut server = Arc::unwrap_or_clone(certificate.server());
            server.alpn_protocols = vec![b"other".to_vec(), b"word".to_vec()];
            let (mut near, mut far) = pair_with(Arc::new(client), Arc::new(server));
            for end in [&near, &far] {
                assert_eq!(end.connection().protocol_version(), Some(agreed));
                assert_eq!(end.connection().alpn_protocol(), Some(&b"word"[..]));
            }
            near.write_all(b"x").unwrap();
            far.read_exact(&mut [0]).unwrap();
            far.shutdown().unwrap();
            assert_eq!(near.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn end_in_order_is_told_from_one_that_just_happens() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        near.write_all(b"all of it").unwrap();
        near.shutdown().unwrap();
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "all of it");
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
        // The other direction is still open.
        far.write_all(b"answer").unwrap();
        far.shutdown().unwrap();
        text.clear();
        near.read_to_string(&mut text).unwrap();
        assert_eq!(text, "answer");
        near.shutdown().unwrap();
        assert_eq!(near.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);

        // Without a `close_notify` the data may be cut off. The server leaves: a client would leave
        // the server's tickets unread, and so reset the connection.
        let (mut far, near) = pair();
        near.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn drop_ends_the_connection_in_order_unless_something_went_wrong() {
    within(LIMIT, || {
        // The server leaves: a client would leave the server's tickets unread, and so reset the
        // connection.
        let (mut far, mut near) = pair();
        near.write_all(b"all of it").unwrap();
        drop(near);
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "all of it");

        // A panic, a timeout or a kill may have cut the data short.
        let ways: [fn(&ramie::Greenlet<()>); 2] =
            [|greenlet| drop(greenlet.get().unwrap_err()), |g| g.kill()];
        for way in ways {
            let (mut far, mut near) = pair();
            let writer = spawn(move || {
                near.write_all(b"a part").unwrap();
                sleep(SHORT);
                panic!("the rest cannot be had");
            });
            sleep(Duration::from_millis(1));
            way(&writer);
            let mut data = Vec::new();
            assert_eq!(far.read_to_end(&mut data).unwrap_err().kind(), ErrorKind::UnexpectedEof);
            assert_eq!(data, b"a part");
        }
        let (mut far, mut near) = pair();
        let late = with_timeout(SHORT, move || {
            near.write_all(b"a part").unwrap();
            Event::new().wait();
        });
        assert!(late.is_err());
        let mut data = Vec::new();
        assert_eq!(far.read_to_end(&mut data).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(data, b"a part");
    });
}

/// A drop needs no room at the peer and lets no other greenlet run. An interrupted write loses the
/// end, unless the system has found room for it since.
#[test]
fn drop_does_not_wait_for_room() {
    within(LIMIT, || {
        let (mut far, mut near) = pair();
        let block = [7; 16 * 1024];
        while with_timeout(SHORT, || near.write(&block).unwrap()).is_ok() {}
        let ran = Rc::new(Cell::new(false));
        let told = ran.clone();
        spawn(move || told.set(true));
        drop(near);
        assert!(!ran.get());
        let mut data = Vec::new();
        let end = far.read_to_end(&mut data);
        assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof));
        assert!(!data.is_empty());
    });
}

/// A server that has heard enough answers before it hangs up.
#[cfg(unix)]
#[test]
fn peer_that_takes_nothing_any_more_is_still_read_from() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let (near, far) = ramie::os::unix::net::UnixStream::pair().unwrap();
        let server = Acceptor::new(certificate.server());
        let accepted = spawn(move || server.accept(far).unwrap());
        let mut near = tls::connect(near, "localhost", certificate.client()).unwrap();
        let mut far = accepted.take().unwrap();
        far.write_all(b"too much").unwrap();
        far.shutdown().unwrap();
        far.get_ref().shutdown(Shutdown::Read).unwrap();
        let error = near.write_all(&pattern(1 << 20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "too much");
        assert_eq!(near.flush().unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn record_that_was_tampered_with_is_an_error() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        let mut wire = near.into_inner();
        // A record of application data, of nonsense.
        wire.write_all(&[&[23, 3, 3, 0, 32], &[7; 32][..]].concat()).unwrap();
        assert_eq!(far.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::InvalidData);
        // The other side is told why.
        let mut answer = Vec::new();
        drop(far);
        wire.read_to_end(&mut answer).unwrap();
        assert!(!answer.is_empty());
    });
}

/// Writes until nothing more goes in, and returns what went in: what the two sockets hold, and
/// little more.
///
/// A moment after that the system may take more, for what it asks the other side again after 200
/// ms.
fn clog(stream: &mut Tls, data: &[u8]) -> Vec<u8> {
    stream.get_ref().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = Vec::new();
    loop {
        match stream.write(data) {
            Ok(taken) => sent.extend_from_slice(&data[..taken]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                return sent;
            }
        }
        assert!(sent.len() < 64 << 20, "it is buffered without limit");
    }
}

#[test]
fn writer_waits_for_a_peer_that_does_not_read() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        let data = pattern(1 << 20);
        let mut sent = clog(&mut near, &data);
        near.get_ref().set_write_timeout(Some(SHORT)).unwrap();
        assert!(near.flush().is_err_and(|error| error.kind() == ErrorKind::TimedOut));
        // An error has taken nothing, and what was taken arrives, however often the writer was too
        // late.
        let slow = spawn(move || {
            let mut received = Vec::new();
            let mut buffer = vec![0; 300_000];
            loop {
                sleep(Duration::from_millis(15));
                match far.read(&mut buffer).unwrap() {
                    0 => return received,
                    length => received.extend_from_slice(&buffer[..length]),
                }
                if received.len() > 1 << 20 {
                    far.read_to_end(&mut received).unwrap();
                    return received;
                }
            }
        });
        let mut left = &data[..];
        while !left.is_empty() {
            match near.write(left) {
                Ok(taken) => left = &left[taken..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
        }
        sent.extend_from_slice(&data);
        while let Err(error) = near.shutdown() {
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        assert!(slow.take().unwrap() == sent);
    });
}

/// Hands on what comes from `from`, in pieces of that length and with pauses, until it ends.
fn drip(from: TcpStream, to: TcpStream, piece: usize) -> Greenlet<()> {
    spawn(move || {
        let mut buffer = vec![0; piece];
        loop {
            match (&from).read(&mut buffer).unwrap() {
                0 => return to.shutdown(Shutdown::Write).unwrap(),
                length => (&to).write_all(&buffer[..length]).unwrap(),
            }
            sleep(Duration::from_millis(1));
        }
    })
}

#[test]
fn interrupted_read_has_consumed_nothing() {
    within(LIMIT, || {
        for piece in [1, 50, 5000] {
            let certificate = Certificate::new();
            let ((near, wire_in), (wire_out, far)) = (sockets(), sockets());
            let relay = [
                drip(wire_in.try_clone().unwrap(), wire_out.try_clone().unwrap(), piece),
                drip(wire_out, wire_in, 100_000),
            ];
            let server = certificate.server();
            let accepted = spawn(move || Acceptor::new(server).handshake_timeout(None).accept(far).unwrap());
            let mut near = tls::connect(near, "localhost", certificate.client()).unwrap();
            let mut far = accepted.take().unwrap();
            assert!(with_timeout(SHORT, || far.read(&mut [0]).unwrap()).is_err());
            let data = pattern(20 * piece);
            near.write_all(&data).unwrap();
            near.shutdown().unwrap();
            // A timeout unwinds out of the middle of a record, as a kill does.
            let (mut received, mut buffer) = (Vec::new(), [0; 1000]);
            loop {
                match with_timeout(Duration::from_micros(700), || far.read(&mut buffer).unwrap()) {
                    Ok(0) => break,
                    Ok(length) => received.extend_from_slice(&buffer[..length]),
                    Err(_) => {}
                }
            }
            assert!(received == data, "in pieces of {piece}");
            far.shutdown().unwrap();
            assert_eq!(near.read_to_end(&mut Vec::new()).unwrap(), 0);
            drop((near, far));
            relay.iter().for_each(|relay| relay.get().unwrap());
        }
    });
}

#[test]
fn interrupted_flush_goes_on_where_it_was() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        let sent = clog(&mut near, &pattern(1 << 20));
        near.get_ref().set_write_timeout(None).unwrap();
        assert!(with_timeout(SHORT, || near.flush().unwrap()).is_err());
        let slow = spawn(move || {
            let mut received = vec![0; 200_000];
            let mut length = 0;
            while length < received.len() {
                length += far.read(&mut received[length..]).unwrap();
                sleep(Duration::from_millis(1));
            }
            far.read_to_end(&mut received).unwrap();
            received
        });
        while with_timeout(Duration::from_micros(500), || near.flush().unwrap()).is_err() {}
        near.shutdown().unwrap();
        assert!(slow.take().unwrap() == sent);
    });
}

#[test]
fn killed_handler_closes_its_connection() {
    within(LIMIT, || {
        let before = settled();
        let (mut near, mut far) = pair();
        let reader = parked(move || far.read(&mut [0; 8]).unwrap());
        reader.kill();
        assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        drop((near, reader));
        assert_eq!(settled(), before);
    });
}

#[test]
fn handshake_with_a_stranger_fails_on_both_sides() {
    within(LIMIT, || {
        let (certificate, other) = (Certificate::new(), Certificate::new());
        // Not the one that is trusted, and not the name that was asked for.
        for (client, name) in [(other.client(), "localhost"), (certificate.client(), "example.org")] {
            let (near, far) = sockets();
            let server = certificate.server();
            let accepted = spawn(move || Acceptor::new(server).accept(far).map(drop).unwrap_err());
            let error = tls::connect(near, name, client).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            assert!(error.to_string().starts_with("the TLS handshake failed: "));
            let error = accepted.take().unwrap();
            // It is told by an alert.
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidData);
        }
        let (near, _far) = sockets();
        let error = tls::connect(near, "no name at all", certificate.client()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.into_inner().raw_os_error().is_none());
    });
}

#[test]
fn address_serves_as_a_name() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let (near, far) = sockets();
        let server = certificate.server();
        let accepted = spawn(move || Acceptor::new(server).accept(far).map(drop));
        tls::connect(near, "127.0.0.1", certificate.client()).unwrap();
        accepted.take().unwrap().unwrap();
    });
}

#[test]
fn handshake_has_its_limit() {
    within(LIMIT, || {
        let before = settled();
        let certificate = Certificate::new();
        let (near, far) = sockets();
        let acceptor = Acceptor::new(certificate.server()).handshake_timeout(Some(SHORT));
        let start = Instant::now();
        let error = acceptor.accept(far).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        assert_eq!((&near).read(&mut [0]).unwrap(), 0);
        drop(near);
        // Without one it is the stream's, and whatever is around it.
        let (near, far) = sockets();
        far.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(acceptor.handshake_timeout(None).accept(far).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(near);
        let (near, far) = sockets();
        assert!(with_timeout(SHORT, || tls::connect(near, "localhost", certificate.client())).is_err());
        // What the client had said, and the end.
        (&far).read_to_end(&mut Vec::new()).unwrap();
        drop(far);
        assert_eq!(settled(), before);
    });
}

#[test]
fn stream_that_does_not_wait_says_so_and_goes_on() {
    within(LIMIT, || {
        let (mut near, mut far) = pair();
        far.get_mut().set_nonblocking(true).unwrap();
        assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        near.write_all(b"x").unwrap();
        far.get_ref().wait_readable().unwrap();
        far.read_exact(&mut [0]).unwrap();
        assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.get_mut().set_nonblocking(false).unwrap();
        let reader = parked(move || far.read(&mut [0]).unwrap());
        near.shutdown().unwrap();
        assert_eq!(reader.get().unwrap(), 0);
    });
}

#[test]
fn failed_handshake_is_reported_where_somebody_asks() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = StreamServer::tls(listener, certificate.server(), |mut stream, _| {
            stream.write_all(b"hello")?;
            stream.shutdown()
        });
        server.start().unwrap();
        let errors = Log::of_errors();
        let stranger = TcpStream::connect(server.address().unwrap()).unwrap();
        tls::connect(stranger, "localhost", Certificate::new().client()).unwrap_err();
        while errors.is_empty() {
            sleep(Duration::from_millis(1));
        }
        assert!(errors.words()[0].starts_with("the TLS handshake failed: "), "{:?}", errors.words());
        get_hub().set_error_handler(None);
        let stream = TcpStream::connect(server.address().unwrap()).unwrap();
        let mut stream = tls::connect(stream, "localhost", certificate.client()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(server.stop_timeout(LONG));
        assert_eq!(errors.len(), 1);
    });
}

#[cfg(unix)]
#[test]
fn any_stream_will_do() {
    use ramie::io::Cooperative;
    use ramie::os::unix::net::UnixStream;

    within(LIMIT, || {
        let certificate = Certificate::new();
        let (near, far) = UnixStream::pair().unwrap();
        let far = Cooperative::new(far.into_std().unwrap()).unwrap();
        let server = certificate.server();
        let echo = spawn(move || {
            let mut stream = Acceptor::new(server).accept(far).unwrap();
            let mut data = vec![0; 1 << 20];
            stream.read_exact(&mut data).unwrap();
            stream.write_all(&data).unwrap();
            stream.shutdown().unwrap();
        });
        let mut stream = tls::connect(near, "localhost", certificate.client()).unwrap();
        let data = pattern(1 << 20);
        stream.write_all(&data).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == data);
        echo.get().unwrap();
    });
}

#[test]
fn killed_handshake_leaves_nothing() {
    within(LIMIT, || {
        let before = settled();
        let certificate = Certificate::new();
        let (near, mut far) = sockets();
        let client = certificate.client();
        let connecting = parked(move || tls::connect(near, "localhost", client).map(drop).unwrap());
        connecting.kill();
        let mut hello = Vec::new();
        far.read_to_end(&mut hello).unwrap();
        assert!(!hello.is_empty());
        drop((far, connecting));
        assert_eq!(settled(), before);
    });
}
