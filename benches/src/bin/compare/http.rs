//! A server that answers `GET /` by «Hello, world!» on connections that stay open, on one core, and the client of the
//! echo on another one, with one request under way for each connection.
//!
//! Each runtime has the server that its users would take: hyper on tokio, may_minihttp on may, `net/http` on Go, all of
//! them with a `Date` and more. ramie has none so far: its greenlets parse by httparse and write a fixed answer, which
//! is less than a whole server does. So the same code is there for threads, and for tokio as `tokio-httparse`.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net;
use std::thread;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::echo::{ANY_PORT, ignore};
use crate::runtimes::{CurrentThread, Tokio};
use crate::workload::{Run, Workload, announce};

pub(crate) const HTTP: Workload = Workload {
    name: "http",
    what: "an HTTP hello of one core, with so many connections that stay open",
    unit: "req/s",
    sizes: &[50],
    growth: &[],
    run: Run::Serve(&[
        ("ramie", ramie),
        ("may", may),
        ("tokio", tokio),
        ("tokio-httparse", tokio_httparse),
        ("threads", threads),
    ]),
    peers: &["go"],
};

const HELLO: &str = "Hello, world!";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

/// What has come of requests without bodies, and not been answered yet.
struct Inbox {
    buffer: [u8; 4096],
    filled: usize,
}

impl Inbox {
    fn new() -> Inbox {
        Inbox { buffer: [0; 4096], filled: 0 }
    }

    fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Takes out one request if it is there as a whole.
    fn next(&mut self) -> io::Result<bool> {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(&self.buffer[..self.filled]).map_err(io::Error::other)?;
        if let httparse::Status::Complete(length) = parsed {
            self.buffer.copy_within(length..self.filled, 0);
            self.filled -= length;
        }
        Ok(parsed.is_complete())
    }
}

fn converse(mut stream: impl Read + Write) -> io::Result<()> {
    let mut inbox = Inbox::new();
    loop {
        match stream.read(inbox.room())? {
            0 => return Ok(()),
            got => inbox.filled += got,
        }
        while inbox.next()? {
            stream.write_all(ANSWER)?;
        }
    }
}

fn ramie() -> io::Result<()> {
    let listener = ramie::net::TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        ramie::spawn(move || ignore(converse(stream)));
    }
}

fn threads() -> io::Result<()> {
    let listener = net::TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::Builder::new().spawn(move || ignore(converse(stream)))?;
    }
}

fn tokio_httparse() -> io::Result<()> {
    CurrentThread::block_on(async {
        let listener = tokio::net::TcpListener::bind(ANY_PORT).await?;
        announce(listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            CurrentThread::spawn(async move {
                let mut inbox = Inbox::new();
                while let Ok(got @ 1..) = stream.read(inbox.room()).await {
                    inbox.filled += got;
                    while inbox.next()? {
                        stream.write_all(ANSWER).await?;
                    }
                }
                io::Result::Ok(())
            });
        }
    })
}

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(HELLO.as_bytes()))))
}

fn tokio() -> io::Result<()> {
    CurrentThread::block_on(async {
        let listener = tokio::net::TcpListener::bind(ANY_PORT).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            CurrentThread::spawn(async move {
                let mut server = hyper::server::conn::http1::Builder::new();
                let connection = server.timer(TokioTimer::new());
                // The end of a connection is the client's business.
                drop(connection.serve_connection(TokioIo::new(stream), service_fn(hello)).await);
            });
        }
    })
}

#[derive(Clone)]
struct Hello;

impl may_minihttp::HttpService for Hello {
    fn call(
        &mut self,
        _request: may_minihttp::Request<'_, '_, '_>,
        response: &mut may_minihttp::Response<'_>,
    ) -> io::Result<()> {
        response.body(HELLO);
        Ok(())
    }
}

fn may() -> io::Result<()> {
    // It does not tell which port it got, so one that is free is chosen for it.
    let address = net::TcpListener::bind(ANY_PORT)?.local_addr()?;
    let server = may_minihttp::HttpServer(Hello).start(address)?;
    announce(address);
    server.join().map_err(|_| io::Error::other("the server has panicked"))
}
