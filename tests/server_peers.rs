//! Servers among peers that misbehave: whatever they do, others are served, and nothing is left of
//! them.

mod util;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::server::StreamServer;
use ramie::tls::rustls::ClientConnection;
use ramie::tls::{self, AcceptError, Acceptor};
use ramie::{Mapping, Pool, get_hub, sleep};

use crate::util::certificate::Certificate;
use crate::util::footprint::{descriptors, settled};
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(60);

/// Runs a test while no other one of this file runs: descriptors belong to the process.
#[track_caller]
fn alone<F: FnOnce() + Send + 'static>(body: F) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    within(LIMIT, body);
}

/// Waits until the hub and the process hold what they held before.
#[track_caller]
fn until_nothing_is_left(before: &(crate::util::footprint::Footprint, Option<usize>)) {
    while (settled(), descriptors()) != *before {
        sleep(Duration::from_millis(1));
    }
}

fn reset(stream: TcpStream) {
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Answers each line with as many bytes as it says, up to the end.
fn serve(stream: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let length =
            line.trim().parse::<usize>().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        (&*stream).write_all(&vec![b'x'; length])?;
        line.clear();
    }
    Ok(())
}

fn server() -> StreamServer {
    let server = StreamServer::bind("127.0.0.1:0", |stream, _| serve(&stream)).unwrap();
    server.start().unwrap();
    server
}

/// Asserts that a peer that behaves is served.
#[track_caller]
fn is_served(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"3\n5\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"xxxxxxxx");
}

#[test]
fn reset_at_every_stage_harms_nobody_else() {
    alone(|| {
        let errors = Log::of_errors();
        let start = (settled(), descriptors());
        let server = server();
        let address = server.address().unwrap();
        is_served(address);
        let before = (settled(), descriptors());
        type Stage = fn(&mut TcpStream);
        let stages: [(&str, Stage); 7] = [
            ("at once", |_| ()),
            ("once it is accepted", |_| sleep(Duration::from_millis(2))),
            ("in the middle of a line", |stream| stream.write_all(b"12").unwrap()),
            ("before the answer", |stream| stream.write_all(b"12\n").unwrap()),
            ("in the middle of the answer", |stream| {
                stream.write_all(b"100000000\n").unwrap();
                stream.read_exact(&mut [0; 100]).unwrap();
            }),
            ("after the answer", |stream| {
                stream.write_all(b"12\n").unwrap();
                stream.read_exact(&mut [0; 12]).unwrap();
            }),
            ("after a half close", |stream| {
                stream.write_all(b"100000000\n").unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                stream.read_exact(&mut [0; 100]).unwrap();
            }),
        ];
        for (name, stage) in stages {
            for _ in 0..5 {
                let mut stream = TcpStream::connect(address).unwrap();
                stage(&mut stream);
                reset(stream);
            }
            is_served(address);
            until_nothing_is_left(&before);
            assert!(server.started(), "{name}");
        }
        // Their handlers have failed, and nothing else has.
        assert!(!errors.is_empty());
        for error in errors.words() {
            assert!(error.contains("reset") || error.contains("roken pipe"), "{error}");
        }
        assert!(server.stop());
        drop(server);
        until_nothing_is_left(&start);
    });
}

#[test]
fn connections_that_are_gone_before_they_are_accepted_are_passed_over() {
    alone(|| {
        Log::of_errors();
        let before = (settled(), descriptors());
        let server = server();
        server.stop_accepting();
        let address = server.address().unwrap();
        for _ in 0..20 {
            reset(TcpStream::connect(address).unwrap());
            drop(TcpStream::connect(address).unwrap());
        }
        server.start().unwrap();
        is_served(address);
        assert!(server.stop());
        drop(server);
        until_nothing_is_left(&before);
    });
}

#[test]
fn peer_that_sends_byte_by_byte_is_served_beside_others() {
    alone(|| {
        let server = server();
        let address = server.address().unwrap();
        let slow = ramie::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            for _ in 0..3 {
                for byte in b"10\n" {
                    stream.write_all(&[*byte]).unwrap();
                    sleep(Duration::from_millis(2));
                }
                stream.read_exact(&mut [0; 10]).unwrap();
            }
        });
        while !slow.ready() {
            is_served(address);
        }
        slow.get().unwrap();
        assert!(server.stop());
    });
}

#[test]
fn peer_that_never_reads_keeps_its_own_handler_only() {
    alone(|| {
        let before = (settled(), descriptors());
        let server = server();
        let address = server.address().unwrap();
        let deaf: Vec<_> = (0..10)
            .map(|_| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(b"100000000\n").unwrap();
                stream
            })
            .collect();
        while server.handlers().len() < 10 {
            sleep(Duration::from_millis(1));
        }
        for _ in 0..20 {
            is_served(address);
        }
        while server.handlers().len() > 10 {
            sleep(Duration::from_millis(1));
        }
        // They would wait forever: a stop ends them, and the descriptors are released.
        assert!(server.stop_timeout(Duration::from_millis(10)));
        assert!(server.handlers().is_empty());
        drop((server, deaf));
        until_nothing_is_left(&before);
    });
}

