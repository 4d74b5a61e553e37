//! Accepting: in batches, through errors of every kind, and from sockets of every kind.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use ramie::net::{TcpListener, UdpSocket};
use ramie::server::{DatagramServer, Listener, Socket, StreamServer};
use ramie::sync::Event;
use ramie::{sleep, yield_now};

use crate::util::eventually::{rests, until};
use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);

// --- a listener that does as it is told -------------------------------------------------------------------------

/// The result of the next attempt to accept.
type Script = Rc<RefCell<VecDeque<io::Result<Option<u32>>>>>;

/// Gives numbers instead of connections, and errors on demand. Waits for `more`.
struct Scripted {
    script: Script,
    more: Rc<Event>,
    closed: Rc<Cell<bool>>,
}

impl Socket for Scripted {
    type Address = ();

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }

    fn wait_readable(&self) -> io::Result<()> {
        self.more.wait();
        self.more.clear();
        Ok(())
    }

    fn close(&self) {
        self.closed.set(true);
    }
}

impl Listener for Scripted {
    type Stream = u32;

    fn try_accept(&self) -> io::Result<Option<(u32, ())>> {
        let next = self.script.borrow_mut().pop_front();
        Ok(next.transpose()?.flatten().map(|number| (number, ())))
    }
}

struct Play {
    server: StreamServer<Scripted>,
    script: Script,
    more: Rc<Event>,
    closed: Rc<Cell<bool>>,
    served: Log,
}

fn play(script: impl IntoIterator<Item = io::Result<Option<u32>>>) -> Play {
    let script = Rc::new(RefCell::new(script.into_iter().collect::<VecDeque<_>>()));
    let (more, closed, served) = (Rc::new(Event::new()), Rc::default(), Log::new());
    let listener = Scripted { script: script.clone(), more: more.clone(), closed: Rc::clone(&closed) };
    let log = served.clone();
    let server = StreamServer::new(listener, move |number, ()| log.add(number));
    Play { server, script, more, closed, served }
}

fn system(code: i32) -> io::Result<Option<u32>> {
    Err(io::Error::from_raw_os_error(code))
}

#[test]
fn others_get_their_turn_after_a_batch() {
    within(LIMIT, || {
        let play = play((0..7).map(|number| Ok(Some(number))));
        play.server.set_max_accept(3);
        play.server.start().unwrap();
        let mut left = Vec::new();
        while !play.script.borrow().is_empty() {
            yield_now();
            left.push((play.script.borrow().len(), play.served.len()));
        }
        // Three are taken, then their handlers run, and so on.
        assert_eq!(left, [(4, 0), (1, 3), (0, 6)]);
        yield_now();
        play.served.expect("0 1 2 3 4 5 6");
    });
}

#[test]
fn pauses_grow_up_to_the_longest_and_begin_anew_after_a_success() {
    within(LIMIT, || {
        const EMFILE: i32 = 24;
        let errors = Log::of_errors();
        let failures = |count| (0..count).map(|_| system(EMFILE));
        let play = play(failures(5).chain([Ok(Some(1))]).chain(failures(2)).chain([Ok(Some(2))]));
        play.server.set_delays(Duration::from_millis(10), Duration::from_millis(40));
        let start = std::time::Instant::now();
        play.server.start().unwrap();
        until(|| play.served.len() == 1);
        // 10, 20, 40, 40 and 40.
        assert!(start.elapsed() >= Duration::from_millis(150));
        // The next one has followed in the same turn.
        assert_eq!(errors.len(), 6);
        until(|| play.served.len() == 2);
        // 10 and 20 more.
        assert!(start.elapsed() >= Duration::from_millis(180));
        assert_eq!(errors.len(), 7);
        assert!(play.server.started() && !play.closed.get());
    });
}

#[test]
fn stop_cuts_a_pause_short() {
    within(LIMIT, || {
        Log::of_errors();
        let play = play([system(24)]);
        play.server.set_delays(LONG, LONG);
        play.server.start().unwrap();
        sleep(SHORT);
        play.server.stop();
        play.server.start().unwrap();
        play.script.borrow_mut().push_back(Ok(Some(1)));
        play.more.set();
        until(|| play.served.len() == 1);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn peer_that_is_gone_makes_no_pause_and_is_not_reported() {
    within(LIMIT, || {
        const ECONNABORTED: i32 = 103;
        const EPROTO: i32 = 71;
        let errors = Log::of_errors();
        let play = play([system(ECONNABORTED), Ok(Some(1)), system(EPROTO), Ok(Some(2))]);
        play.server.set_delays(LONG, LONG);
        play.server.start().unwrap();
        until(|| play.served.len() == 2);
        errors.expect("");
        // A listener that always fails does not keep the thread.
        play.script.borrow_mut().extend((0..5000).map(|_| system(ECONNABORTED)));
        play.more.set();
        let mut turns = 0;
        while !play.script.borrow().is_empty() {
            turns += 1;
            yield_now();
        }
        assert!(turns >= 5000 / 100);
    });
}

#[cfg(unix)]
#[test]
fn socket_of_no_use_closes_the_server() {
    within(LIMIT, || {
        const EINVAL: i32 = 22;
        let errors = Log::of_errors();
        let play = play([Ok(Some(1)), system(EINVAL), Ok(Some(2))]);
        let error = play.server.serve_forever().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(EINVAL));
        assert!(play.server.closed() && play.closed.get() && !play.server.started());
        play.served.expect("1");
        assert_eq!(errors.len(), 1);
        assert!(play.server.start().is_err());
    });
}

#[cfg(unix)]
#[test]
fn listener_that_is_closed_elsewhere_closes_the_server() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = listener.try_clone().unwrap();
        let server = StreamServer::new(listener, |_, _| ());
        let serving = {
            let server = server.clone();
            parked(move || server.serve_forever())
        };
        yield_now();
        other.close();
        let error = serving.take().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(9));
        assert!(server.closed());
        assert_eq!(errors.len(), 1);
    });
}

