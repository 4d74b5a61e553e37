//! gevent's tests of `select` and `poll` (`test__select.py`, `test__selectors.py`), restated; and
//! what `poll` says beside them.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::idle;
use ramie::io::{PollFd, pipe, poll};
use ramie::net::{TcpListener, TcpStream, UdpSocket};
use ramie::{sleep, spawn, yield_now};

use crate::util::footprint::settled;
use crate::util::generic_waits::{outer_timeout_is_not_lost, returns_after_its_timeout};
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(10);

/// gevent's WAIT battery.
fn wait_battery(operation: impl Fn(Duration)) {
    let before = settled();
    returns_after_its_timeout(&operation);
    outer_timeout_is_not_lost(&operation);
    assert_eq!(settled(), before);
}

/// gevent: `TestSelect`, WAIT.
#[test]
fn polling_nothing_passes_the_wait_battery() {
    within(LIMIT, || wait_battery(|limit| assert_eq!(poll(&mut [], Some(limit)).unwrap(), 0)));
}

/// gevent: `TestSelectRead`, `TestPollRead`, WAIT.
#[test]
fn polling_an_idle_pipe_passes_the_wait_battery() {
    within(LIMIT, || {
        wait_battery(|limit| {
            let (reader, _writer) = pipe().unwrap();
            assert_eq!(poll(&mut [PollFd::readable(&reader)], Some(limit)).unwrap(), 0);
        });
    });
}

/// gevent: `TestPossibleCrashes::test_closing_object_while_selecting`,
/// `test_closing_object_while_polling`.
#[test]
fn socket_that_is_closed_while_it_is_polled_is_reported() {
    within(LIMIT, || {
        let before = settled();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let closing = stream.try_clone().unwrap();
        spawn(move || closing.close());
        let mut fds = [PollFd::readable(&stream)];
        for _ in 0..2 {
            assert_eq!(poll(&mut fds, Some(LONG)).unwrap(), 1);
            assert!(fds[0].is_readable() && fds[0].is_ready());
        }
        // Also one that was never connected, and one that is closed beforehand.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let closing = socket.try_clone().unwrap();
        spawn(move || closing.close());
        poll(&mut [PollFd::readable(&socket)], Some(SHORT)).unwrap();
        poll(&mut [PollFd::readable(&socket)], Some(SHORT)).unwrap();
        drop((stream, socket, listener));
        assert_eq!(settled(), before);
    });
}

/// gevent: `GeventSelectorTest::test_select_using_socketpair`.
#[test]
fn poller_of_one_greenlet_answers_another() {
    within(LIMIT, || {
        let (server, mut client) = UnixStream::pair().unwrap();
        let selecting = parked(move || {
            assert_eq!(poll(&mut [PollFd::readable(&server)], Some(LONG)).unwrap(), 1);
            let mut buffer = [0; 100];
            let length = (&server).read(&mut buffer).unwrap();
            (&server).write_all(&buffer[..length]).unwrap();
        });
        client.write_all(b"abcdef").unwrap();
        let mut buffer = [0; 6];
        ramie::io::wait_read(&client, None).unwrap();
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"abcdef");
        selecting.get().unwrap();
    });
}

/// gevent: `GeventSelectorTest::test_select_many_sockets`.
#[test]
fn all_that_are_ready_are_found_at_once() {
    within(LIMIT, || {
        let pairs: Vec<_> = (0..10).map(|_| UnixStream::pair().unwrap()).collect();
        for (number, (_, client)) in pairs.iter().enumerate() {
            { client }.write_all(&[number as u8]).unwrap();
        }
        idle();
        let mut servers: Vec<_> = pairs.iter().map(|(server, _)| PollFd::readable(server)).collect();
        assert_eq!(poll(&mut servers, Some(Duration::ZERO)).unwrap(), 10);
        assert!(servers.iter().all(PollFd::is_readable));
        for (server, _) in &pairs {
            let mut byte = [0];
            { server }.read_exact(&mut byte).unwrap();
            { server }.write_all(&byte).unwrap();
        }
        let mut clients: Vec<_> = pairs.iter().map(|(_, client)| PollFd::readable(client)).collect();
        assert_eq!(poll(&mut clients, Some(LONG)).unwrap(), 10);
        for (number, (_, client)) in pairs.iter().enumerate() {
            let mut byte = [0];
            { client }.read_exact(&mut byte).unwrap();
            assert_eq!(usize::from(byte[0]), number);
        }
    });
}

