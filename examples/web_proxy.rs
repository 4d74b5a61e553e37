//! An HTTP proxy: a greenlet for each client, a tunnel for `CONNECT`, and headers that end at the
//! proxy taken out of the others.
//!
//! ```text
//! cargo run --example web_proxy        # or with an address: -- 127.0.0.1:8889
//! curl -x 127.0.0.1:8888 http://example.com/
//! curl -x 127.0.0.1:8888 https://example.com/
//! ```
//!
//! Ends by itself: no

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Header};
use ramie::io::copy_bidirectional;
use ramie::net::{TcpListener, TcpStream};
use ramie::{Pool, scope};

#[path = "http/head.rs"]
mod http_head;

use http_head::{HEADERS, head, line, malformed};

/// The maximum number of clients at a time; others wait in the listener's backlog.
const CLIENTS: usize = 1000;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The time for which either side may be silent in the middle of a message.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// The headers between two neighbours only, beside those that `Connection` names.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8888".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("proxy on {}", listener.local_addr()?);
    serve(&listener)
}

/// Serves every client, without end.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let clients = Pool::new(CLIENTS);
    loop {
        let (stream, peer) = listener.accept()?;
        clients.spawn(move || {
            if let Err(error) = client(&stream) {
                println!("{peer}: {error}");
            }
        });
    }
}

/// Serves one client until it goes, or until where something ends is no longer known.
fn client(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_LIMIT))?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = head(&mut reader)? {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let request = match parsed.parse(&head).map_err(malformed_head).and_then(|_| Request::from(&parsed)) {
            Ok(request) => request,
            Err(error) => return refuse(stream, "400 Bad Request", &error),
        };
        println!("{} {}", request.method, parsed.path.unwrap_or_default());
        let limit = Instant::now() + CONNECT_LIMIT;
        let server = match TcpStream::connect_timeout(request.server.as_str(), limit) {
            Ok(server) => server,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return refuse(stream, "504 Gateway Timeout", &error);
            }
            Err(error) => return refuse(stream, "502 Bad Gateway", &error),
        };
        if request.method == "CONNECT" {
            return tunnel(stream, reader.buffer(), &server);
        }
        if !forward(&request, &mut reader, stream, &server)? {
            break;
        }
    }
    Ok(())
}

/// Joins the two connections; what the client has sent ahead goes first.
fn tunnel(stream: &TcpStream, ahead: &[u8], mut server: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    { stream }.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    server.write_all(ahead)?;
    copy_bidirectional(stream, server)?;
    Ok(())
}

/// Sends a request on and its answer back. Whether the client may send another one.
fn forward(
    request: &Request<'_>,
    reader: &mut BufReader<&TcpStream>,
    client: &TcpStream,
    mut server: &TcpStream,
) -> io::Result<bool> {
    server.set_read_timeout(Some(SILENCE_LIMIT))?;
    if let Err(error) = server.write_all(&request.head) {
        refuse(client, "502 Bad Gateway", &error)?;
        return Ok(false);
    }
    scope(|s| {
        // At the same time: the server may want to be waited for, or answer before it has been told
        // everything.
        let sending = s.spawn(move || pass_on(reader, server, request.body, true));
        let answered = answer(request, client, server);
        if !sending.ready() {
            sending.kill();
        }
        // If the client has not said everything, what comes next is no request.
        let sent = matches!(sending.join(), Ok(Ok(())));
        Ok(answered? && sent && request.goes_on)
    })
}

/// Sends the server's answer back. Whether the client can tell where it ends.
fn answer(request: &Request<'_>, mut client: &TcpStream, server: &TcpStream) -> io::Result<bool> {
    let mut reader = BufReader::new(server);
    loop {
        let head = match head(&mut reader).and_then(|head| head.ok_or_else(|| malformed("no answer"))) {
            Ok(head) => head,
            Err(error) => return refuse(client, "502 Bad Gateway", &error).map(|()| false),
        };
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let body =
            parsed.parse(&head).map_err(malformed_head).and_then(|_| match parsed.code.unwrap_or_default() {
                101 => Err(malformed("another protocol was not requested")),
                100..200 | 204 | 304 => Ok(Body::None),
                _ if request.method == "HEAD" => Ok(Body::None),
                _ => Body::of(parsed.headers, Body::UntilEnd),
            });
        let body = match body {
            Ok(body) => body,
            Err(error) => return refuse(client, "502 Bad Gateway", &error).map(|()| false),
        };
        let status = parsed.code.unwrap_or_default();
        let mut head = format!("HTTP/1.1 {status} {}\r\n", parsed.reason.unwrap_or_default()).into_bytes();
        pass_headers(parsed.headers, body, request.knows_chunks, &mut head);
        let last = status >= 200;
        // A client of HTTP/1.0 does not know them, and is not told where the chunks are, so only
        // the end shows the end.
        let ends =
            request.knows_chunks && body != Body::UntilEnd || matches!(body, Body::None | Body::Length(_));
        if last && !(ends && request.goes_on) {
            head.extend_from_slice(b"Connection: close\r\n");
        }
        head.extend_from_slice(b"\r\n");
        if last || request.knows_chunks {
            client.write_all(&head)?;
        }
        if last {
            pass_on(&mut reader, client, body, request.knows_chunks)?;
            return Ok(ends);
        }
    }
}

