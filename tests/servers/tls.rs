//! TLS streams: what arrives, how they end, what an interruption leaves, and handshakes that fail.

use std::cell::Cell;
#[cfg(unix)]
use std::io::BufWriter;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ramie::io::{ReadWriteRef, ShutdownWrite, copy_bidirectional};
use ramie::net::{TcpListener, TcpStream};
#[cfg(unix)]
use ramie::os::unix::net::UnixStream;
use ramie::server::StreamServer;
use ramie::tls::rustls::version::{TLS12, TLS13};
use ramie::tls::rustls::{ClientConfig, ProtocolVersion, ServerConfig, SupportedProtocolVersion};
use ramie::tls::{self, Acceptor, TlsStream};
use ramie::{Greenlet, get_hub, sleep, spawn, with_timeout};
use socket2::SockRef;

use crate::util::certificate::Certificate;
use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

type Tls = TlsStream<TcpStream>;

/// Both ends of a connection: the one that connected, and the one that was accepted.
fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// The same with TLS on it, by these configurations.
fn pair_with(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> (Tls, Tls) {
    let (near, far) = sockets();
    let accepted = spawn(move || Acceptor::new(server).accept(far).unwrap());
    let near = tls::connect(near, "localhost", client).unwrap();
    (near, accepted.take().unwrap())
}

fn pair() -> (Tls, Tls) {
    let certificate = Certificate::new();
    pair_with(certificate.client(), certificate.server())
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
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

        // A stream that ends without a word may be cut off. It is the server that leaves: a client would leave the
        // server's tickets unread, and so reset the connection.
        let (mut far, mut near) = pair();
        near.write_all(b"a part").unwrap();
        drop(near);
        let mut data = Vec::new();
        assert_eq!(far.read_to_end(&mut data).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(data, b"a part");
        let (mut far, near) = pair();
        near.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(far.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
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

/// Writes until nothing more goes in, and returns what went in: what the two sockets hold, and little more.
///
/// A moment after that the system may take more, for what it asks the other side again after 200 ms.
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
        // An error has taken nothing, and what was taken arrives, however often the writer was too late.
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
            assert!(error.to_string().starts_with("the TLS handshake has failed: "));
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
        assert!(errors.words()[0].starts_with("the TLS handshake has failed: "), "{:?}", errors.words());
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

/// Numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.below(400))
    }
}

/// A greenlet that writes what `sent` says has not been taken, in pieces, each of which may be cut short.
fn cut_writer<S: ReadWriteRef + Read + Write + 'static>(
    stream: &Rc<TlsStream<S>>,
    data: &Rc<Vec<u8>>,
    sent: &Rc<Cell<usize>>,
    seed: u64,
) -> Greenlet<()> {
    let (stream, data, sent) = (stream.clone(), data.clone(), sent.clone());
    spawn(move || {
        let mut numbers = Numbers(seed);
        while sent.get() < data.len() {
            let end = data.len().min(sent.get() + 1 + numbers.below(90_000) as usize);
            let write = || (&*stream).write(&data[sent.get()..end]).unwrap();
            match numbers.below(3) {
                0 => sent.set(sent.get() + write()),
                1 => drop(with_timeout(numbers.moment(), || (&*stream).flush().unwrap())),
                _ => {
                    let taken = with_timeout(numbers.moment(), write).unwrap_or(0);
                    sent.set(sent.get() + taken);
                }
            }
        }
    })
}

/// Reads everything, in pieces and with reads that are cut short.
fn cut_reader<S: ReadWriteRef + Read + Write + 'static>(
    stream: &Rc<TlsStream<S>>,
    seed: u64,
) -> Greenlet<Vec<u8>> {
    let stream = stream.clone();
    spawn(move || {
        let (mut numbers, mut received, mut buffer) = (Numbers(seed), Vec::new(), vec![0; 30_000]);
        loop {
            let length = 1 + numbers.below(buffer.len() as u64) as usize;
            let read = || (&*stream).read(&mut buffer[..length]).unwrap();
            match with_timeout(numbers.moment(), read) {
                Ok(0) => return received,
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(_) => sleep(numbers.moment()),
            }
        }
    })
}

