//! gevent's tests of servers, restated: test__server.py, and those of its example servers.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::ErrorContext;
use ramie::io::copy_bidirectional;
use ramie::net::{TcpListener, TcpStream, UdpSocket};
use ramie::server::{DatagramServer, StreamServer};
use ramie::sync::Event;
use ramie::{Builder, Pool, get_hub, sleep};

use crate::util::log::Log;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(60);
/// The time that a client waits to be sure that nothing comes.
const PATIENCE: Duration = Duration::from_millis(100);

/// The places where handlers run: gevent's classes of tests. The second one stands for Python's raw
/// greenlets: no tracking except the server's own, and other stacks.
type Place = fn(&StreamServer);
const DEFAULT: Place = |_| ();
const RAW: Place = |server| server.set_pool(Pool::with_builder(None, Builder::new().stack_size(64 * 1024)));
const POOL: Place = |server| server.set_limit(2);

#[track_caller]
fn everywhere(test: fn(Place)) {
    for place in [DEFAULT, RAW, POOL] {
        within(LIMIT, move || test(place));
    }
}

/// Answers `/ping`; holds `/long` until it is killed, and `/short` until the event is set; knows
/// nothing else.
fn handle(short: &Event, stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(&stream);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    match line.trim_end() {
        "GET /ping" => (&stream).write_all(b"PONG"),
        "GET /short" => {
            short.wait();
            (&stream).write_all(b"hello")
        }
        "GET /long" => {
            sleep(LONG);
            (&stream).write_all(b"hello")
        }
        _ => (&stream).write_all(b"404"),
    }
}

struct Served {
    server: StreamServer,
    short: Rc<Event>,
}

fn served(place: Place) -> Served {
    let short = Rc::new(Event::new());
    let event = short.clone();
    let server = StreamServer::bind("127.0.0.1:0", move |stream, _| handle(&event, stream)).unwrap();
    place(&server);
    Served { server, short }
}

impl Served {
    fn address(&self) -> SocketAddr {
        self.server.address().unwrap()
    }

    fn send(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(format!("GET {path}\n").as_bytes()).unwrap();
        stream
    }

    /// The whole answer.
    fn request(&self, path: &str) -> String {
        read(self.send(path)).unwrap()
    }

    /// Asserts that it accepts and that no handler answers.
    #[track_caller]
    fn is_silent(&self) {
        let stream = self.send("/ping");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(read(stream).unwrap_err().kind(), ErrorKind::TimedOut);
    }

    /// gevent: `assertRequestSucceeded`.
    #[track_caller]
    fn works(&self) {
        assert_eq!(self.request("/ping"), "PONG");
    }

