//! An HTTP client in plain blocking code: one request a connection, one buffer a page.
//!
//! Whatever a server sends ends in a [`Response`] or an [`Error`], and in bounded memory. Time is
//! not looked at here: the caller's timeout interrupts any wait.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;

use ramie::net::TcpStream;
use url::{Position, Url};

use crate::outcome::Outcome;

/// The largest body that is taken.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

const HEAD_LIMIT: usize = 32 * 1024;
const HEADERS: usize = 64;
/// A chunk's size, with whatever extension a server finds good.
const CHUNK_LINE_LIMIT: usize = 1024;
const FIRST_READ: usize = 8 * 1024;

/// A complete response: head and body. The body lies in the [`Buffer`].
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) media: Media,
    pub(crate) location: Option<String>,
    pub(crate) body: Range<usize>,
}

/// The kind of a body, which decides if it can contain links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Html,
    Other,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Error {
    Connect(io::Error),
    Io(io::Error),
    Truncated,
    TooLarge,
    Malformed(&'static str),
    Syntax(httparse::Error),
}

impl Error {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Error::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => Outcome::Refused,
            Error::Connect(error) | Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Outcome::Reset,
                _ => Outcome::Broken,
            },
            Error::Truncated => Outcome::Truncated,
            Error::TooLarge => Outcome::TooLarge,
            Error::Malformed(_) | Error::Syntax(_) => Outcome::Malformed,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Connect(error) => write!(f, "cannot connect: {error}"),
            Error::Io(error) => error.fmt(f),
            Error::Truncated => f.write_str("the connection ended before the answer did"),
            Error::TooLarge => write!(f, "more than {BODY_LIMIT} bytes"),
            Error::Malformed(what) => write!(f, "malformed: {what}"),
            Error::Syntax(error) => write!(f, "malformed: {error}"),
        }
    }
}

impl From<httparse::Error> for Error {
    fn from(error: httparse::Error) -> Self {
        Error::Syntax(error)
    }
}

/// Room for one response, used again and again so that it is cleared and grown once.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Reads once, for at least one byte; false at the end of the stream.
    fn fill(&mut self, mut stream: &TcpStream) -> Result<bool, Error> {
        if self.filled == self.bytes.len() {
            self.bytes.resize((2 * self.filled).max(FIRST_READ), 0);
        }
        let read = stream.read(&mut self.bytes[self.filled..]).map_err(Error::Io)?;
        self.filled += read;
        Ok(read > 0)
    }

    fn need(&mut self, stream: &TcpStream) -> Result<(), Error> {
        if self.fill(stream)? { Ok(()) } else { Err(Error::Truncated) }
    }
}

/// The destination of requests.
#[derive(Debug)]
pub(crate) struct Client {
    addresses: Vec<SocketAddr>,
    host: String,
    requests: Cell<u64>,
}

impl Client {
    /// Creates a client for the host of `url`. The name is looked up once. An error is a message
    /// for the user.
    pub(crate) fn new(url: &Url) -> Result<Self, String> {
        let host = url[Position::BeforeHost..Position::AfterPort].to_owned();
        let addresses = url.socket_addrs(|| None).map_err(|error| format!("cannot find {host}: {error}"))?;
        Ok(Client { addresses, host, requests: Cell::new(0) })
    }

