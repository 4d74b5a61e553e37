//! `close` closes: the other side sees it, the address is free, and waiters are told, whatever
//! other handles there are.
#![cfg(unix)]

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net as std_unix;
use std::rc::Rc;
use std::time::Duration;

use ramie::io::{PollFd, Polled, pipe, poll};
use ramie::io::{wait_read, wait_write};
use ramie::net::{TcpListener, TcpStream, UdpSocket};
use ramie::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use ramie::process::{Command, Stdio};
use ramie::server::{DatagramServer, StreamServer};
use ramie::{get_hub, sleep, spawn};

use crate::util::footprint::settled;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const EBADF: i32 = 9;

/// An address at which no other test has sockets.
#[cfg(target_os = "linux")]
const HOST: &str = "127.88.0.1:0";
#[cfg(not(target_os = "linux"))]
const HOST: &str = "127.0.0.1:0";

/// A path where nothing is, and nothing will be.
struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Place(std::env::temp_dir().join(format!("ramie-closing-{name}-{}", std::process::id())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Tries until it goes: a child that another test is just starting has every descriptor until its
/// program runs.
fn at_last<T, E>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(_) => sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn reader_of_a_pipe_sees_that_the_writing_end_was_closed() {
    within(LIMIT, || {
        let before = settled();
        let (reader, writer) = pipe().unwrap();
        let other = writer.try_clone().unwrap();
        (&writer).write_all(b"all").unwrap();
        let reading = parked(move || {
            let mut text = String::new();
            (&reader).read_to_string(&mut text).unwrap();
            text
        });
        writer.close();
        assert_eq!(reading.take().unwrap(), "all");
        assert_eq!((&other).write(b"more").unwrap_err().raw_os_error(), Some(EBADF));
        writer.close();
        assert_eq!(OwnedFd::try_from(other).unwrap_err().raw_os_error(), Some(EBADF));
        drop(writer);
        assert_eq!(settled(), before);
    });
}

#[test]
fn writer_to_a_pipe_is_told_that_the_reading_end_was_closed() {
    within(LIMIT, || {
        let before = settled();
        let (reader, writer) = pipe().unwrap();
        let _other = reader.try_clone().unwrap();
        let writing = parked(move || (&writer).write_all(&[0; 1_000_000]).unwrap_err().kind());
        reader.close();
        assert_eq!(writing.get().unwrap(), ErrorKind::BrokenPipe);
        drop((reader, _other, writing));
        assert_eq!(settled(), before);
    });
}

#[test]
fn child_reads_the_end_of_an_input_that_was_closed() {
    within(LIMIT, || {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let _other = input.try_clone().unwrap();
        (&input).write_all(b"hello").unwrap();
        input.close();
        let mut text = String::new();
        child.stdout.as_ref().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(child.handle().wait().unwrap().success());

        // And a writer gets an error when no peer reads.
        let mut child = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_ref().unwrap().close();
        assert!(!child.wait().unwrap().success());
    });
}

/// Code that has borrowed the descriptor finds a stream that has ended, at a number that no other
/// file has.
#[test]
fn borrowed_descriptor_stays_valid_and_has_ended() {
    within(LIMIT, || {
        let before = settled();
        let (reader, writer) = pipe().unwrap();
        let (reading, writing) = (reader.as_fd(), writer.as_fd());
        let numbers = [reading.as_raw_fd(), writing.as_raw_fd()];
        reader.close();
        writer.close();
        let files: Vec<_> = (0..8).map(|_| File::open("/dev/null").unwrap()).collect();
        assert!(files.iter().all(|file| !numbers.contains(&file.as_raw_fd())));
        assert_eq!(rustix::io::read(reading, &mut [0; 8]).unwrap(), 0);
        assert_eq!(rustix::io::write(writing, b"x").unwrap_err(), rustix::io::Errno::PIPE);
        for fd in [reading, writing] {
            assert!(rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
        drop((reader, writer, files));
        assert_eq!(settled(), before);
    });
}

#[test]
fn who_waits_for_the_bare_descriptor_is_told() {
    within(LIMIT, || {
        let before = settled();
        let (reader, writer) = pipe().unwrap();
        let reader = Rc::new(reader);
        let fired = Rc::new(Cell::new(0));
        let watcher = get_hub().io(reader.clone(), true, false);
        watcher
            .start({
                let fired = fired.clone();
                move || fired.set(fired.get() + 1)
            })
            .unwrap();
        // The number is registered for those, and once more for the reader itself.
        let waiting = [
            parked({
                let reader = reader.clone();
                move || wait_read(&*reader, None).unwrap()
            }),
            parked({
                let reader = reader.clone();
                move || {
                    let mut fds = [PollFd::readable(&*reader)];
                    assert_eq!(poll(&mut fds, None).unwrap(), 1);
                    assert!(fds[0].is_hangup());
                }
            }),
            parked({
                let reader = reader.clone();
                move || assert_eq!((&*reader).read(&mut [0]).unwrap_err().raw_os_error(), Some(EBADF))
            }),
        ];
        reader.close();
        waiting.iter().for_each(|greenlet| greenlet.get().unwrap());
        // One that comes later is told too, and nothing of the old registrations is left to confuse
        // it.
        wait_read(&*reader, None).unwrap();
        wait_write(&*reader, None).unwrap();
        while fired.get() == 0 {
            sleep(Duration::from_millis(1));
        }
        watcher.stop();
        assert_eq!((&writer).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        drop((watcher, waiting, reader, writer));
        assert_eq!(settled(), before);
    });
}

#[test]
fn closed_udp_socket_gives_its_port_back() {
    within(LIMIT, || {
        let before = settled();
        let socket = UdpSocket::bind(HOST).unwrap();
        let address = socket.local_addr().unwrap();
        let other = socket.try_clone().unwrap();
        let receiving = parked(move || other.recv(&mut [0; 8]).unwrap_err().raw_os_error());
        let peer = UdpSocket::bind(HOST).unwrap();
        peer.connect(address).unwrap();
        socket.close();
        drop(at_last(|| net::UdpSocket::bind(address)));
        let answer = peer.send(b"is a peer there?").and_then(|_| peer.recv(&mut [0; 8]));
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(receiving.get().unwrap(), Some(EBADF));
        for error in [
            socket.local_addr().unwrap_err(),
            socket.connect(address).unwrap_err(),
            socket.take_error().unwrap_err(),
            socket.send_to(b"x", address).unwrap_err(),
        ] {
            assert_eq!(error.raw_os_error(), Some(EBADF));
        }
        drop((socket, peer, receiving));
        assert_eq!(settled(), before);
    });
}

#[test]
fn closed_datagram_server_gives_its_port_back() {
    within(LIMIT, || {
        let server = DatagramServer::bind(HOST, |_data, _peer| {}).unwrap();
        let address = server.address().unwrap();
        server.start().unwrap();
        let serving = spawn({
            let server = server.clone();
            move || server.serve_forever()
        });
        sleep(Duration::from_millis(1));
        server.close();
        at_last(|| net::UdpSocket::bind(address));
        serving.take().unwrap().unwrap();
        assert!(server.closed() && server.address().is_err());
    });
}

#[test]
fn closed_listener_gives_its_port_back_and_refuses_who_waited() {
    within(LIMIT, || {
        let before = settled();
        let listener = TcpListener::bind(HOST).unwrap();
        let address = listener.local_addr().unwrap();
        let other = listener.try_clone().unwrap();
        let mut early = TcpStream::connect(address).unwrap();
        listener.close();
        assert_eq!(early.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        // Not even a bound socket is left, which would be in the way of one that does not ask to
        // share.
        at_last(|| socket.bind(&address.into()));
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(other.accept().unwrap_err().raw_os_error(), Some(EBADF));
        drop((listener, other, early, socket));

        let server = StreamServer::bind(HOST, |_stream, _peer| {}).unwrap();
        let address = server.address().unwrap();
        server.start().unwrap();
        server.close();
        at_last(|| TcpStream::connect(address).err().ok_or("a connection"));
        drop(server);
        assert_eq!(settled(), before);
    });
}

#[test]
fn closed_unix_sockets_are_gone_for_their_peers() {
    within(LIMIT, || {
        let before = settled();
        let place = Place::new("listener");
        let listener = UnixListener::bind(&place.0).unwrap();
        let other = listener.try_clone().unwrap();
        let mut early = UnixStream::connect(&place.0).unwrap();
        let waiting = parked(move || early.read(&mut [0]).map_err(|error| error.kind()));
        listener.close();
        assert!(matches!(waiting.get().unwrap(), Ok(0) | Err(ErrorKind::ConnectionReset)));
        let refused = at_last(|| UnixStream::connect(&place.0).err().ok_or("a connection"));
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(other.try_accept().unwrap_err().raw_os_error(), Some(EBADF));

        let place = Place::new("datagram");
        let socket = UnixDatagram::bind(&place.0).unwrap();
        let _other = socket.try_clone().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"x", &place.0).unwrap();
        sender.connect(&place.0).unwrap();
        // The queue is full, and then gone.
        let sending = parked(move || while sender.send(b"x").is_ok() {});
        socket.close();
        sending.get().unwrap();
        let late = UnixDatagram::unbound().unwrap();
        assert_eq!(late.send_to(b"x", &place.0).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop((listener, other, waiting, socket, _other, sending, late));
        assert_eq!(settled(), before);
    });
}

/// A wrapper may hold a descriptor of other code, so only its operations end.
#[test]
fn closed_wrapper_leaves_what_it_has_borrowed() {
    within(LIMIT, || {
        let (mut near, far) = std_unix::UnixStream::pair().unwrap();
        let polled = Polled::new(&far).unwrap();
        polled.close();
        assert_eq!((&polled).read(&mut [0]).unwrap_err().raw_os_error(), Some(EBADF));
        near.write_all(b"x").unwrap();
        (&far).read_exact(&mut [0]).unwrap();
    });
}

/// A regular file is always ready, wherever it is asked for.
#[test]
fn what_cannot_be_polled_is_always_ready() {
    within(LIMIT, || {
        let before = settled();
        let file = Rc::new(File::open("Cargo.toml").unwrap());
        wait_read(&*file, None).unwrap();
        wait_write(&*file, Some(Duration::from_millis(1))).unwrap();
        assert_eq!(poll(&mut [PollFd::both(&*file)], None).unwrap(), 1);
        Polled::new(file.clone()).unwrap().wait_readable().unwrap();
        let fired = Rc::new(Cell::new(0));
        let watcher = get_hub().io(file.clone(), true, false);
        let count = fired.clone();
        watcher.start(move || count.set(count.get() + 1)).unwrap();
        while fired.get() < 3 {
            sleep(Duration::from_millis(1));
        }
        watcher.stop();
        let last = fired.get();
        sleep(Duration::from_millis(2));
        assert_eq!(fired.get(), last);
        drop(watcher);
        assert_eq!(settled(), before);
    });
}
