//! The calls of std's sockets, in std's signatures: the same code runs on std's types and on ours,
//! and sees the same.
//!
//! The code needs no second thread, so that it can run on sockets that block: what is read has been
//! written before.

use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::time::Duration;

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(10);

/// A result as something to compare: an error by its kind, and both kinds that a timeout may have
/// as one.
fn seen<T: std::fmt::Debug>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => "TimedOut".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Takes the error out of a call that has to fail.
fn refused<T>(result: std::io::Result<T>) -> std::io::ErrorKind {
    match result {
        Ok(_) => panic!("it was to fail"),
        Err(error) => error.kind(),
    }
}

/// Declares the code for the sockets of one module, as a function that returns what it has seen.
macro_rules! on_inet {
    ($name:ident, $module:ident) => {
        fn $name() -> Vec<String> {
            use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
            use $module::net::{TcpListener, TcpStream, UdpSocket};

            let mut log = Vec::new();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address: SocketAddr = listener.local_addr().unwrap();
            listener.set_ttl(100).unwrap();
            log.push(seen(listener.ttl()));
            log.push(seen(listener.take_error()));
            let first = listener;
            let listener = first.try_clone().unwrap();
            drop(first);

            let mut client = TcpStream::connect(address).unwrap();
            let (mut server, peer) = listener.accept().unwrap();
            assert_eq!((client.local_addr().unwrap(), client.peer_addr().unwrap()), (peer, address));
            assert_eq!(server.local_addr().unwrap(), address);
            drop(TcpStream::connect_timeout(&address, LONG).unwrap());
            for stream in listener.incoming().take(1) {
                log.push(seen(stream.unwrap().read(&mut [0; 8])));
            }

            log.push(seen(client.write(b"hello\n")));
            log.push(seen(client.write_vectored(&[IoSlice::new(b"wor"), IoSlice::new(b"ld\n")])));
            client.flush().unwrap();
            let mut buffer = [0; 5];
            log.push(seen(server.peek(&mut buffer)));
            server.read_exact(&mut buffer).unwrap();
            log.push(format!("{buffer:?}"));
            let (mut one, mut two) = ([0; 2], [0; 2]);
            let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
            log.push(seen(server.read_vectored(&mut buffers)));
            let mut line = String::new();
            BufReader::new(server.try_clone().unwrap()).read_line(&mut line).unwrap();
            log.push(line);

            client.set_nodelay(true).unwrap();
            log.push(seen(client.nodelay()));
            client.set_ttl(101).unwrap();
            log.push(seen(client.ttl()));
            log.push(seen(client.take_error()));
            log.push(seen(client.read_timeout()));
            log.push(seen(client.write_timeout()));
            client.set_read_timeout(Some(SHORT)).unwrap();
            client.set_write_timeout(Some(SHORT)).unwrap();
            log.push(seen((&client).read(&mut [0; 8])));
            log.push(seen(client.set_read_timeout(Some(Duration::ZERO))));
            client.set_read_timeout(None).unwrap();
            client.set_nonblocking(true).unwrap();
            log.push(seen((&client).read(&mut [0; 8])));
            client.set_nonblocking(false).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            log.push(seen(server.read_to_end(&mut rest)));
            log.push(format!("{:?}", refused(client.write(b"x"))));
            drop(server);
            log.push(seen(client.read_to_string(&mut String::new())));
            listener.set_nonblocking(true).unwrap();
            log.push(format!("{:?}", refused(listener.accept())));
            drop(listener);
            log.push(format!("{:?}", refused(TcpStream::connect(address))));
            log.push(format!("{:?}", refused(TcpStream::connect(&[] as &[SocketAddr]))));
            log.push(format!("{:?}", refused(TcpListener::bind("not an address"))));

            let near = UdpSocket::bind("127.0.0.1:0").unwrap();
            let far = UdpSocket::bind(&[SocketAddr::from(([127, 0, 0, 1], 0))][..]).unwrap();
            let (near_address, far_address) = (near.local_addr().unwrap(), far.local_addr().unwrap());
            log.push(seen(near.peer_addr()));
            log.push(seen(near.send(b"closed")));
            log.push(seen(near.send_to(b"hello", far_address)));
            let mut buffer = [0; 8];
            assert_eq!(far.peek_from(&mut buffer).unwrap(), (5, near_address));
            assert_eq!(far.recv_from(&mut buffer).unwrap(), (5, near_address));
            near.connect(far_address).unwrap();
            assert_eq!(near.peer_addr().unwrap(), far_address);
            log.push(seen(near.send(b"again")));
            far.connect(near_address).unwrap();
            log.push(seen(far.peek(&mut buffer)));
            log.push(seen(far.recv(&mut buffer)));
            for on in [true, false] {
                near.set_broadcast(on).unwrap();
                near.set_multicast_loop_v4(on).unwrap();
                log.push(seen(near.broadcast()));
                log.push(seen(near.multicast_loop_v4()));
            }
            near.set_ttl(102).unwrap();
            near.set_multicast_ttl_v4(103).unwrap();
            log.push(seen(near.ttl()));
            log.push(seen(near.multicast_ttl_v4()));
            log.push(seen(near.join_multicast_v4(&Ipv4Addr::LOCALHOST, &Ipv4Addr::UNSPECIFIED)));
            log.push(seen(near.leave_multicast_v4(&Ipv4Addr::new(239, 1, 2, 3), &Ipv4Addr::UNSPECIFIED)));
            log.push(format!("{}", near.join_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err()));
            log.push(format!("{}", near.leave_multicast_v6(&Ipv6Addr::LOCALHOST, 0).is_err()));
            log.push(format!("{}", near.set_multicast_loop_v6(true).is_err()));
            log.push(format!("{}", near.multicast_loop_v6().is_err()));
            log.push(seen(near.take_error()));
            near.set_read_timeout(Some(SHORT)).unwrap();
            near.set_write_timeout(None).unwrap();
            assert!(near.read_timeout().unwrap().unwrap() >= SHORT);
            log.push(seen(near.write_timeout()));
            log.push(seen(near.recv(&mut buffer)));
            let near = near.try_clone().unwrap();
            near.set_nonblocking(true).unwrap();
            log.push(seen(near.recv_from(&mut buffer)));
            log
        }
    };
}