#[test]
fn peer_that_ends_its_half_gets_all_of_the_answer() {
    alone(|| {
        let server = server();
        let mut stream = TcpStream::connect(server.address().unwrap()).unwrap();
        stream.write_all(b"3000000\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        sleep(Duration::from_millis(20));
        let mut answer = Vec::new();
        assert_eq!(stream.read_to_end(&mut answer).unwrap(), 3_000_000);
        // The other way round: a peer that hangs up without a word ends the handler, in order.
        drop(TcpStream::connect(server.address().unwrap()).unwrap());
        assert!(server.stop());
    });
}

#[test]
fn connections_come_and_go_and_nothing_is_left() {
    alone(|| {
        const COUNT: usize = 2000;
        let errors = Log::of_errors();
        let start = (settled(), descriptors());
        let served = Rc::new(Cell::new(0));
        let count = served.clone();
        let server = StreamServer::bind("127.0.0.1:0", move |stream, _| {
            count.set(count.get() + 1);
            serve(&stream)
        })
        .unwrap();
        server.set_limit(30);
        server.start().unwrap();
        let address = server.address().unwrap();
        is_served(address);
        let before = (settled(), descriptors());
        let pool = Pool::new(50);
        let clients = pool.imap_unordered(0..COUNT, move |number: usize| match number % 4 {
            0 => reset(TcpStream::connect(address).unwrap()),
            1 => drop(TcpStream::connect(address).unwrap()),
            _ => is_served(address),
        });
        assert_eq!(clients.map(Result::unwrap).count(), COUNT);
        is_served(address);
        drop(pool);
        until_nothing_is_left(&before);
        // One that was reset in the backlog may never have been seen.
        assert!(served.get() >= COUNT - COUNT / 4 && served.get() <= COUNT + 2, "{}", served.get());
        for error in errors.words() {
            assert!(error.contains("reset"), "{error}");
        }
        assert!(server.stop());
        drop(server);
        until_nothing_is_left(&start);
    });
}

// --- TLS --------------------------------------------------------------------------------------------------------

/// A server of TLS that echoes, with that limit for handshakes.
fn tls_server(certificate: &Certificate, time: Duration) -> StreamServer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let acceptor = Acceptor::new(certificate.server()).handshake_timeout(Some(time));
    let server = StreamServer::tls(listener, acceptor, |mut stream, _| {
        let mut word = [0; 5];
        stream.read_exact(&mut word)?;
        stream.write_all(&word)?;
        stream.shutdown()
    });
    server.start().unwrap();
    server
}

#[track_caller]
fn is_served_by_tls(address: SocketAddr, certificate: &Certificate) {
    let stream = TcpStream::connect(address).unwrap();
    let mut stream = tls::connect(stream, "localhost", certificate.client()).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
}

/// The first bytes of a client.
fn hello(certificate: &Certificate) -> Vec<u8> {
    let name = "localhost".try_into().unwrap();
    let mut connection = ClientConnection::new(certificate.client(), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn peers_that_leave_during_the_handshake_harm_nobody_else() {
    alone(|| {
        let kinds = Rc::new(std::cell::RefCell::new(Vec::new()));
        let seen = kinds.clone();
        get_hub().set_error_handler(Some(Rc::new(move |_, failure| {
            let error = failure.downcast_ref::<AcceptError>().expect("nothing else fails");
            seen.borrow_mut().push(error.handshake().kind());
        })));
        let start = (settled(), descriptors());
        let certificate = Arc::new(Certificate::new());
        let server = tls_server(&certificate, LONG);
        let address = server.address().unwrap();
        is_served_by_tls(address, &certificate);
        let before = (settled(), descriptors());
        let hello = hello(&certificate);
        type Leave = fn(TcpStream);
        let ways: [Leave; 3] = [drop, reset, |stream| {
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = (&stream).read_to_end(&mut Vec::new());
        }];
        for leave in ways {
            for length in [0, 1, 5, hello.len() / 2, hello.len() - 1, hello.len()] {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&hello[..length]).unwrap();
                sleep(Duration::from_millis(1));
                leave(stream);
            }
            is_served_by_tls(address, &certificate);
            until_nothing_is_left(&before);
        }
        // One that speaks another language is told so.
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        const ALERT: u8 = 21;
        assert_eq!(answer[0], ALERT);
        assert_eq!(kinds.borrow().last(), Some(&ErrorKind::InvalidData));
        drop(stream);
        assert!(kinds.borrow().contains(&ErrorKind::UnexpectedEof));
        assert_eq!(kinds.borrow().len(), 3 * 6 + 1);
        assert!(server.stop());
        drop(server);
        until_nothing_is_left(&start);
    });
}

#[test]
fn handshake_that_takes_too_long_is_given_up_and_keeps_nobody_waiting() {
    alone(|| {
        let errors = Log::of_errors();
        let before = (settled(), descriptors());
        let certificate = Arc::new(Certificate::new());
        let server = tls_server(&certificate, Duration::from_millis(300));
        let address = server.address().unwrap();
        let hello = hello(&certificate);
        let slow: Vec<_> = [0, 1, hello.len() / 2, hello.len()]
            .map(|length| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&hello[..length]).unwrap();
                stream
            })
            .into();
        while server.handlers().len() < slow.len() {
            sleep(Duration::from_millis(1));
        }
        is_served_by_tls(address, &certificate);
        for mut stream in slow {
            // What the server has said before, and the end.
            stream.read_to_end(&mut Vec::new()).unwrap();
        }
        // The good client may have been slow, too, on a machine that is busy.
        assert!(errors.len() >= 4);
        assert!(
            errors.words().iter().all(|error| error.contains("handshake") && error.contains("timed out"))
        );
        assert!(server.stop());
        drop(server);
        until_nothing_is_left(&before);
    });
}
