//! Answers datagrams: one socket, one greenlet that receives, and one for each answer that takes
//! its time.
//!
//! ```text
//! cargo run --example udp_server      # or with an address: -- 127.0.0.1:9001
//! cargo run --example udp_client -- 127.0.0.1:9000 hello
//! ```
//!
//! Ends by itself: no

use std::rc::Rc;
use std::time::Duration;
use std::{env, io};

use ramie::net::UdpSocket;

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let socket = Rc::new(UdpSocket::bind(address)?);
    println!("listening on {}", socket.local_addr()?);
    let mut buffer = [0; 8192];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        let (socket, data) = (socket.clone(), buffer[..length].to_vec());
        ramie::spawn(move || {
            // Datagrams that arrive during the sleep are received all the same.
            ramie::sleep(Duration::from_millis(100));
            match socket.send_to(format!("got {} bytes", data.len()).as_bytes(), peer) {
                Ok(_) => println!("{peer}: {:?}", String::from_utf8_lossy(&data)),
                Err(error) => println!("{peer}: {error}"),
            }
        });
    }
}