/// Both sides write and read at once, and all of it is cut short all the time.
fn cut_exchange<S: ReadWriteRef + Read + Write + 'static>(near: TlsStream<S>, far: TlsStream<S>, seed: u64) {
    let mut numbers = Numbers(seed);
    let sides = [near, far].map(|stream| {
        let data: Vec<u8> = pattern(200_000 + numbers.below(100_000) as usize);
        (Rc::new(stream), Rc::new(data), numbers.below(1 << 30))
    });
    let readers = [0, 1].map(|side| cut_reader(&sides[side].0, numbers.below(1 << 30)));
    let writers = sides.clone().map(|(stream, data, seed)| {
        spawn(move || {
            let (mut numbers, sent) = (Numbers(seed), Rc::new(Cell::new(0)));
            while sent.get() < data.len() {
                let writer = cut_writer(&stream, &data, &sent, numbers.below(1 << 30));
                writer.join_timeout(numbers.moment() * 3);
                writer.kill();
            }
            while with_timeout(numbers.moment(), || stream.shutdown_write().unwrap()).is_err() {}
        })
    });
    writers.iter().for_each(|writer| writer.get().unwrap());
    for (side, reader) in readers.iter().enumerate() {
        let received = reader.take().unwrap();
        assert!(received == *sides[1 - side].1, "seed {seed}: {} bytes arrived", received.len());
    }
}

/// Neither doubled nor lost, over any stream and in any version.
#[test]
fn what_a_cut_write_has_not_reported_was_not_taken() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let mut seed = 1;
        for version in [&TLS12, &TLS13] {
            let client = ClientConfig::builder_with_protocol_versions(&[version])
                .with_root_certificates(certificate.roots())
                .with_no_client_auth();
            let client = Arc::new(client);
            for _ in 0..4 {
                let (near, far) = pair_with(client.clone(), certificate.server());
                for end in [&near, &far] {
                    SockRef::from(end.get_ref()).set_send_buffer_size(4096).unwrap();
                }
                cut_exchange(near, far, seed);
                #[cfg(unix)]
                {
                    let (near, far) = unix_pair(&certificate, client.clone());
                    for end in [&near, &far] {
                        SockRef::from(end.get_ref()).set_send_buffer_size(4096).unwrap();
                    }
                    cut_exchange(near, far, seed + 1);
                }
                seed += 2;
            }
        }
    });
}

#[cfg(unix)]
fn unix_pair(
    certificate: &Certificate,
    client: Arc<ClientConfig>,
) -> (TlsStream<UnixStream>, TlsStream<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    let server = certificate.server();
    let accepted = spawn(move || Acceptor::new(server).accept(far).unwrap());
    let near = tls::connect(near, "localhost", client).unwrap();
    (near, accepted.take().unwrap())
}

/// What a server with a buffer does when its peer is slow.
#[cfg(unix)]
#[test]
fn flush_that_is_cut_and_repeated_sends_every_byte_once() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let (near, mut far) = unix_pair(&certificate, certificate.client());
        let reader = spawn(move || {
            sleep(5 * SHORT);
            let mut all = Vec::new();
            far.read_to_end(&mut all).unwrap();
            all
        });
        let data = pattern(1 << 20);
        let mut writer = BufWriter::with_capacity(2 << 20, near);
        writer.write_all(&data).unwrap();
        while with_timeout(Duration::from_millis(1), || writer.flush().unwrap()).is_err() {}
        writer.get_mut().shutdown().unwrap();
        assert!(reader.take().unwrap() == data);
    });
}

#[test]
fn what_has_arrived_is_read_although_a_write_is_stuck() {
    within(LIMIT, || {
        let (near, far) = pair();
        let exchange = |mut stream: Tls| {
            move || {
                let (block, mut written) = (pattern(16_384), 0);
                let mut late = 0;
                while late < 3 {
                    match with_timeout(Duration::from_millis(150), || stream.write(&block).unwrap()) {
                        Ok(taken) => written += taken,
                        Err(_) => late += 1,
                    }
                }
                let (mut read, mut buffer) = (0, vec![0; 16_384]);
                while let Ok(length) = with_timeout(Duration::from_secs(1), || stream.read(&mut buffer)) {
                    read += length.unwrap();
                }
                (stream, written, read)
            }
        };
        let sides = [near, far].map(|stream| spawn(exchange(stream)));
        let [near, far] = sides.map(|side| side.take().unwrap());
        assert!(near.1 > 0 && near.1 == far.2 && far.1 == near.2, "{:?}", (near.1, near.2, far.1, far.2));
    });
}

#[test]
fn one_greenlet_reads_while_another_one_writes() {
    within(LIMIT, || {
        let before = settled();
        let (near, far) = pair();
        let data = Rc::new(pattern(3_000_000));
        let sides = [near, far].map(|stream| {
            let (mut reading, mut writing) = stream.into_split();
            let sent = data.clone();
            // Its end is told by the drop.
            let writer = spawn(move || writing.write_all(&sent).unwrap());
            let reader = spawn(move || {
                let mut received = Vec::new();
                reading.read_to_end(&mut received).unwrap();
                received
            });
            (writer, reader)
        });
        for (writer, reader) in sides {
            writer.get().unwrap();
            assert!(reader.take().unwrap() == *data);
        }
        assert_eq!(settled(), before);
    });
}

