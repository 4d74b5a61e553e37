//! Connections that take nothing more.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use ramie::net::TcpStream;
use ramie::sleep;
use socket2::SockRef;

/// How often in a row nothing may go in before it is believed.
const ENOUGH: u32 = 35;

/// Writes until nothing more goes in, and returns how much went in.
///
/// A moment later the system may take more: it adapts the size of our buffer, unless that was set, and asks the other side
/// for room again after 200 ms. So it is asked for longer than that.
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
