//! A server by hyper with handlers that are greenlets: plain functions that wait, read a request's
//! body as a `Read`, and share a lock. A client of plain sockets tries it.
//!
//! ```text
//! cargo run --example hyper_server
//! cargo run --example hyper_server -- 127.0.0.1:8000      # serves until Ctrl-C
//! curl --data-binary @README.md http://127.0.0.1:8000/count
//! ```
//!
//! Ends by itself: yes

use std::error::Error;
use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;
use std::{env, thread};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use ramie::hyper::{BodyReader, RamieIo, RamieTimer, handler_fn};
use ramie::net::TcpStream;
use ramie::server::StreamServer;
use ramie::sync::Mutex;
use ramie::{blocking, joinall, sleep, spawn};

/// The time for which a connection may be silent between two requests.
const IDLE: Duration = Duration::from_secs(30);

/// Handles a request, in a greenlet of its own.
fn handle(request: Request<Incoming>, total: &Mutex<usize>) -> io::Result<Response<String>> {
    let path = request.uri().path().to_owned();
    let answer = match (request.method(), &*path) {
        (&Method::POST, "/count") => {
            let mut lines = 0;
            for line in BodyReader::new(request.into_body()).lines() {
                line?;
                lines += 1;
            }
            let mut total = total.lock();
            *total += lines;
            // Others that count wait here, and nothing else does.
            sleep(Duration::from_millis(1));
            format!("{lines} lines, {total} in all\n")
        }
        (&Method::GET, "/slow") => {
            sleep(Duration::from_millis(50));
            "slept\n".to_owned()
        }
        (&Method::GET, "/blocking") => {
            blocking(|| thread::sleep(Duration::from_millis(50)));
            "slept on another thread\n".to_owned()
        }
        _ => {
            let mut response = Response::new(format!("{path} is not here\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    Ok(Response::new(answer))
}

/// Sends a request by a plain socket, and returns the body of the answer.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn main() -> Result<(), Box<dyn Error>> {
    let total = Mutex::new(0);
    let service = handler_fn(move |request| handle(request, &total));
    let given = env::args().nth(1);
    let server = StreamServer::bind(given.as_deref().unwrap_or("127.0.0.1:0"), {
        move |stream: TcpStream, _peer| {
            stream.set_nodelay(true)?;
            let mut builder = http1::Builder::new();
            builder.timer(RamieTimer).header_read_timeout(IDLE);
            let connection = builder.serve_connection(RamieIo::new(stream), service.clone());
            ramie::block_on(connection).map_err(io::Error::other)
        }
    })?;
    let address = server.address()?;
    println!("listening on http://{address}/");
    if given.is_some() {
        server.serve_forever()?;
        return Ok(());
    }
    server.start()?;

    let asks = (0..20).map(|n| {
        spawn(move || match n % 4 {
            0 => ask(address, "POST", "/count", &"a line\n".repeat(1000)),
            1 => ask(address, "GET", "/slow", ""),
            2 => ask(address, "GET", "/blocking", ""),
            _ => ask(address, "GET", "/elsewhere", ""),
        })
    });
    let asks = asks.collect::<Vec<_>>();
    joinall(&asks);
    let answers = asks.into_iter().map(|ask| ask.take()?.map_err(Box::<dyn Error>::from));
    let answers = answers.collect::<Result<Vec<_>, _>>()?;
    let count = |text: &str| answers.iter().filter(|answer| answer.contains(text)).count();
    assert_eq!([count("1000 lines"), count("slept"), count("is not here")], [5, 10, 5]);
    assert_eq!(count("5000 in all"), 1);
    println!("{} requests at once, the last count: 5000 lines", answers.len());
    Ok(())
}
