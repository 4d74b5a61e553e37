//! Requests, as they come in.

use std::io::{self, Read};

use super::Keep;

const MOST_HEADERS: usize = 64;
const LONGEST_HEAD: usize = 16 * 1024;
const LONGEST_BODY: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    /// One that nothing here knows.
    Other,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The target as it came.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(super) keep: Keep,
}

impl Request {
    /// The target without what follows a question mark.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// The next step of the server.
pub(super) enum Next {
    Request(Request),
    /// The status to refuse it with. What follows cannot be told apart any more.
    Bad(u16),
    /// Nothing, before more is received; `continues` if the other side wants to be told that it may
    /// send a body.
    More {
        continues: bool,
    },
}

/// The head of a request. The body may not have arrived yet.
struct Head {
    request: Request,
    body_length: usize,
    expects: bool,
}

/// Received bytes that are not parsed yet.
pub(super) struct Incoming {
    bytes: Vec<u8>,
    head: Option<Head>,
    /// `true` once the stream has ended.
    ended: bool,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Incoming { bytes: Vec::new(), head: None, ended: false }
    }

    /// Receives something; 0 at the end of the stream.
    pub(super) fn receive(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        let mut buffer = [0; 8192];
        let length = match stream.read(&mut buffer) {
            // Between two requests a connection may come to any end; in the middle of one it may
            // not.
            Err(error) if self.is_empty() && is_end(&error) => 0,
            other => other?,
        };
        self.bytes.extend_from_slice(&buffer[..length]);
        self.ended = length == 0;
        if self.ended && !self.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the request is not complete"));
        }
        Ok(length)
    }

    /// Returns `true` if no part of a request has arrived.
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.head.is_none()
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        if self.head.is_none() {
            match parse(&self.bytes[..self.bytes.len().min(LONGEST_HEAD)]) {
                Ok(Some((head, length))) => {
                    self.bytes.drain(..length);
                    self.head = Some(head);
                }
                Ok(None) if self.bytes.len() >= LONGEST_HEAD => return Ok(Next::Bad(431)),
                Ok(None) => return Ok(Next::More { continues: false }),
                Err(status) => return Ok(Next::Bad(status)),
            }
        }
        match &mut self.head {
            Some(head) if self.bytes.len() < head.body_length => {
                // Only once, and only if it has not begun to send it.
                let continues = std::mem::take(&mut head.expects) && self.bytes.is_empty();
                Ok(Next::More { continues })
            }
            head => {
                let Head { mut request, body_length, .. } = head.take().expect("it was parsed above");
                request.body = self.bytes.drain(..body_length).collect();
                Ok(Next::Request(request))
            }
        }
    }
}

/// Returns `true` if the peer has closed the connection, in any way, or has no further request.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
    )
}

/// A head and its length, `None` if it is not all there, or the status to refuse it with.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, u16> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(httparse::Error::Version) => return Err(505),
        Err(_) => return Err(400),
    };
    let old = parsed.version == Some(0);
    let values = |name: &'static str| {
        let named = parsed.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    };
    let has = |name, token: &str| {
        let words = values(name).flat_map(|value| value.split(|byte| *byte == b','));
        words.map(<[u8]>::trim_ascii).any(|word| word.eq_ignore_ascii_case(token.as_bytes()))
    };
    if values("Host").count() != 1 && !old || values("Host").count() > 1 {
        return Err(400);
    }
    // A body in chunks: where it ends would have to be guessed otherwise.
    if values("Transfer-Encoding").next().is_some() {
        return Err(501);
    }
    let mut body_length = None;
    for value in values("Content-Length") {
        let value = number(value).ok_or(400_u16)?;
        if body_length.replace(value).is_some_and(|other| other != value) {
            return Err(400);
        }
    }
    let body_length = body_length.unwrap_or(0);
    if body_length > LONGEST_BODY {
        return Err(413);
    }
    let keep = match (old, has("Connection", "close"), has("Connection", "keep-alive")) {
        (_, true, _) | (true, _, false) => Keep::No,
        (true, _, true) => Keep::Said,
        (false, ..) => Keep::Yes,
    };
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => Method::Other,
    };
    let target = parsed.path.unwrap_or_default().to_owned();
    let request = Request { method, target, body: Vec::new(), keep };
    Ok(Some((Head { request, body_length, expects: has("Expect", "100-continue") }, length)))
}

/// Digits and nothing else; a number that is too large for us is as large as can be.
fn number(text: &[u8]) -> Option<usize> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX))
}