on_inet!(on_inet_of_std, std);
on_inet!(on_inet_of_ramie, ramie);

#[test]
fn tcp_and_udp_are_used_as_those_of_std() {
    within(LIMIT, || assert_eq!(on_inet_of_ramie(), on_inet_of_std()));
}

#[cfg(unix)]
macro_rules! on_unix {
    ($name:ident, $module:ident) => {
        fn $name() -> Vec<String> {
            use std::io::{Read, Write};
            use $module::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

            let mut log = Vec::new();
            let path = |name: &str| {
                std::env::temp_dir().join(format!("{}-{name}-{}", stringify!($name), std::process::id()))
            };
            let (place, other) = (path("one"), path("two"));
            log.push(format!("{:?}", refused(UnixStream::connect(&place))));
            let listener = UnixListener::bind(&place).unwrap();
            let address: SocketAddr = listener.local_addr().unwrap();
            assert_eq!(address.as_pathname(), Some(&*place));
            log.push(format!("{:?}", refused(UnixListener::bind_addr(&address))));
            let listener = listener.try_clone().unwrap();
            let mut client = UnixStream::connect(&place).unwrap();
            let (mut server, peer) = listener.accept().unwrap();
            log.push(format!("{}", peer.is_unnamed()));
            assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*place));
            log.push(format!("{}", client.local_addr().unwrap().is_unnamed()));
            drop(UnixStream::connect_addr(&address).unwrap());
            for stream in (&listener).into_iter().take(1) {
                log.push(seen(stream.unwrap().read(&mut [0; 8])));
            }
            client.write_all(b"hello").unwrap();
            log.push(seen(server.try_clone().unwrap().read(&mut [0; 8])));
            client.set_read_timeout(Some(SHORT)).unwrap();
            client.set_write_timeout(Some(LONG)).unwrap();
            assert!(client.read_timeout().unwrap().unwrap() >= SHORT);
            log.push(seen(client.write_timeout()));
            log.push(seen(client.read(&mut [0; 8])));
            log.push(seen(client.set_write_timeout(Some(Duration::ZERO))));
            client.set_nonblocking(true).unwrap();
            log.push(seen(client.read(&mut [0; 8])));
            log.push(seen(client.take_error()));
            client.shutdown(Shutdown::Write).unwrap();
            log.push(seen(server.read(&mut [0; 8])));
            log.push(format!("{:?}", refused(client.write(b"x"))));
            listener.set_nonblocking(true).unwrap();
            log.push(format!("{:?}", refused(listener.accept())));
            log.push(seen(listener.take_error()));
            let (mut one, mut two) = UnixStream::pair().unwrap();
            one.write_all(b"x").unwrap();
            drop(one);
            log.push(seen(two.read_to_end(&mut Vec::new())));

            let near = UnixDatagram::unbound().unwrap();
            let far = UnixDatagram::bind(&other).unwrap();
            log.push(format!("{:?}", refused(near.peer_addr())));
            log.push(seen(near.send(b"closed")));
            log.push(seen(near.send_to(b"hello", &other)));
            log.push(seen(near.send_to_addr(b"again", &far.local_addr().unwrap())));
            let mut buffer = [0; 8];
            let (length, peer) = far.recv_from(&mut buffer).unwrap();
            log.push(format!("{length} {}", peer.is_unnamed()));
            log.push(seen(far.recv(&mut buffer)));
            near.connect(&other).unwrap();
            near.connect_addr(&far.local_addr().unwrap()).unwrap();
            assert_eq!(near.peer_addr().unwrap().as_pathname(), Some(&*other));
            log.push(seen(near.send(b"connected")));
            far.set_read_timeout(Some(SHORT)).unwrap();
            log.push(seen(far.recv(&mut buffer)));
            log.push(seen(far.recv(&mut buffer)));
            log.push(seen(near.take_error()));
            drop(far);
            log.push(format!("{:?}", refused(near.send(b"x"))));
            let (one, two) = UnixDatagram::pair().unwrap();
            one.try_clone().unwrap().send(b"pair").unwrap();
            log.push(seen(two.recv(&mut buffer)));
            two.set_nonblocking(true).unwrap();
            log.push(seen(two.recv(&mut buffer)));
            one.shutdown(Shutdown::Both).unwrap();
            log.push(seen(one.send(b"x")));
            log.push(seen(one.recv(&mut buffer)));
            log.push(seen(one.recv_from(&mut buffer).map(|(length, peer)| (length, peer.is_unnamed()))));
            for path in [place, other] {
                std::fs::remove_file(path).unwrap();
            }
            log
        }
    };
}

