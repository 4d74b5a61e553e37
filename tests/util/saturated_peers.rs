//! Connections and listeners that accept no more data.

use std::io::{ErrorKind, Write};
use std::net;
use std::time::Duration;

use ramie::net::TcpStream;
use ramie::sleep;
use socket2::SockRef;

/// The number of failed attempts in a row that prove that nothing more is accepted.
const ENOUGH: u32 = 35;

/// Writes until nothing more goes in, and returns how much went in.
///
/// A moment later the system may take more: it adapts the size of our buffer, unless that was set,
/// and asks the other side for room again after 200 ms. So it is asked for longer than that.
pub(crate) fn fill(stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).expect("a handle's mode can be set");
    SockRef::from(stream).set_send_buffer_size(1 << 16).expect("a buffer's size can be set");
    let (mut sent, mut refused) = (0, 0);
    while refused < ENOUGH {
        match (&*stream).write(&[7; 65536]) {
            Ok(written) => {
                sent += written;
                refused = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                refused += 1;
                sleep(Duration::from_millis(10));
            }
        }
    }
    stream.set_nonblocking(false).expect("a handle's mode can be set");
    sent
}

/// A listener with a full backlog, which does not answer. Both values must live as long as the
/// backlog must be full.
pub(crate) fn silent() -> Option<(net::SocketAddr, socket2::Socket, Vec<TcpStream>)> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut taken = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(address, Duration::from_millis(50)) {
        taken.push(stream);
        if taken.len() > 16 {
            println!("skipped: here a full backlog does not keep a connection waiting");
            return None;
        }
    }
    Some((address, socket, taken))
}