// --- datagrams --------------------------------------------------------------------------------------------------

#[test]
fn datagram_server_answers() {
    within(LIMIT, || {
        let before = settled();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let reply = socket.try_clone().unwrap();
        let server = DatagramServer::new(socket, move |data, peer| {
            reply.send_to(&[b"got ".as_slice(), &data].concat(), peer)
        });
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.address().unwrap()).unwrap();
        assert_eq!(server.server_port().unwrap(), server.address().unwrap().port());
        assert!(server.server_host().unwrap().is_loopback());
        server.start().unwrap();
        let mut buffer = vec![0; 70_000];
        let long = "x".repeat(60_000);
        for word in ["", "one", &long] {
            client.send(word.as_bytes()).unwrap();
            let length = client.recv(&mut buffer).unwrap();
            assert!(buffer[..length] == *[b"got ", word.as_bytes()].concat());
        }
        server.sendto(b"unasked", &client.local_addr().unwrap()).unwrap();
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"unasked");
        assert!(server.stop());
        server.close();
        assert!(server.start().is_err());
        drop((server, client));
        rests(before);
    });
}

#[test]
fn limit_of_the_socket_for_reading_is_none_of_the_servers() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let log = Log::new();
        let seen = log.clone();
        let server = DatagramServer::new(socket, move |_, _| seen.add("received"));
        server.set_delays(LONG, LONG);
        server.start().unwrap();
        sleep(SHORT);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"x", server.address().unwrap()).unwrap();
        until(|| log.len() == 1);
        errors.expect("");
    });
}

#[test]
fn datagrams_wait_in_the_socket_while_the_limit_is_reached() {
    within(LIMIT, || {
        let log = Log::new();
        let gate = Rc::new(Event::new());
        let (seen, opened) = (log.clone(), gate.clone());
        let server = DatagramServer::bind("127.0.0.1:0", move |data, _| {
            seen.add(String::from_utf8_lossy(&data));
            opened.wait();
        })
        .unwrap();
        server.set_limit(2);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.address().unwrap();
        for word in ["a", "b", "c", "d"] {
            client.send_to(word.as_bytes(), address).unwrap();
        }
        server.start().unwrap();
        sleep(SHORT);
        log.expect("a b");
        // Stopped and started again: those that wait are still there.
        assert!(server.stop_timeout(Duration::ZERO));
        gate.set();
        server.start().unwrap();
        until(|| log.len() == 4);
        log.expect("a b c d");
    });
}

#[cfg(unix)]
#[test]
fn unix_sockets_serve_too() {
    use ramie::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
    use std::net::Shutdown;

    within(LIMIT, || {
        let errors = Log::of_errors();
        let before = settled();
        let path = |kind: &str| {
            let path = std::env::temp_dir().join(format!("ramie-{kind}-{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            path
        };
        let stream_path = path("server");
        let server = StreamServer::new(UnixListener::bind(&stream_path).unwrap(), |stream, _| {
            io::copy(&mut &stream, &mut &stream)
        });
        server.start().unwrap();
        assert_eq!(server.address().unwrap().as_pathname(), Some(&*stream_path));
        let mut client = UnixStream::connect(&stream_path).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "hello");
        server.stop();
        drop((server, client));
        std::fs::remove_file(stream_path).unwrap();

        let (near_path, far_path) = (path("near"), path("far"));
        let socket = UnixDatagram::bind(&near_path).unwrap();
        let reply = socket.try_clone().unwrap();
        let handle = reply.try_clone().unwrap();
        let server = DatagramServer::new(socket, move |data, peer| reply.send_to_addr(&data, &peer));
        server.start().unwrap();
        let client = UnixDatagram::bind(&far_path).unwrap();
        client.send_to(b"hello", &near_path).unwrap();
        let mut buffer = [0; 10];
        assert_eq!(client.recv(&mut buffer).unwrap(), 5);
        std::fs::remove_file(near_path).unwrap();
        std::fs::remove_file(far_path).unwrap();
        assert!(errors.is_empty());
        // Where receiving was shut down nothing will arrive any more.
        #[cfg(target_os = "linux")]
        {
            handle.shutdown(Shutdown::Read).unwrap();
            until(|| server.closed());
            assert_eq!(errors.len(), 1);
        }
        drop((server, client, handle));
        rests(before);
    });
}