/// A parsed request.
struct Request<'a> {
    method: &'a str,
    /// Host and port.
    server: String,
    /// The head as the server gets it.
    head: Vec<u8>,
    body: Body,
    /// `true` if the client means to send another request.
    goes_on: bool,
    /// `true` if the client speaks HTTP/1.1.
    knows_chunks: bool,
}

impl<'a> Request<'a> {
    fn from(parsed: &httparse::Request<'_, 'a>) -> io::Result<Self> {
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(malformed("half a request"));
        };
        let knows_chunks = version == 1;
        let body = Body::of(parsed.headers, Body::None)?;
        let goes_on = knows_chunks && !listed(parsed.headers, "connection").any(|word| word == "close");
        let mut request =
            Request { method, server: target.to_owned(), head: Vec::new(), body, goes_on, knows_chunks };
        if method == "CONNECT" {
            return Ok(request);
        }
        let (scheme, rest) = target.split_at_checked(7).unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("http://") {
            return Err(malformed("a proxy is asked for http://host/path"));
        }
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        // The brackets around a number of IPv6 have colons of their own.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        request.server = if has_port { host.to_owned() } else { format!("{host}:80") };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let first = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {host}\r\n");
        request.head = first.into_bytes();
        let others = parsed.headers.iter().filter(|header| !header.name.eq_ignore_ascii_case("host"));
        pass_headers(&others.copied().collect::<Vec<_>>(), body, true, &mut request.head);
        // One request per connection: no client waits for the end of an answer that does not state
        // its length.
        request.head.extend_from_slice(b"Connection: close\r\n\r\n");
        Ok(request)
    }
}

/// The end of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
    UntilEnd,
}

impl Body {
    fn of(headers: &[Header<'_>], otherwise: Body) -> io::Result<Body> {
        let codings = listed(headers, "transfer-encoding").collect::<Vec<_>>();
        let mut lengths = listed(headers, "content-length");
        let length = lengths.next();
        // A request with two lengths may be understood in two ways by two servers.
        if lengths.any(|other| Some(other) != length) || !codings.is_empty() && length.is_some() {
            return Err(malformed("it has two lengths"));
        }
        match (codings.as_slice(), length) {
            ([], None) => Ok(otherwise),
            ([], Some(length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map(Body::Length).map_err(|_| malformed("such a length"))
            }
            ([chunked], None) if chunked == "chunked" => Ok(Body::Chunked),
            _ => Err(malformed("a body in a form that is not known here")),
        }
    }
}

/// The words of all headers of that name, in small letters.
fn listed<'a>(headers: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = String> + 'a {
    let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.flat_map(|header| {
        let text = String::from_utf8_lossy(header.value).to_ascii_lowercase();
        text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect::<Vec<_>>()
    })
}

/// Adds the headers that are for the next one too, and says that they came by here.
fn pass_headers(headers: &[Header<'_>], body: Body, knows_chunks: bool, head: &mut Vec<u8>) {
    let named = listed(headers, "connection").collect::<Vec<_>>();
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        if HOP_BY_HOP.contains(&name.as_str()) || named.contains(&name) {
            continue;
        }
        head.extend_from_slice(header.name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(header.value);
        head.extend_from_slice(b"\r\n");
    }
    if body == Body::Chunked && knows_chunks {
        head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    head.extend_from_slice(b"Via: 1.1 ramie\r\n");
}

/// Passes a body on, with or without the frames of its chunks.
fn pass_on(reader: &mut impl BufRead, mut writer: &TcpStream, body: Body, frames: bool) -> io::Result<()> {
    match body {
        Body::None => Ok(()),
        Body::Length(length) => exactly(reader, writer, length),
        Body::UntilEnd => io::copy(reader, &mut writer).map(drop),
        Body::Chunked => loop {
            let size = line(reader, 1024)?;
            if frames {
                writer.write_all(&size)?;
            }
            let digits = String::from_utf8_lossy(&size);
            let digits = digits.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| malformed("a chunk without a size"))?;
            exactly(reader, writer, size)?;
            // After a chunk comes the end of a line; after the last one, trailers and an empty
            // line.
            loop {
                let end = line(reader, 8192)?;
                if frames {
                    writer.write_all(&end)?;
                }
                match end.as_slice() {
                    b"\r\n" | b"\n" => break,
                    [] => return Err(io::ErrorKind::UnexpectedEof.into()),
                    _ if size > 0 => return Err(malformed("a chunk is longer than it says")),
                    _ => {}
                }
            }
            if size == 0 {
                return Ok(());
            }
        },
    }
}

fn exactly(reader: &mut impl BufRead, mut writer: &TcpStream, length: u64) -> io::Result<()> {
    match io::copy(&mut reader.by_ref().take(length), &mut writer)? {
        all if all == length => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Tells the client why it gets nothing. The connection is of no more use then.
fn refuse(mut stream: &TcpStream, status: &str, error: &io::Error) -> io::Result<()> {
    let text = format!("{error}\n");
    let length = text.len();
    let head = "Content-Type: text/plain\r\nConnection: close";
    write!(stream, "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{text}")
}

fn malformed_head(error: httparse::Error) -> io::Error {
    malformed(error.to_string())
}
