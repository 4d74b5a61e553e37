//! Peers that misbehave, halves and clones of a stream, and sockets that are closed while a
//! greenlet waits on them.

mod util;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, Shutdown};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ramie::io::copy_bidirectional;
use ramie::net::{TcpListener, TcpStream, UdpSocket};
use ramie::{Greenlet, sleep, spawn, with_timeout};

use crate::util::footprint::{descriptors, settled};
use crate::util::saturated_peers::fill;
use crate::util::saturated_peers::silent;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(60);
const EBADF: i32 = 9;

/// Runs a test while no other one of this file runs: descriptors belong to the process.
#[track_caller]
fn alone<F: FnOnce() + Send + 'static>(body: F) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    within(LIMIT, body);
}

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    (near, far)
}

fn reset(stream: TcpStream) {
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

#[test]
fn reset_is_an_error_at_every_stage() {
    alone(|| {
        let before = (settled(), descriptors());
        // What waits when the reset comes, or comes after it.
        type Stage = fn(&TcpStream) -> io::Result<usize>;
        let stages: [(&str, Stage); 5] = [
            ("read", |mut stream| stream.read(&mut [0; 8])),
            ("peek", |stream| stream.peek(&mut [0; 8])),
            ("read to the end", |mut stream| stream.read_to_end(&mut Vec::new())),
            ("wait, then read", |mut stream| {
                stream.wait_readable()?;
                stream.read(&mut [0; 8])
            }),
            ("write", |mut stream| {
                loop {
                    stream.write_all(&[0; 65536])?;
                }
            }),
        ];
        for (name, stage) in stages {
            for waits in [true, false] {
                for half_closed in [true, false] {
                    let (near, far) = pair();
                    if half_closed && name != "write" {
                        near.shutdown(Shutdown::Write).unwrap();
                    }
                    let error = if waits {
                        let greenlet = parked(move || stage(&near).unwrap_err());
                        reset(far);
                        greenlet.take().unwrap()
                    } else {
                        reset(far);
                        stage(&near).unwrap_err()
                    };
                    assert!(
                        is_gone(&error),
                        "{name}, it waits: {waits}, half closed: {half_closed}: {error}"
                    );
                }
            }
        }
        assert_eq!((settled(), descriptors()), before);
    });
}

#[test]
fn connection_that_is_reset_before_it_is_accepted_harms_no_other() {
    alone(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        reset(TcpStream::connect(address).unwrap());
        let mut good = TcpStream::connect(address).unwrap();
        good.write_all(b"x").unwrap();
        good.shutdown(Shutdown::Write).unwrap();
        // Systems either drop the first one or give it to us with its error.
        let mut read = Vec::new();
        loop {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            match stream.read_to_end(&mut read) {
                Err(error) => assert!(is_gone(&error)),
                Ok(_) if read.is_empty() => {}
                Ok(_) => break,
            }
        }
        assert_eq!(read, b"x");
    });
}

#[test]
fn peer_that_drips_meets_each_reads_limit_and_not_the_scopes() {
    alone(|| {
        let (mut near, mut far) = pair();
        let drip = spawn(move || {
            while far.write_all(b"x").is_ok() {
                sleep(Duration::from_millis(2));
            }
        });
        near.set_read_timeout(Some(LONG)).unwrap();
        near.read_exact(&mut [0; 5]).unwrap();
        // A limit of the read is new for every byte; a scope's is not.
        let seen = Cell::new(0);
        let late = with_timeout(Duration::from_millis(40), || {
            loop {
                near.read_exact(&mut [0; 1]).unwrap();
                seen.set(seen.get() + 1);
            }
        });
        assert!(late.is_err() && seen.get() > 0);
        near.read_exact(&mut [0; 2]).unwrap();
        drop(near);
        drip.get().unwrap();
    });
}

#[test]
fn peer_that_never_reads_keeps_one_greenlet_only() {
    alone(|| {
        let before = (settled(), descriptors());
        let (near, far) = pair();
        let near = Rc::new(near);
        let writer = parked({
            let near = near.clone();
            move || (&*near).write_all(&vec![1; 32 << 20])
        });
        // The other direction continues.
        (&far).write_all(b"hello").unwrap();
        let mut buffer = [0; 5];
        (&*near).read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"hello");
        writer.kill();
        assert!(writer.dead());
        // Some of it is there, and nothing after it.
        near.shutdown(Shutdown::Write).unwrap();
        let mut read = Vec::new();
        (&far).read_to_end(&mut read).unwrap();
        assert!(!read.is_empty() && read.len() < 32 << 20);
        drop((writer, near, far));
        assert_eq!((settled(), descriptors()), before);
    });
}

