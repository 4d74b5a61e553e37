//! HTTP/1.1 as a server speaks it, over any stream: what `http_server` and `https_server` have in
//! common.
//!
//! Requests are parsed by `httparse`. Connections are kept for further requests, which may come
//! before the answers to those before them have gone (pipelining): answers go out in the order of
//! the requests, gathered as long as requests are there.

mod date;
mod request;

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

use ramie::with_timeout;

pub(crate) use self::date::imf;
use self::request::{Incoming, Next};
pub(crate) use self::request::{Method, Request};

/// Answers are gathered up to about this many bytes.
const GATHERED: usize = 64 * 1024;
/// The time for which a client that was refused may continue to send, and the amount. A client that
/// sends a large body reads the answer only now and then.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 64 << 20;

/// A stream that can say that nothing more will come.
pub(crate) trait Stream: Read + Write {
    fn end(&mut self) -> io::Result<()>;
}

impl Stream for ramie::net::TcpStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

impl<S: Read + Write> Stream for ramie::tls::TlsStream<S> {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown()
    }
}

/// An answer. Its length, the date and what becomes of the connection are added on the way out.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Response { status, headers: vec![("Content-Type", kind.to_owned())], body: body.into() }
    }

    /// A line of text that says what the status says.
    pub(crate) fn of_status(status: u16) -> Self {
        Self::new(status, "text/plain", format!("{}\n", reason(status)))
    }

    fn write(&self, out: &mut Vec<u8>, keep: Keep, with_body: bool) {
        // Writing to a vector cannot fail.
        let _ = write!(out, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let _ = write!(out, "Date: {}\r\n", imf(SystemTime::now()));
        for (name, value) in &self.headers {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        let _ = write!(out, "Content-Length: {}\r\n", self.body.len());
        let _ = match keep {
            Keep::Yes => write!(out, "\r\n"),
            Keep::Said => write!(out, "Connection: keep-alive\r\n\r\n"),
            Keep::No => write!(out, "Connection: close\r\n\r\n"),
        };
        if with_body {
            out.extend_from_slice(&self.body);
        }
    }
}

/// The state of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// As is the rule since HTTP/1.1.
    Yes,
    /// As was asked for by HTTP/1.0, which has to be told.
    Said,
    No,
}

/// Answers the requests of a connection until one side has had enough; returns how many there were.
pub(crate) fn serve<S: Stream>(stream: &mut S, answer: impl Fn(&Request) -> Response) -> io::Result<usize> {
    let mut incoming = Incoming::new();
    let mut out = Vec::new();
    let mut served = 0;
    loop {
        let keep = match incoming.next()? {
            Next::Request(request) => {
                served += 1;
                answer(&request).write(&mut out, request.keep, request.method != Method::Head);
                request.keep
            }
            Next::Bad(status) => {
                Response::of_status(status).write(&mut out, Keep::No, true);
                Keep::No
            }
            Next::More { continues } => {
                if continues {
                    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                // A client that waits for an answer before it sends more gets it now.
                stream.write_all(&out)?;
                out.clear();
                if incoming.receive(stream)? == 0 { Keep::No } else { continue }
            }
        };
        if keep == Keep::No || out.len() > GATHERED {
            stream.write_all(&out)?;
            out.clear();
        }
        if keep == Keep::No {
            // All was sent; whether the other side is still there to hear this is its own business.
            let _ = stream.end();
            linger(stream);
            return Ok(served);
        }
    }
}

/// Reads and drops what the client still sends. A close with unread data would reset the
/// connection, and the client would lose the answer.
fn linger<S: Stream>(stream: &mut S) {
    let _ = with_timeout(LINGER, || io::copy(&mut stream.take(LINGER_BYTES), &mut io::sink()));
}

/// Answers a request to one of the examples.
pub(crate) fn site(request: &Request) -> Response {
    match (request.method, request.path()) {
        (Method::Get | Method::Head, "/") => {
            Response::new(200, "text/html", "<h1>Hello from a greenlet</h1>\n")
        }
        (Method::Get | Method::Head, "/slow") => {
            // No other connection waits for it.
            ramie::sleep(Duration::from_secs(1));
            Response::new(200, "text/plain", "that took a second\n")
        }
        (Method::Post, "/echo") => Response::new(200, "application/octet-stream", request.body.clone()),
        (_, "/" | "/slow") => not_allowed("GET, HEAD"),
        (_, "/echo") => not_allowed("POST"),
        _ => Response::of_status(404),
    }
}

fn not_allowed(methods: &str) -> Response {
    let mut response = Response::of_status(405);
    response.headers.push(("Allow", methods.to_owned()));
    response
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
