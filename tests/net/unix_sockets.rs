//! Unix sockets behave as std's do, and wait without blocking the thread.
#![cfg(unix)]

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::ops::Deref;
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ramie::io::copy_bidirectional;
use ramie::net::{TcpListener, TcpStream};
use ramie::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use ramie::{select, sleep, spawn, with_timeout};

use crate::util::footprint::settled;
use crate::util::sleepers::parked;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const EBADF: i32 = 9;

/// A path where nothing is, and nothing will be when this is dropped.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ramie-unix-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Place(std::env::temp_dir().join(name))
    }
}

impl Deref for Place {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Not every test has put something there.
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn lines_and_copies_work_on_a_stream() {
    within(LIMIT, || {
        let before = settled();
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*place));
        let server = parked(move || {
            let (stream, peer) = listener.accept().unwrap();
            assert!(peer.is_unnamed());
            io::copy(&mut &stream, &mut &stream).unwrap()
        });
        let stream = UnixStream::connect(&place).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*place));
        assert!(stream.local_addr().unwrap().is_unnamed());
        (&stream).write_all(b"one\ntwo\nthree").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let lines: Vec<String> = BufReader::new(&stream).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two", "three"]);
        assert_eq!(server.get().unwrap(), 13);
        drop(stream);
        assert_eq!(settled(), before);
    });
}

