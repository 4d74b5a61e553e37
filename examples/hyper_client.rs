//! A client by hyper in greenlets: a connection with many requests, an answer that is read as a
//! `Read`, and a timeout that ends a request and closes its connection.
//!
//! ```text
//! cargo run --example hyper_client                            # with a server of its own
//! cargo run --example hyper_client -- 127.0.0.1:8000 /        # one request to another one
//! ```
//!
//! Ends by itself: yes

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, header};
use ramie::hyper::{BodyReader, RamieIo};
use ramie::net::{TcpListener, TcpStream};
use ramie::{Greenlet, block_on, spawn, with_timeout};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A connection: its requests, and the greenlet that drives it.
struct Client {
    host: String,
    requests: http1::SendRequest<Empty<Bytes>>,
    driver: Greenlet<hyper::Result<()>>,
}

impl Client {
    fn connect(host: &str) -> Fallible<Client> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        let (requests, connection) = block_on(http1::handshake(RamieIo::new(stream)))?;
        Ok(Client { host: host.to_owned(), requests, driver: spawn(move || block_on(connection)) })
    }

    fn get(&mut self, path: &str) -> Fallible<Response<Incoming>> {
        let request = Request::get(path).header(header::HOST, &self.host).body(Empty::new())?;
        block_on(self.requests.ready())?;
        Ok(block_on(self.requests.send_request(request))?)
    }

    /// Ends the connection, and returns its outcome.
    fn close(self) -> Fallible<()> {
        drop(self.requests);
        Ok(self.driver.take()??)
    }
}

/// Answers the requests of one connection by plain sockets: `/N` with N bytes, `/never` not at all.
fn answer(stream: TcpStream) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        if let Ok(size) = path.trim_start_matches('/').parse::<usize>() {
            write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n")?;
            writer.write_all(&vec![b'x'; size])?;
        }
    }
    Ok(())
}

fn serve() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn main() -> Fallible<()> {
    let mut arguments = env::args().skip(1);
    if let Some(host) = arguments.next() {
        let response = Client::connect(&host)?.get(&arguments.next().unwrap_or("/".to_owned()))?;
        println!("{}", response.status());
        io::copy(&mut BodyReader::new(response.into_body()), &mut io::stdout())?;
        return Ok(());
    }

    let host = serve()?.to_string();
    let workers = (0..10).map(|worker| {
        let host = host.clone();
        spawn(move || {
            let run = || -> Fallible<u64> {
                let mut client = Client::connect(&host)?;
                let mut sum = 0;
                for request in 0..100 {
                    let response = client.get(&format!("/{}", worker * 1000 + request))?;
                    sum += io::copy(&mut BodyReader::new(response.into_body()), &mut io::sink())?;
                }
                client.close()?;
                Ok(sum)
            };
            run().map_err(|error| error.to_string())
        })
    });
    let workers = workers.collect::<Vec<_>>();
    let mut sum = 0;
    for worker in workers {
        sum += worker.take()??;
    }
    assert_eq!(sum, 4_549_500);
    println!("1000 requests on 10 connections: {sum} bytes");

    let mut client = Client::connect(&host)?;
    let late = with_timeout(Duration::from_millis(20), || client.get("/never").map(drop));
    assert!(late.is_err());
    client.driver.kill();
    println!("a request without an answer was given up, and its connection closed");

    let mut text = String::new();
    BodyReader::new(Client::connect(&host)?.get("/5")?.into_body()).read_to_string(&mut text)?;
    assert_eq!(text, "xxxxx");
    Ok(())
}