/// As gevent's `select`: what is ready already, and a timeout of zero, are one yield.
#[test]
fn poll_that_need_not_wait_yields_once() {
    within(LIMIT, || {
        let (near, mut far) = UnixStream::pair().unwrap();
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let other = spawn(move || {
            loop {
                count.set(count.get() + 1);
                yield_now();
            }
        });
        assert_eq!(poll(&mut [PollFd::readable(&near)], Some(Duration::ZERO)).unwrap(), 0);
        assert_eq!(turns.get(), 1);
        far.write_all(b"x").unwrap();
        assert_eq!(poll(&mut [PollFd::readable(&near)], None).unwrap(), 1);
        assert_eq!(turns.get(), 2);
        other.kill();
    });
}

#[test]
fn each_descriptor_says_what_was_found() {
    within(LIMIT, || {
        let before = settled();
        let (near, far) = UnixStream::pair().unwrap();
        let mut fds = [PollFd::readable(&near), PollFd::writable(&near), PollFd::both(&near)];
        assert_eq!(poll(&mut fds, None).unwrap(), 2);
        let found = fds.clone().map(|fd| (fd.is_ready(), fd.is_readable(), fd.is_writable(), fd.is_hangup()));
        assert_eq!(
            found,
            [(false, false, false, false), (true, false, true, false), (true, false, true, false)]
        );
        // Full, and the other side has ended.
        near.set_nonblocking(true).unwrap();
        while (&near).write(&[0; 65536]).is_ok() {}
        let mut fds = [PollFd::both(&near), PollFd::readable(&near)];
        assert_eq!(poll(&mut fds, Some(SHORT)).unwrap(), 0);
        let ending = parked(move || {
            yield_now();
            far.shutdown(Shutdown::Write).unwrap();
            far
        });
        assert_eq!(poll(&mut fds, Some(LONG)).unwrap(), 2);
        assert!(fds[0].is_readable() && !fds[0].is_writable() && !fds[0].is_error() && fds[1].is_readable());
        drop(ending.take().unwrap());
        assert!(poll(&mut fds, None).unwrap() == 2 && fds[0].is_hangup());
        drop((ending, near));
        assert_eq!(settled(), before);
    });
}

#[test]
fn broken_pipe_and_regular_file_are_ready() {
    within(LIMIT, || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut fds = [PollFd::writable(&writer)];
        assert_eq!(poll(&mut fds, None).unwrap(), 1);
        assert!(fds[0].is_writable() && fds[0].is_error());
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        let (idle, _held) = pipe().unwrap();
        let mut fds = [PollFd::readable(&idle), PollFd::both(&file)];
        assert_eq!(poll(&mut fds, None).unwrap(), 1);
        assert!(!fds[0].is_ready() && fds[1].is_readable() && fds[1].is_writable());
    });
}

#[test]
fn what_somebody_else_took_is_waited_for_again() {
    within(LIMIT, || {
        let (near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = Rc::new(near);
        // Told in the same turn and before the poll: what was there is gone when the poll looks.
        let thief = parked({
            let near = near.clone();
            move || {
                ramie::io::wait_read(&*near, None).unwrap();
                (&*near).read(&mut [0; 8]).unwrap()
            }
        });
        let polling = parked({
            let near = near.clone();
            move || poll(&mut [PollFd::readable(&*near)], None).unwrap()
        });
        far.write_all(b"x").unwrap();
        assert_eq!(thief.get().unwrap(), 1);
        sleep(SHORT);
        assert!(!polling.ready());
        far.write_all(b"y").unwrap();
        assert_eq!(polling.get().unwrap(), 1);
    });
}
