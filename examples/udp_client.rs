//! Sends a datagram and waits for the answer: three times at most, as datagrams may get lost.
//!
//! ```text
//! cargo run --example udp_server
//! cargo run --example udp_client -- 127.0.0.1:9000 hello
//! ```
//!
//! Without a server it reports that the port is closed: a connected socket gets that error.
//!
//! Ends by itself: no, as it fails without its server

use std::io::{self, ErrorKind};
use std::time::Duration;

use ramie::net::UdpSocket;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let message = arguments.next().unwrap_or_else(|| "hello".to_owned());
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    for attempt in 1..=3 {
        socket.send(message.as_bytes())?;
        let mut buffer = [0; 8192];
        match socket.recv(&mut buffer) {
            Ok(length) => {
                println!("{}: {}", socket.peer_addr()?, String::from_utf8_lossy(&buffer[..length]));
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => println!("no answer to attempt {attempt}"),
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::TimedOut.into())
}
