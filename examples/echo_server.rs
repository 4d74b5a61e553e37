//! Sends back whatever it gets, by a server: no more than so many connections at once, and a stop
//! that waits for them.
//!
//! ```text
//! cargo run --example echo_server      # or with an address: -- 127.0.0.1:7001
//! nc 127.0.0.1 7000                    # as often as you like; a line that says `stop` ends it
//! ```
//!
//! Ends by itself: no

use std::io::{self, BufRead, BufReader, Write};
use std::rc::Rc;
use std::time::Duration;

use ramie::net::TcpStream;
use ramie::server::StreamServer;
use ramie::sync::Event;

/// More clients wait in the system's backlog until one of these has gone.
const MOST: usize = 100;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let stop = Rc::new(Event::new());
    let stopper = stop.clone();
    let server = StreamServer::bind(address, move |stream, peer| {
        let lines = echo(&stream, &stopper)?;
        println!("{peer}: {lines} lines");
        Ok::<(), io::Error>(())
    })?;
    server.set_limit(MOST);
    server.start()?;
    println!("listening on {}", server.address()?);
    stop.wait();
    println!("stopping, with {} connections", server.handlers().len());
    // A client that is still connected after this time sees the end of its connection.
    server.stop_timeout(Duration::from_secs(5));
    Ok(())
}

/// Each connection is a greenlet; the thread they share has no locks and no `async`.
pub(crate) fn echo(stream: &TcpStream, stop: &Event) -> io::Result<usize> {
    let mut lines = 0;
    for line in BufReader::new(stream).split(b'\n') {
        let mut line = line?;
        if line.trim_ascii() == b"stop" {
            stop.set();
            break;
        }
        line.push(b'\n');
        (&*stream).write_all(&line)?;
        lines += 1;
    }
    Ok(lines)
}