#[test]
fn each_side_may_close_its_half_first() {
    alone(|| {
        for first in [true, false] {
            let (near, far) = pair();
            let (one, mut other) = if first { (near, far) } else { (far, near) };
            one.shutdown(Shutdown::Write).unwrap();
            assert_eq!(other.read(&mut [0; 8]).unwrap(), 0);
            other.write_all(b"still here").unwrap();
            other.shutdown(Shutdown::Write).unwrap();
            let mut text = String::new();
            (&one).read_to_string(&mut text).unwrap();
            assert_eq!(text, "still here");
            assert_eq!((&one).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn halves_end_their_directions() {
    alone(|| {
        let before = (settled(), descriptors());
        let (near, mut far) = pair();
        let count = descriptors();
        let (mut reading, mut writing) = near.into_split();
        assert_eq!(descriptors(), count, "halves share the descriptor");
        assert_eq!(reading.peer_addr().unwrap(), writing.peer_addr().unwrap());
        let reader = parked(move || {
            let mut text = String::new();
            reading.read_to_string(&mut text).unwrap();
            (text, reading)
        });
        writing.write_all(b"all").unwrap();
        drop(writing);
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "all");
        far.write_all(b"answer").unwrap();
        drop(far);
        let (text, reading) = reader.take().unwrap();
        assert_eq!(text, "answer");
        drop((reader, reading));
        assert_eq!((settled(), descriptors()), before);
    });
}

#[test]
fn halves_of_one_stream_reunite_and_others_come_back() {
    alone(|| {
        let (near, mut far) = pair();
        let (reading, writing) = near.into_split();
        let (other_reading, other_writing) = pair().0.into_split();
        let error = reading.reunite(other_writing).unwrap_err();
        assert_eq!(error.to_string(), "the halves belong to different streams");
        let (reading, other_writing) = (error.0, error.1);
        other_writing.reunite(other_reading).unwrap();
        let mut near = writing.reunite(reading).unwrap();
        // Reuniting has told the other side nothing, and neither does forgetting.
        let (reading, writing) = near.into_split();
        writing.forget();
        far.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(far.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        far.write_all(b"ok").unwrap();
        near = reading.try_clone().unwrap();
        drop(reading);
        near.read_exact(&mut [0; 2]).unwrap();
        near.into_std().unwrap();
    });
}

#[test]
fn clones_share_a_descriptor_that_std_gets_only_alone() {
    alone(|| {
        let (near, _far) = pair();
        let count = descriptors();
        let clone = near.try_clone().unwrap();
        assert_eq!(descriptors(), count);
        assert_eq!(near.into_std().unwrap_err().kind(), ErrorKind::ResourceBusy);
        clone.into_std().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clone = listener.try_clone().unwrap();
        assert_eq!(listener.into_std().unwrap_err().kind(), ErrorKind::ResourceBusy);
        let _client = TcpStream::connect(clone.local_addr().unwrap()).unwrap();
        clone.accept().unwrap();
    });
}

#[test]
fn nonblocking_handle_waits_for_nothing() {
    alone(|| {
        let (near, far) = pair();
        let patient = near.try_clone().unwrap();
        near.set_nonblocking(true).unwrap();
        let would_block = |result: io::Result<usize>| result.unwrap_err().kind() == ErrorKind::WouldBlock;
        assert!(would_block((&near).read(&mut [0; 8])));
        assert!(would_block(near.peek(&mut [0; 8])));
        let mut sent = 0;
        let full = loop {
            match (&near).write(&[0; 65536]) {
                Ok(written) => sent += written,
                Err(error) => break error,
            }
            // More than the system's buffers take; a budget of operations ends in a yield.
            assert!(sent < 1 << 30);
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        assert!(sent > 0);
        // The clone still waits.
        let reader = parked(move || (&patient).read(&mut [0; 8]).unwrap());
        (&far).write_all(b"abc").unwrap();
        assert_eq!(reader.get().unwrap(), 3);
        near.set_nonblocking(false).unwrap();
        near.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!((&near).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap();
    });
}

#[test]
fn deadline_of_a_connect_is_shared_by_its_addresses() {
    alone(|| {
        let Some((silent, _socket, _taken)) = silent() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let answering = listener.local_addr().unwrap();
        let before = (settled(), descriptors());
        // The one that does not answer leaves time for the one that does.
        let addresses = [silent, answering];
        let limit = Duration::from_millis(400);
        let start = Instant::now();
        let stream = TcpStream::connect_timeout(&addresses[..], start + limit).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), answering);
        assert!(start.elapsed() >= limit / 2);
        drop(stream);
        let start = Instant::now();
        let error = TcpStream::connect_timeout(&[silent; 3][..], start + limit / 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= limit / 4);
        // A deadline that has passed still tries, and does not wait.
        TcpStream::connect_timeout(silent, Instant::now()).unwrap_err();
        let none: &[net::SocketAddr] = &[];
        let error = TcpStream::connect_timeout(none, Instant::now() + LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!((settled(), descriptors()), before);
    });
}

#[test]
fn close_ends_the_waits_of_every_handle() {
    alone(|| {
        let before = (settled(), descriptors());
        let (near, mut far) = pair();
        let (reading, writing) = near.try_clone().unwrap().into_split();
        fill(&near);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let receiving = socket.try_clone().unwrap();
        let order = Rc::new(RefCell::new(Vec::new()));
        let log = |word: &'static str| {
            let order = order.clone();
            move |error: io::Error| {
                order.borrow_mut().push(word);
                error.raw_os_error()
            }
        };
        let (first, second, third) = (log("reader"), log("writer"), log("receiver"));
        let waiting = [
            parked(move || first((&*reading).read(&mut [0; 8]).unwrap_err())),
            parked(move || second((&*writing).write(&[0; 8]).unwrap_err())),
            parked(move || third(receiving.recv_from(&mut [0; 8]).unwrap_err())),
        ];
        near.close();
        socket.close();
        order.borrow_mut().push("closer");
        for greenlet in &waiting {
            assert_eq!(greenlet.get().unwrap(), Some(EBADF));
        }
        assert_eq!(*order.borrow(), ["closer", "reader", "writer", "receiver"]);
        for result in [
            socket.recv(&mut [0; 8]),
            socket.peek(&mut [0; 8]),
            socket.send_to(b"x", "127.0.0.1:9"),
            socket.wait_readable().map(|()| 0),
            near.peek(&mut [0; 8]),
        ] {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(EBADF));
        }
        // What was sent before is still delivered, and then the end.
        assert!(io::copy(&mut far, &mut io::sink()).unwrap() > 0);
        drop((waiting, near, socket, far));
        assert_eq!((settled(), descriptors()), before);
    });
}

/// A connection by way of a greenlet that copies both ways: the client's end, the server's, and the
/// greenlet.
fn forwarded() -> (TcpStream, TcpStream, Greenlet<io::Result<(u64, u64)>>) {
    let ((client, near), (out, server)) = (pair(), pair());
    (client, server, spawn(move || copy_bidirectional(&near, &out)))
}

#[test]
fn copying_both_ways_carries_half_closes() {
    alone(|| {
        let before = (settled(), descriptors());
        for client_first in [true, false] {
            let (client, server, copying) = forwarded();
            let (mut one, mut other) = if client_first { (client, server) } else { (server, client) };
            let data: Vec<u8> = (0..3 << 20).map(|at| (at % 251) as u8).collect();
            let sender = spawn({
                let (mut one, data) = (one.try_clone().unwrap(), data.clone());
                move || {
                    one.write_all(&data).unwrap();
                    one.shutdown(Shutdown::Write).unwrap();
                }
            });
            let mut got = Vec::new();
            other.read_to_end(&mut got).unwrap();
            assert!(got == data, "what arrives is what was sent");
            sender.get().unwrap();
            assert!(!copying.ready(), "the other direction is still open");
            other.write_all(b"thanks").unwrap();
            drop(other);
            let mut text = String::new();
            one.read_to_string(&mut text).unwrap();
            assert_eq!(text, "thanks");
            let (there, back) = copying.take().unwrap().unwrap();
            let (sent, answered) = if client_first { (there, back) } else { (back, there) };
            assert_eq!((sent, answered), (data.len() as u64, 6));
        }
        assert_eq!((settled(), descriptors()), before);
    });
}

#[test]
fn reset_on_one_side_ends_the_copying_of_both() {
    alone(|| {
        let before = (settled(), descriptors());
        let (client, mut server, copying) = forwarded();
        (&client).write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        reset(client);
        let error = copying.take().unwrap().unwrap_err();
        assert!(is_gone(&error), "{error}");
        drop(copying);
        // Its streams went with the greenlet that had them.
        assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
        drop(server);
        assert_eq!((settled(), descriptors()), before);
    });
}

#[test]
fn killed_copying_leaves_the_streams_to_their_owner() {
    alone(|| {
        let ((client, near), (out, mut server)) = (pair(), pair());
        let (near, out) = (Rc::new(near), Rc::new(out));
        let copying = parked({
            let (near, out) = (near.clone(), out.clone());
            move || copy_bidirectional(&*near, &*out).unwrap()
        });
        (&client).write_all(b"before").unwrap();
        server.read_exact(&mut [0; 6]).unwrap();
        copying.kill();
        assert!(copying.dead());
        (&client).write_all(b"after").unwrap();
        let mut buffer = [0; 5];
        (&*near).read_exact(&mut buffer).unwrap();
        (&*out).write_all(&buffer).unwrap();
        server.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"after");
    });
}