    /// Requests sent.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Gets a page. What was in the buffer is lost.
    pub(crate) fn get(&self, url: &Url, buffer: &mut Buffer) -> Result<Response, Error> {
        buffer.filled = 0;
        let stream = TcpStream::connect(&self.addresses[..]).map_err(Error::Connect)?;
        let target = &url[Position::BeforePath..Position::AfterQuery];
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: ramie-crawl\r\nAccept: text/html, */*;q=0.5\r\n\
             Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
            self.host
        );
        (&stream).write_all(request.as_bytes()).map_err(Error::Io)?;
        self.requests.update(|requests| requests + 1);
        receive(&stream, buffer)
    }
}

/// The way in which the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

fn receive(stream: &TcpStream, buffer: &mut Buffer) -> Result<Response, Error> {
    loop {
        let (length, head) = loop {
            if let Some(found) = parse_head(buffer.filled())? {
                break found;
            }
            if buffer.filled > HEAD_LIMIT {
                return Err(Error::Malformed("a head without an end"));
            }
            buffer.need(stream)?;
        };
        if (100..200).contains(&head.status) {
            // Only a first word; the response is still to come.
            buffer.bytes.copy_within(length..buffer.filled, 0);
            buffer.filled -= length;
            continue;
        }
        let end = match head.framing {
            Framing::Length(body) => whole(stream, buffer, length, body)?,
            Framing::Chunked => chunked(stream, buffer, length)?,
            Framing::Close => until_close(stream, buffer, length)?,
        };
        return Ok(Response {
            status: head.status,
            media: head.media,
            location: head.location,
            body: length..end,
        });
    }
}

struct Head {
    status: u16,
    media: Media,
    location: Option<String>,
    framing: Framing,
}

/// The head and its length in bytes; `None` when more of it has to come first.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Head)>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(bytes)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = parsed.code.ok_or(Error::Malformed("no status"))?;
    let mut head = Head { status, media: Media::Other, location: None, framing: Framing::Close };
    let mut encoded = false;
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let announced = content_length(header.value)?;
            match head.framing {
                Framing::Length(other) if other != announced => {
                    return Err(Error::Malformed("two lengths of one body"));
                }
                Framing::Chunked => {}
                _ => head.framing = Framing::Length(announced),
            }
        } else if is("transfer-encoding") {
            if !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Error::Malformed("an unknown transfer coding"));
            }
            head.framing = Framing::Chunked;
        } else if is("content-type") {
            let media = header.value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            if media.eq_ignore_ascii_case(b"text/html")
                || media.eq_ignore_ascii_case(b"application/xhtml+xml")
            {
                head.media = Media::Html;
            }
        } else if is("content-encoding") {
            encoded = !header.value.trim_ascii().eq_ignore_ascii_case(b"identity");
        } else if is("location") {
            head.location = Some(String::from_utf8_lossy(header.value).into_owned());
        }
    }
    if encoded {
        // It was not asked for, so nothing here can read it.
        head.media = Media::Other;
    }
    if matches!(status, 204 | 304) {
        head.framing = Framing::Length(0);
    }
    Ok(Some((length, head)))
}

fn content_length(value: &[u8]) -> Result<usize, Error> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Error::Malformed("a length that is no number"));
    }
    // A number with more digits than fit is in any case too large.
    let length = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    length.filter(|length| *length <= BODY_LIMIT).ok_or(Error::TooLarge)
}

/// Reads a body of a known length from `start` on; returns its end.
fn whole(stream: &TcpStream, buffer: &mut Buffer, start: usize, length: usize) -> Result<usize, Error> {
    let end = start + length;
    if buffer.bytes.len() < end {
        buffer.bytes.resize(end, 0);
    }
    while buffer.filled < end {
        buffer.need(stream)?;
    }
    Ok(end)
}

/// Reads a body that ends with the connection.
fn until_close(stream: &TcpStream, buffer: &mut Buffer, start: usize) -> Result<usize, Error> {
    while buffer.fill(stream)? {
        if buffer.filled - start > BODY_LIMIT {
            return Err(Error::TooLarge);
        }
    }
    Ok(buffer.filled)
}

/// Reads a body in chunks and puts them together in place; returns its end.
///
/// ```text
///   head | body so far | gap | not looked at yet | free
///        start         out   at                  filled
/// ```
fn chunked(stream: &TcpStream, buffer: &mut Buffer, start: usize) -> Result<usize, Error> {
    let (mut out, mut at) = (start, start);
    loop {
        let size = loop {
            match httparse::parse_chunk_size(&buffer.bytes[at..buffer.filled]) {
                Ok(httparse::Status::Complete((line, size))) => {
                    at += line;
                    break size;
                }
                Ok(httparse::Status::Partial) if buffer.filled - at > CHUNK_LINE_LIMIT => {
                    return Err(Error::Malformed("a chunk's size without an end"));
                }
                Ok(httparse::Status::Partial) => more(stream, buffer, out, &mut at)?,
                Err(_) => return Err(Error::Malformed("a chunk's size that is no number")),
            }
        };
        if size == 0 {
            // Only trailers may follow, which the request did not ask for.
            return Ok(out);
        }
        let room = BODY_LIMIT - (out - start);
        let mut left = usize::try_from(size).ok().filter(|size| *size <= room).ok_or(Error::TooLarge)?;
        while left > 0 {
            if at == buffer.filled {
                more(stream, buffer, out, &mut at)?;
            }
            let part = left.min(buffer.filled - at);
            buffer.bytes.copy_within(at..at + part, out);
            out += part;
            at += part;
            left -= part;
        }
        while buffer.filled - at < 2 {
            more(stream, buffer, out, &mut at)?;
        }
        if &buffer.bytes[at..at + 2] != b"\r\n" {
            return Err(Error::Malformed("a chunk longer than its size"));
        }
        at += 2;
    }
}

/// Reads once, after closing the gap between `out` and `at` when that costs little or room is
/// short.
fn more(stream: &TcpStream, buffer: &mut Buffer, out: usize, at: &mut usize) -> Result<(), Error> {
    if *at == buffer.filled || buffer.filled == buffer.bytes.len() {
        buffer.bytes.copy_within(*at..buffer.filled, out);
        buffer.filled -= *at - out;
        *at = out;
    }
    buffer.need(stream)
}