#[cfg(unix)]
on_unix!(on_unix_of_std, std);
#[cfg(unix)]
on_unix!(on_unix_of_ramie, ramie);

#[cfg(unix)]
#[test]
fn unix_sockets_are_used_as_those_of_std() {
    within(LIMIT, || assert_eq!(on_unix_of_ramie(), on_unix_of_std()));
}

#[cfg(unix)]
macro_rules! on_pipe {
    ($name:ident, $module:ident) => {
        fn $name() -> Vec<String> {
            use std::io::{Read, Write};

            let mut log = Vec::new();
            let (mut reader, mut writer) = $module::io::pipe().unwrap();
            let mut clone = writer.try_clone().unwrap();
            log.push(seen(writer.write(b"hello")));
            drop(writer);
            clone.write_all(b" world").unwrap();
            drop(clone);
            let mut text = String::new();
            let mut twin = reader.try_clone().unwrap();
            twin.read_exact(&mut [0; 1]).unwrap();
            reader.read_to_string(&mut text).unwrap();
            log.push(text);
            log.push(seen((&reader).read(&mut [0; 8])));
            let (reader, writer) = $module::io::pipe().unwrap();
            drop(reader);
            log.push(seen((&writer).write(b"x")));
            let mut out = $module::io::stdout();
            out.write_all(b"").unwrap();
            out.lock().flush().unwrap();
            $module::io::stderr().write_all(b"").unwrap();
            log
        }
    };
}

#[cfg(unix)]
on_pipe!(on_pipe_of_std, std);
#[cfg(unix)]
on_pipe!(on_pipe_of_ramie, ramie);

#[cfg(unix)]
#[test]
fn pipes_are_used_as_those_of_std() {
    within(LIMIT, || assert_eq!(on_pipe_of_ramie(), on_pipe_of_std()));
}