    #[track_caller]
    fn refuses(address: SocketAddr) {
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

fn read(mut stream: TcpStream) -> io::Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// gevent: `test_backlog_is_accepted_for_address`, `test_subclass_with_address`: bound at once, and
/// refused when closed.
#[test]
fn server_by_address_serves_between_start_and_close() {
    everywhere(|place| {
        let served = served(place);
        served.is_silent();
        served.server.start().unwrap();
        served.works();
        let address = served.address();
        served.server.stop();
        served.server.close();
        Served::refuses(address);
    });
}

/// gevent: `test_subclass_just_create`.
#[test]
fn server_that_is_never_started_accepts_and_serves_nobody() {
    everywhere(|place| served(place).is_silent());
}

/// gevent: `test_subclass_with_socket`.
#[test]
fn accepting_stops_and_starts() {
    everywhere(|place| {
        let served = served(place);
        served.is_silent();
        served.server.start().unwrap();
        served.works();
        served.server.stop_accepting();
        served.is_silent();
        served.server.start().unwrap();
        served.works();
        served.server.stop();
        served.is_silent();
    });
}

/// gevent: `test_invalid_callback`: what can be wrong with a handler here is what it does.
#[test]
fn handler_that_fails_at_once_closes_its_connection_with_one_report() {
    everywhere(|place| {
        let errors = Log::of_errors();
        let server = StreamServer::bind("127.0.0.1:0", |_, _| Err::<(), _>("invalid")).unwrap();
        place(&server);
        server.start().unwrap();
        assert_eq!(read(TcpStream::connect(server.address().unwrap()).unwrap()).unwrap(), "");
        errors.expect("invalid");
        assert!(server.started());
    });
}

/// gevent: `test_serve_forever`, `test_serve_forever_after_start`.
#[test]
fn serving_for_ever_lasts_until_the_stop() {
    everywhere(|place| {
        for started_before in [false, true] {
            let served = served(place);
            if started_before {
                served.server.start().unwrap();
                assert!(served.server.started());
            }
            let server = served.server.clone();
            let serving = parked(move || server.serve_forever().unwrap());
            assert!(served.server.started());
            served.works();
            served.server.stop();
            assert!(!served.server.started());
            serving.get().unwrap();
            // A kill is as clean an end.
            let server = served.server.clone();
            let serving = parked(move || server.serve_forever().unwrap());
            served.works();
            serving.kill();
            assert!(!served.server.started());
            served.is_silent();
        }
    });
}

/// gevent: `test_server_closes_client_sockets`.
#[test]
fn connection_is_closed_when_its_handler_returns() {
    everywhere(|place| {
        let served = served(place);
        served.server.start().unwrap();
        let mut stream = served.send("/does-not-exist");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "404");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert!(served.server.handlers().is_empty());
    });
}

/// gevent: `test_error_in_spawn`: what may fail in a spawn here is what prepares the greenlet.
#[test]
fn failure_of_a_spawn_closes_the_connection_and_the_server_lives() {
    within(LIMIT, || {
        let reports = Log::new();
        let seen = reports.clone();
        get_hub().set_error_handler(Some(Rc::new(move |context, failure| {
            assert!(matches!(context, ErrorContext::Server(_)) && failure.is_panic());
            seen.add("reported");
        })));
        let fails = Rc::new(Cell::new(true));
        let bad = fails.clone();
        let served = served(DEFAULT);
        let builder = Builder::new().prepare(move |_| {
            if bad.get() {
                std::panic::resume_unwind(Box::new("not prepared"));
            }
        });
        served.server.set_pool(Pool::with_builder(Some(1), builder));
        served.server.start().unwrap();
        let lost = TcpStream::connect(served.address()).unwrap();
        assert_eq!(read(lost).unwrap(), "");
        reports.expect("reported");
        assert!(served.server.started());
        fails.set(false);
        // Twice, so the slot of the first one was given back.
        served.works();
        served.works();
        reports.expect("reported");
    });
}

/// gevent: `TestPoolSpawn::test_pool_full`.
#[test]
fn full_pool_serves_again_when_a_handler_ends() {
    within(LIMIT, || {
        let served = served(POOL);
        served.server.start().unwrap();
        let short = served.send("/short");
        let _long = served.send("/long");
        while served.server.handlers().len() < 2 {
            sleep(Duration::from_millis(1));
        }
        served.is_silent();
        served.is_silent();
        served.short.set();
        assert_eq!(read(short).unwrap(), "hello");
        served.works();
        // The two that had left before are no failures.
        assert!(served.server.stop_timeout(Duration::ZERO));
    });
}

// --- the examples -----------------------------------------------------------------------------------------------

/// gevent: `examples/echoserver.py` and its test.
#[test]
fn echo_server_greets_and_echoes_each_client() {
    within(LIMIT, || {
        let server = StreamServer::bind("127.0.0.1:0", |stream: TcpStream, _| {
            (&stream).write_all(b"Welcome to the echo server! Type quit to exit.\r\n")?;
            for line in BufReader::new(&stream).split(b'\n') {
                let line = line?;
                if line.trim_ascii().eq_ignore_ascii_case(b"quit") {
                    break;
                }
                (&stream).write_all(&[&line, &b"\n"[..]].concat())?;
            }
            Ok::<_, io::Error>(())
        })
        .unwrap();
        server.start().unwrap();
        let clients: Vec<_> = ["hello", "hi"]
            .into_iter()
            .map(|word| {
                let address = server.address().unwrap();
                ramie::spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut lines = BufReader::new(stream.try_clone().unwrap());
                    lines.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut line = String::new();
                    lines.read_line(&mut line).unwrap();
                    assert!(line.starts_with("Welcome"));
                    line.clear();
                    stream.write_all(format!("{word}\r\n").as_bytes()).unwrap();
                    lines.read_line(&mut line).unwrap();
                    assert_eq!(line, format!("{word}\r\n"));
                    assert_eq!(lines.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
                    stream.write_all(b"quit\n").unwrap();
                    assert_eq!(lines.read(&mut [0]).unwrap(), 0);
                })
            })
            .collect();
        for client in clients {
            client.get().unwrap();
        }
    });
}

/// gevent: `examples/portforwarder.py` and its test: connections live on when the server is closed,
/// and main when they end.
#[test]
fn forwarder_that_is_closed_lets_its_connections_end() {
    within(LIMIT, || {
        let (log, target) = (Log::new(), TcpListener::bind("127.0.0.1:0").unwrap());
        let seen = log.clone();
        let address = target.local_addr().unwrap();
        let receiving = ramie::spawn(move || {
            let (stream, _) = target.accept().unwrap();
            for line in BufReader::new(&stream).lines() {
                seen.add(line.unwrap());
            }
        });
        let forwarder = StreamServer::bind("127.0.0.1:0", move |near, _| {
            copy_bidirectional(&near, &TcpStream::connect(address)?)
        })
        .unwrap();
        forwarder.start().unwrap();
        let own = forwarder.address().unwrap();
        let mut client = TcpStream::connect(own).unwrap();
        client.write_all(b"before\n").unwrap();
        while log.is_empty() {
            sleep(Duration::from_millis(1));
        }
        forwarder.close();
        Served::refuses(own);
        client.write_all(b"after\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        receiving.get().unwrap();
        log.expect("before after");
        drop(client);
        get_hub().join();
        assert!(forwarder.handlers().is_empty());
    });
}

/// gevent: `examples/udp_server.py`, `examples/udp_client.py` and their tests.
#[test]
fn datagram_server_answers_its_client() {
    within(LIMIT, || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let reply = socket.try_clone().unwrap();
        let server = DatagramServer::new(socket, move |data, peer| {
            reply.send_to(format!("Received {} bytes", data.len()).as_bytes(), peer)
        });
        server.start().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.address().unwrap()).unwrap();
        client.send(b"Test_udp_server").unwrap();
        let mut buffer = [0; 100];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"Received 15 bytes");
    });
}