#[test]
fn halves_end_each_by_itself_and_go_together_again() {
    within(LIMIT, || {
        let ((near, far), (mut other, other_far)) = (pair(), pair());
        let (mut reading, writing) = near.into_split();
        let (mut far_reading, mut far_writing) = far.into_split();
        let parked_reader = parked(move || {
            let mut text = String::new();
            reading.read_to_string(&mut text).unwrap();
            (reading, text)
        });
        writing.shutdown_write().unwrap();
        assert_eq!((&*writing).write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(far_reading.read(&mut [0]).unwrap(), 0);
        far_writing.write_all(b"still here").unwrap();
        drop(far_writing);
        let (reading, text) = parked_reader.take().unwrap();
        assert_eq!(text, "still here");

        let strangers = other.get_ref().try_clone().unwrap();
        let (other_reading, other_writing) = other.into_split();
        let tls::ReuniteError(reading, other_writing) = reading.reunite(other_writing).unwrap_err();
        other = other_reading.reunite(other_writing).unwrap();
        assert_eq!(other.get_ref().peer_addr().unwrap(), strangers.peer_addr().unwrap());
        writing.reunite(reading).unwrap();

        // A half that is forgotten says nothing.
        let (reading, writing) = other.into_split();
        writing.forget();
        let mut other_far = other_far;
        assert!(with_timeout(SHORT, || other_far.read(&mut [0]).unwrap()).is_err());
        drop(reading);
    });
}

#[test]
fn half_that_is_cut_off_is_an_error() {
    within(LIMIT, || {
        let (near, far) = pair();
        let (_reading, writing) = near.into_split();
        let (mut far_reading, _far_writing) = far.into_split();
        (&*writing).write_all(b"a part").unwrap();
        writing.get_ref().shutdown(Shutdown::Write).unwrap();
        let mut data = Vec::new();
        assert_eq!(far_reading.read_to_end(&mut data).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(data, b"a part");
    });
}

#[test]
fn greenlets_that_write_to_one_connection_take_turns() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        let near = Rc::new(near);
        let writers: Vec<_> = (0..8_u8)
            .map(|number| {
                let near = near.clone();
                spawn(move || {
                    for _ in 0..50 {
                        assert_eq!((&*near).write(&[number; 5000]).unwrap(), 5000);
                    }
                })
            })
            .collect();
        let end = spawn(move || {
            writers.iter().for_each(|writer| writer.get().unwrap());
            near.shutdown_write().unwrap();
            near
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        let _near = end.take().unwrap();
        assert_eq!(received.len(), 8 * 50 * 5000);
        assert!(received.chunks(5000).all(|piece| piece.iter().all(|byte| *byte == piece[0])));
    });
}

#[test]
fn both_directions_are_copied_from_plain_to_tls() {
    within(LIMIT, || {
        let before = settled();
        let ((client, near), (outer, inner)) = (sockets(), pair());
        let proxy = spawn(move || copy_bidirectional(&near, &outer).unwrap());
        let server = spawn(move || {
            let mut question = Vec::new();
            // The end of the plain stream arrives as one that was said.
            (&inner).read_to_end(&mut question).unwrap();
            (&inner).write_all(&question).unwrap();
            inner.shutdown_write().unwrap();
            question.len()
        });
        let data = pattern(1 << 20);
        let (mut reading, mut writing) = client.into_split();
        let sent = data.clone();
        let writer = spawn(move || writing.write_all(&sent).unwrap());
        let mut back = Vec::new();
        reading.read_to_end(&mut back).unwrap();
        writer.get().unwrap();
        assert!(back == data);
        assert_eq!(server.get().unwrap(), 1 << 20);
        assert_eq!(proxy.get().unwrap(), (1 << 20, 1 << 20));
        drop((reading, writer, server, proxy));
        assert_eq!(settled(), before);
    });
}

#[test]
fn connection_inside_a_connection_works() {
    within(LIMIT, || {
        let certificate = Certificate::new();
        let (near, far) = pair();
        let server = certificate.server();
        let accepted = spawn(move || Acceptor::new(server).accept(far).unwrap());
        let near = tls::connect(near, "localhost", certificate.client()).unwrap();
        cut_exchange(near, accepted.take().unwrap(), 99);
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
