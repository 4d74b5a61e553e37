//! Forwards connections to another address, both ways, half-closed ones included.
//!
//! ```text
//! cargo run --example echo_server
//! cargo run --example port_forwarder -- 127.0.0.1:7001 127.0.0.1:7000
//! nc 127.0.0.1 7001
//! ```
//!
//! Ends by itself: no

use std::io;
use std::time::{Duration, Instant};

use ramie::io::copy_bidirectional;
use ramie::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:7001".to_owned());
    let target = arguments.next().unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("forwarding {} to {target}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        let target = target.clone();
        ramie::spawn(move || match forward(&stream, &target) {
            Ok((there, back)) => println!("{peer}: {there} bytes there, {back} back"),
            Err(error) => println!("{peer}: {error}"),
        });
    }
}

/// Joins a connection with one to the target, until both sides have ended.
pub(crate) fn forward(stream: &TcpStream, target: &str) -> io::Result<(u64, u64)> {
    let other = TcpStream::connect_timeout(target, Instant::now() + Duration::from_secs(5))?;
    copy_bidirectional(stream, &other)
}
