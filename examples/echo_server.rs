//! Sends back whatever it gets: a greenlet for each connection, and std's own `io::copy` on our streams.
//!
//! ```text
//! cargo run --example echo_server      # or with an address: -- 127.0.0.1:7001
//! nc 127.0.0.1 7000
//! ```
//!
//! Ends by itself: no

use std::{env, io};

use ramie::net::TcpListener;

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        ramie::spawn(move || match io::copy(&mut &stream, &mut &stream) {
            Ok(bytes) => println!("{peer}: {bytes} bytes"),
            Err(error) => println!("{peer}: {error}"),
        });
    }
}
