//! An HTTP server: keep-alive and pipelining, bodies, limits, and a greenlet for each connection.
//!
//! ```text
//! cargo run --release --example http_server      # or with an address: -- 127.0.0.1:8001
//! curl -i http://127.0.0.1:8000/
//! curl --data-binary @README.md http://127.0.0.1:8000/echo
//! curl http://127.0.0.1:8000/slow & curl http://127.0.0.1:8000/      # the second one does not wait
//! ```
//!
//! Ends by itself: no

mod http;

use std::time::Duration;
use std::{env, io};

use ramie::net::TcpStream;
use ramie::server::StreamServer;

/// The maximum number of connections that are served at once; others wait in the backlog.
const MOST: usize = 1000;
/// The time for which a connection may be silent.
const IDLE: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let server = StreamServer::bind(address, |mut stream: TcpStream, peer| {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        stream.set_nodelay(true)?;
        let served = http::serve(&mut stream, http::site)?;
        println!("{peer}: {served} requests");
        Ok::<(), io::Error>(())
    })?;
    server.set_limit(MOST);
    println!("listening on http://{}/", server.address()?);
    server.serve_forever()
}
