//! gevent's tests of sockets (`test__socket.py`, `test__socket_close.py`, `test__socket_errors.py`,
//! `test__socket_ex.py`, `test__socket_timeout.py`, `test__socketpair.py`), restated.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{self, Shutdown};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::net::{TcpListener, TcpStream};
use ramie::{Greenlet, catch, sleep, spawn, with_timeout, yield_now};

use crate::util::footprint::settled;
use crate::util::saturated_peers::silent;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(10);
const EBADF: i32 = 9;

/// A listener, and a client that is connected to it but not accepted yet.
fn client() -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener, client)
}

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, client) = client();
    (client, listener.accept().unwrap().0)
}

/// Returns the data of a server that accepts one connection and reads it to its end.
fn reading_server(listener: TcpListener) -> Greenlet<Vec<u8>> {
    spawn(move || {
        let mut data = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut data).unwrap();
        data
    })
}

/// Sends with `send` and compares what arrives.
fn sends(data: &[u8], send: impl FnOnce(&TcpStream, &[u8]) -> io::Result<()>) {
    let (listener, client) = client();
    let server = reading_server(listener);
    send(&client, data).unwrap();
    client.shutdown(Shutdown::Both).unwrap();
    drop(client);
    assert!(server.get().unwrap() == data, "what arrives is what was sent");
}

/// gevent: `TestTCP::test_sendall_str`, `test_sendall_array`, `test_sendall_empty`,
/// `..._with_timeout`, `test_sendall_nonblocking`, `test_empty_send`.
#[test]
fn all_that_is_sent_arrives() {
    within(LIMIT, || {
        let numbers = (0..20_000).map(|number: u32| number.to_string()).collect::<Vec<_>>();
        let long = numbers.join(", ").into_bytes();
        assert!(long.len() > 100_000);
        sends(&long, |mut client, data| client.write_all(data));
        sends(b"", |mut client, data| client.write_all(data));
        sends(b"", |mut client, data| {
            client.set_write_timeout(Some(LONG))?;
            client.set_read_timeout(Some(LONG))?;
            client.write_all(data)
        });
        sends(b"hi\n", |mut client, data| {
            client.set_nonblocking(true)?;
            client.write_all(data)
        });
        sends(b"", |mut client, data| client.write(data).map(|sent| assert_eq!(sent, 0)));
    });
}

/// gevent: `TestTCP::test_fullduplex`.
#[test]
fn reading_goes_on_while_the_same_socket_is_written() {
    within(LIMIT, || {
        const SIZE: usize = 100_000;
        let (listener, client) = client();
        let server = spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let sending = stream.try_clone().unwrap();
            let sender = spawn(move || (&sending).write_all(&[b't'; SIZE]));
            let mut buffer = [0; 1000];
            let length = (&stream).read(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"hello world");
            // The client may have gone without reading it all.
            drop(sender.take().unwrap());
        });
        let file = client.try_clone().unwrap();
        let reader = spawn(move || (&file).read_exact(&mut vec![0; SIZE]));
        sleep(SHORT);
        (&client).write_all(b"hello world").unwrap();
        sleep(SHORT);
        client.close();
        drop(client);
        server.get().unwrap();
        drop(reader.take().unwrap());
    });
}

/// gevent: `TestTCP::test_recv_timeout`; `test__socket_timeout.py`, `Test::test_timeout`.
#[test]
fn receiving_times_out() {
    within(LIMIT, || {
        let (near, _far) = pair();
        near.set_read_timeout(Some(SHORT)).unwrap();
        let start = Instant::now();
        let error = (&near).read(&mut [0; 1024]).unwrap_err();
        assert!(start.elapsed() >= SHORT);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, "timed out"));
    });
}

/// gevent: `TestTCP::test_sendall_timeout`. The peer is stuck, so the first wait is also the last
/// one.
#[test]
fn sending_all_of_it_to_a_peer_that_is_stuck_times_out() {
    within(LIMIT, || {
        let (near, far) = pair();
        near.set_write_timeout(Some(SHORT)).unwrap();
        let start = Instant::now();
        let piece = vec![b'x'; 1 << 20];
        let error = loop {
            if let Err(error) = (&near).write_all(&piece) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SHORT);
        drop(far);
    });
}

/// gevent: `TestTCP::test_makefile`.
#[test]
fn buffered_clone_outlives_its_socket() {
    within(LIMIT, || {
        let (listener, client) = client();
        let server = spawn(move || listener.accept().unwrap().0.write_all(b"hello\n").unwrap());
        let mut file = BufReader::new(client.try_clone().unwrap());
        drop(client);
        let (mut line, mut rest) = (String::new(), String::new());
        file.read_line(&mut line).unwrap();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!((line.as_str(), rest.as_str()), ("hello\n", ""));
        server.get().unwrap();
    });
}