#[test]
fn paths_that_are_taken_empty_or_left_say_so() {
    within(LIMIT, || {
        let place = Place::new();
        assert_eq!(UnixStream::connect(&place).unwrap_err().kind(), ErrorKind::NotFound);
        let listener = UnixListener::bind(&place).unwrap();
        assert_eq!(UnixListener::bind(&place).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(UnixDatagram::bind(&place).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        // As with std the file stays, and no server listens there.
        assert_eq!(UnixStream::connect(&place).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let (one, _other) = std_unix::UnixStream::pair().unwrap();
        let nameless = one.local_addr().unwrap();
        assert_eq!(UnixStream::connect_addr(&nameless).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(UnixStream::connect("x".repeat(500)).unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn addresses_are_as_good_as_paths() {
    within(LIMIT, || {
        let (place, other) = (Place::new(), Place::new());
        let address = SocketAddr::from_pathname(&*place).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let _stream = UnixStream::connect_addr(&address).unwrap();
        listener.accept().unwrap();
        let address = SocketAddr::from_pathname(&*other).unwrap();
        let far = UnixDatagram::bind_addr(&address).unwrap();
        let near = UnixDatagram::unbound().unwrap();
        near.send_to_addr(b"one", &address).unwrap();
        near.connect_addr(&address).unwrap();
        near.send(b"three").unwrap();
        assert_eq!([far.recv(&mut [0; 8]).unwrap(), far.recv(&mut [0; 8]).unwrap()], [3, 5]);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_leave_no_file() {
    use std::os::linux::net::SocketAddrExt;

    within(LIMIT, || {
        let name = format!("ramie\0{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        let stream = UnixStream::connect_addr(&address).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        listener.accept().unwrap();
        drop(listener);
        assert_eq!(UnixStream::connect_addr(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn pair_is_a_stream_of_two_directions() {
    within(LIMIT, || {
        let (near, far) = UnixStream::pair().unwrap();
        let far = Rc::new(far);
        let reader = parked({
            let far = far.clone();
            move || {
                let mut data = Vec::new();
                (&*far).read_to_end(&mut data).unwrap();
                data
            }
        });
        let writer = spawn(move || (&*far).write_all(&vec![1; 1 << 20]).unwrap());
        let (mut reading, mut writing) = near.into_split();
        let size = spawn(move || io::copy(&mut reading, &mut io::sink()).unwrap());
        writing.write_all(&vec![2; 1 << 20]).unwrap();
        writer.get().unwrap();
        drop(writing);
        assert!(reader.get().unwrap() == vec![2; 1 << 20]);
        drop((reader, writer));
        assert_eq!(size.get().unwrap(), 1 << 20);
    });
}

#[test]
fn peek_and_vectored_operations_work() {
    within(LIMIT, || {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        assert_eq!(far.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")]).unwrap(), 5);
        let mut buffer = [0; 8];
        for _ in 0..2 {
            assert_eq!(near.peek(&mut buffer).unwrap(), 5);
        }
        let (mut left, mut right) = ([0; 3], [0; 8]);
        let read = near.read_vectored(&mut [IoSliceMut::new(&mut left), IoSliceMut::new(&mut right)]);
        assert_eq!((read.unwrap(), left, &right[..2]), (5, *b"abc", &b"de"[..]));
        let waiter = parked(move || near.peek(&mut buffer).unwrap());
        drop(far);
        assert_eq!(waiter.get().unwrap(), 0);
    });
}

#[test]
fn connect_waits_for_a_place_in_the_backlog() {
    within(LIMIT, || {
        let before = settled();
        let place = Place::new();
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(&place).unwrap()).unwrap();
        socket.listen(1).unwrap();
        let clients: Vec<_> = (0..20)
            .map(|client: u8| {
                let path = place.to_owned();
                spawn(move || {
                    let mut stream = UnixStream::connect(path).unwrap();
                    stream.write_all(&[client]).unwrap();
                    stream.read(&mut [0; 8]).unwrap()
                })
            })
            .collect();
        sleep(SHORT);
        // Clients that wait let others run, and no client is refused.
        let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into()).unwrap();
        let mut seen: Vec<u8> = (&listener)
            .into_iter()
            .take(20)
            .map(|stream| {
                let mut byte = [0];
                stream.unwrap().read_exact(&mut byte).unwrap();
                byte[0]
            })
            .collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..20));
        for client in clients {
            assert_eq!(client.get().unwrap(), 0);
        }
        drop(listener);
        assert_eq!(settled(), before);
    });
}

#[test]
fn backlog_is_long_unless_it_is_told_otherwise() {
    within(LIMIT, || {
        let connected = |listener: UnixListener, path: &Path| {
            let count = (0..300)
                .map_while(|_| with_timeout(SHORT, || UnixStream::connect(path).unwrap()).ok())
                .collect::<Vec<_>>();
            (count.len(), listener)
        };
        let (place, short) = (Place::new(), Place::new());
        let (count, _listener) = connected(UnixListener::bind(&place).unwrap(), &place);
        assert!(count == 300 || !cfg!(target_os = "linux"), "{count}");
        let (count, _listener) = connected(UnixListener::bind_with_backlog(&short, 1).unwrap(), &short);
        assert!((1..10).contains(&count), "{count}");
    });
}

#[test]
fn listener_is_a_part_in_a_selection() {
    within(LIMIT, || {
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        let refused = select! {
            recv(listener) -> stream => stream.is_err(),
            default(SHORT) => true,
        };
        assert!(refused);
        let path = place.to_owned();
        let client = spawn(move || UnixStream::connect(path).unwrap());
        let (stream, _) = select! {
            recv(listener) -> stream => stream.unwrap(),
        };
        drop(stream);
        assert_eq!(client.take().unwrap().read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn datagrams_carry_their_senders_address() {
    within(LIMIT, || {
        let (place, named) = (Place::new(), Place::new());
        let server = UnixDatagram::bind(&place).unwrap();
        let serving = parked(move || {
            let mut buffer = [0; 100];
            let (length, peer) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..length], peer.as_pathname().unwrap()).unwrap();
            let (length, peer) = server.recv_from(&mut buffer).unwrap();
            (length, peer.is_unnamed())
        });
        let client = UnixDatagram::bind(&named).unwrap();
        client.send_to(b"hello", &place).unwrap();
        let mut buffer = [0; 100];
        let (length, peer) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], peer.as_pathname()), (&b"hello"[..], Some(&*place)));
        UnixDatagram::unbound().unwrap().send_to(b"anonymous", &place).unwrap();
        assert_eq!(serving.get().unwrap(), (9, true));
    });
}

#[test]
fn datagram_to_a_full_queue_waits_and_none_is_lost() {
    within(LIMIT, || {
        const COUNT: u32 = 600;
        let before = settled();
        for connected in [true, false] {
            let place = Place::new();
            let far = UnixDatagram::bind(&place).unwrap();
            let near = UnixDatagram::unbound().unwrap();
            if connected {
                near.connect(&place).unwrap();
            }
            let path = place.to_owned();
            let sender = parked(move || {
                for number in 0..COUNT {
                    let data = number.to_le_bytes();
                    let sent = if connected { near.send(&data) } else { near.send_to(&data, &path) };
                    assert_eq!(sent.unwrap(), 4);
                }
            });
            for number in 0..COUNT {
                let mut buffer = [0; 8];
                assert_eq!(far.recv(&mut buffer).unwrap(), 4);
                assert_eq!(buffer[..4], number.to_le_bytes());
                if number % 100 == 0 {
                    // The sender is ahead of us again.
                    sleep(Duration::from_millis(2));
                }
            }
            sender.get().unwrap();
        }
        assert_eq!(settled(), before);
    });
}

#[test]
fn full_queue_is_timed_out_or_would_block() {
    within(LIMIT, || {
        let place = Place::new();
        let far = UnixDatagram::bind(&place).unwrap();
        let near = UnixDatagram::unbound().unwrap();
        near.set_nonblocking(true).unwrap();
        let error = loop {
            if let Err(error) = near.send_to(b"x", &place) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        near.set_nonblocking(false).unwrap();
        near.set_write_timeout(Some(SHORT)).unwrap();
        let start = Instant::now();
        assert_eq!(near.send_to(b"x", &place).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        far.recv(&mut [0; 8]).unwrap();
        near.send_to(b"x", &place).unwrap();
        // Its end is an error for a sender that waits for room.
        near.set_write_timeout(None).unwrap();
        let path = place.to_owned();
        let sender = parked(move || near.send_to(b"x", path).unwrap_err().kind());
        drop(far);
        assert_eq!(sender.get().unwrap(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn datagrams_are_cut_off_empty_or_too_long() {
    within(LIMIT, || {
        let (near, far) = UnixDatagram::pair().unwrap();
        far.send(b"too long").unwrap();
        far.send(b"").unwrap();
        far.send(b"next").unwrap();
        let mut buffer = [0; 3];
        assert_eq!((near.recv(&mut buffer).unwrap(), &buffer), (3, b"too"));
        assert_eq!(near.recv(&mut buffer).unwrap(), 0);
        assert_eq!((near.recv(&mut buffer).unwrap(), &buffer), (3, b"nex"));
        // EMSGSIZE has a number of its own everywhere; it is no wait, that is what counts.
        let error = far.send(&vec![0; 64 << 20]).unwrap_err();
        assert!(error.raw_os_error().is_some() && error.kind() != ErrorKind::WouldBlock, "{error}");
        far.send(b"ok").unwrap();
        assert_eq!(near.recv(&mut buffer).unwrap(), 2);
    });
}

#[test]
fn end_of_the_other_socket_is_told() {
    within(LIMIT, || {
        let place = Place::new();
        let far = UnixDatagram::bind(&place).unwrap();
        let near = UnixDatagram::unbound().unwrap();
        near.connect(&place).unwrap();
        drop(far);
        assert_eq!(near.send(b"x").unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let (near, far) = UnixDatagram::pair().unwrap();
        let near = Rc::new(near);
        let waiter = parked({
            let near = near.clone();
            move || near.recv(&mut [0; 8]).unwrap()
        });
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(waiter.get().unwrap(), 0);
        assert_eq!(far.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn close_ends_the_waits_of_every_handle() {
    within(LIMIT, || {
        let before = settled();
        let (place, other) = (Place::new(), Place::new());
        let listener = UnixListener::bind(&place).unwrap();
        let (stream, mut far) = UnixStream::pair().unwrap();
        let (socket, _far_socket) = UnixDatagram::pair().unwrap();
        let full = UnixDatagram::bind(&other).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_write_timeout(Some(SHORT)).unwrap();
        while sender.send_to(b"x", &other).is_ok() {}
        sender.set_write_timeout(None).unwrap();
        let accepting = listener.try_clone().unwrap();
        let reading = stream.try_clone().unwrap();
        let receiving = socket.try_clone().unwrap();
        let (sending, path) = (sender.try_clone().unwrap(), other.to_owned());
        let waiting = [
            parked(move || accepting.accept().unwrap_err().raw_os_error()),
            parked(move || (&reading).read(&mut [0; 8]).unwrap_err().raw_os_error()),
            parked(move || receiving.recv(&mut [0; 8]).unwrap_err().raw_os_error()),
            parked(move || sending.send_to(b"x", path).unwrap_err().raw_os_error()),
        ];
        listener.close();
        stream.close();
        socket.close();
        sender.close();
        assert!(waiting.iter().all(|greenlet| !greenlet.ready()), "they are told in a later turn");
        for greenlet in &waiting {
            assert_eq!(greenlet.get().unwrap(), Some(EBADF));
        }
        assert_eq!(listener.try_accept().unwrap_err().raw_os_error(), Some(EBADF));
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(socket.recv_from(&mut [0; 8]).unwrap_err().raw_os_error(), Some(EBADF));
        drop((waiting, listener, stream, socket, sender, full));
        assert_eq!(settled(), before);
    });
}

#[test]
fn sockets_move_from_std_and_back() {
    within(LIMIT, || {
        let (near, far) = std_unix::UnixStream::pair().unwrap();
        let mut near = UnixStream::try_from(near).unwrap();
        let mut far = UnixStream::from_std(far).unwrap();
        let reader = parked(move || {
            near.read_exact(&mut [0; 2]).unwrap();
            near
        });
        far.write_all(b"ok").unwrap();
        // Registered by now; std's stream blocks again.
        let mut near: std_unix::UnixStream = reader.take().unwrap().try_into().unwrap();
        near.set_read_timeout(Some(SHORT)).unwrap();
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        let socket = UnixDatagram::unbound().unwrap();
        let clone = socket.try_clone().unwrap();
        assert_eq!(socket.into_std().unwrap_err().kind(), ErrorKind::ResourceBusy);
        UnixDatagram::from_std(clone.into_std().unwrap()).unwrap();
    });
}

#[test]
fn copying_both_ways_joins_streams_of_two_kinds() {
    within(LIMIT, || {
        let before = settled();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        let (out, mut server) = UnixStream::pair().unwrap();
        let copying = spawn(move || copy_bidirectional(&near, &out).unwrap());
        let serving = spawn(move || {
            let mut question = String::new();
            server.read_to_string(&mut question).unwrap();
            server.write_all(question.to_uppercase().as_bytes()).unwrap();
        });
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HELLO");
        assert_eq!(copying.get().unwrap(), (5, 5));
        serving.get().unwrap();
        drop((client, listener));
        assert_eq!(settled(), before);
    });
}