/// gevent: `TestTCP::test_makefile_timeout`.
#[test]
fn limit_of_the_socket_is_its_clones_too() {
    within(LIMIT, || {
        let (near, _far) = pair();
        near.set_read_timeout(Some(SHORT)).unwrap();
        let mut file = BufReader::new(near.try_clone().unwrap());
        assert_eq!(file.read_line(&mut String::new()).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

/// gevent: `TestTCP::test_connect_ex_nonblocking_bad_connection`,
/// `TestCreateConnection::test_refuses`; `test__socket_errors.py`,
/// `TestSocketErrors::test_connection_refused`.
#[test]
fn refusal_is_an_error_of_that_name() {
    within(LIMIT, || {
        let closed = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = TcpStream::connect(closed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains("refused"), "{error}");
    });
}

/// gevent: `TestCreateConnection::test_refuses_from_port`.
#[cfg(unix)]
#[test]
fn refusal_comes_to_a_socket_that_was_bound_first() {
    within(LIMIT, || {
        let closed = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let socket = ramie::io::Cooperative::new(socket).unwrap();
        let error = match socket.get_ref().connect(&closed.into()) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => error,
            _ => {
                socket.wait_writable().unwrap();
                socket.get_ref().take_error().unwrap().expect("the port is closed")
            }
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

/// gevent: `TestCreateConnection::test_base_exception`, with a kill and with a timeout.
#[test]
fn whatever_ends_a_connect_closes_its_socket() {
    within(LIMIT, || {
        let Some((address, _socket, _taken)) = silent() else { return };
        let before = settled();
        let connecting = spawn(move || drop(TcpStream::connect(address)));
        yield_now();
        assert_eq!(settled().sources, before.sources + 1);
        connecting.kill();
        assert_eq!(settled(), before);
        assert!(with_timeout(SHORT, || TcpStream::connect(address).map(drop)).is_err());
        assert_eq!(settled(), before);
        let raised = catch::<&str, _>(|| {
            ramie::Timeout::new(SHORT).exception("enough").scope(|| drop(TcpStream::connect(address)))
        });
        assert_eq!(*raised.unwrap_err(), "enough");
        assert_eq!(settled(), before);
    });
}

/// gevent: `TestFunctions::test_wait_timeout`.
#[cfg(unix)]
#[test]
fn waiting_for_a_quiet_descriptor_times_out() {
    within(LIMIT, || {
        let (near, _far) = pair();
        assert_eq!(ramie::io::wait_read(&near, Some(SHORT)).unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

/// gevent: `TestSocket::test_shutdown_when_closed`; `test__socket_ex.py`, `TestClosedSocket::test`.
#[test]
fn closed_socket_refuses_everything_at_once() {
    within(LIMIT, || {
        let (near, _far) = pair();
        near.close();
        let switched = Rc::new(Cell::new(false));
        let told = switched.clone();
        let other = spawn(move || told.set(true));
        for error in [
            near.shutdown(Shutdown::Both).unwrap_err(),
            (&near).write(b"a").unwrap_err(),
            (&near).read(&mut [0; 8]).unwrap_err(),
        ] {
            assert_eq!(error.raw_os_error(), Some(EBADF));
        }
        assert!(!switched.get(), "no other greenlet runs");
        other.join();
    });
}

/// gevent: `test__socket_close.py`, `Test::test_recv_closed`.
#[test]
fn close_ends_a_receive_with_ebadf() {
    within(LIMIT, || {
        let (near, _far) = pair();
        let near = Rc::new(near);
        let reader = spawn({
            let near = near.clone();
            move || (&*near).read(&mut [0; 1]).unwrap_err().raw_os_error()
        });
        yield_now();
        near.close();
        assert_eq!(reader.get().unwrap(), Some(EBADF));
    });
}

/// gevent: `test__socket_close.py`, `Test::test_recv_twice`, where the second reader is an error.
#[test]
fn second_reader_waits_beside_the_first() {
    within(LIMIT, || {
        let (near, mut far) = pair();
        let near = Rc::new(near);
        let readers = [0, 1].map(|_| {
            let near = near.clone();
            spawn(move || (&*near).read(&mut [0; 1]).unwrap())
        });
        yield_now();
        assert!(readers.iter().all(|reader| !reader.ready()));
        far.write_all(b"ab").unwrap();
        assert_eq!(readers.map(|reader| reader.get().unwrap()), [1, 1]);
    });
}

/// gevent: `test__socketpair.py`, `TestSocketpair::test_makefile`, `test_fromfd`.
#[cfg(unix)]
#[test]
fn pairs_hand_over_what_was_sent_before_the_end() {
    use ramie::os::unix::net::UnixStream;

    within(LIMIT, || {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"hello world").unwrap();
        near.close();
        drop(near);
        let mut text = String::new();
        BufReader::new(&far).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello world");
        let (near, far) = UnixStream::pair().unwrap();
        let duplicate = |stream: &UnixStream| {
            let descriptor = std::os::fd::AsFd::as_fd(stream).try_clone_to_owned().unwrap();
            UnixStream::from_std(descriptor.into()).unwrap()
        };
        let (mut near_twin, mut far_twin) = (duplicate(&near), duplicate(&far));
        drop((near, far));
        near_twin.write_all(b"hello again").unwrap();
        drop(near_twin);
        text.clear();
        far_twin.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello again");
    });
}
