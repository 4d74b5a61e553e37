//! Several downloads at once: a greenlet for each, and together they take as long as the slowest.
//!
//! ```text
//! cargo run --example concurrent_download                         # from a server of its own
//! cargo run --example concurrent_download -- http://example.com/ http://www.rust-lang.org/
//! ```
//!
//! Ends by itself: yes

use std::io::{self, BufReader, Read, Write};
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Response};
use ramie::net::{TcpListener, TcpStream};
use ramie::{Greenlet, joinall, sleep, spawn, with_timeout};
use url::{Position, Url};

#[path = "http/head.rs"]
mod http_head;

use http_head::{HEADERS, head, malformed};

/// The limit of one download.
const LIMIT: Duration = Duration::from_secs(30);

fn main() -> io::Result<()> {
    let mut urls = std::env::args().skip(1).collect::<Vec<_>>();
    let server = if urls.is_empty() { Some(server(&mut urls)?) } else { None };
    let start = Instant::now();
    let downloads = urls.into_iter().map(|url| spawn(move || print(&url)));
    joinall(&downloads.collect::<Vec<_>>());
    println!("all of them in {:.0?}", start.elapsed());
    if let Some(server) = server {
        server.kill();
    }
    Ok(())
}

/// Downloads something and says what it begins with.
fn print(url: &str) {
    let start = Instant::now();
    // Whatever it waits for: the name, the connection, a server that stops in the middle.
    match with_timeout(LIMIT, || download(url)) {
        Ok(Ok((status, body))) => {
            let beginning = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            println!("{url}: {status}, {} bytes in {:.0?}: {beginning:?}", body.len(), start.elapsed());
        }
        Ok(Err(error)) => println!("{url}: {error}"),
        Err(late) => println!("{url}: {late}"),
    }
}

/// The status and the body of what is at a URL.
pub(crate) fn download(url: &str) -> io::Result<(u16, Vec<u8>)> {
    let url = Url::parse(url).map_err(|error| malformed(error.to_string()))?;
    let (Some(host), "http") = (url.host_str(), url.scheme()) else {
        return Err(malformed("only http:// is understood here"));
    };
    let mut stream = TcpStream::connect(format!("{host}:{}", url.port().unwrap_or(80)))?;
    // An answer to HTTP/1.0 ends with its connection.
    let named = &url[Position::BeforeHost..Position::AfterPort];
    let path = &url[Position::BeforePath..Position::AfterQuery];
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {named}\r\nUser-Agent: ramie\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader)?.ok_or_else(|| malformed("no answer"))?;
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut answer = Response::new(&mut headers);
    answer.parse(&head).map_err(|error| malformed(error.to_string()))?;
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok((answer.code.unwrap_or_default(), body))
}

/// Starts a slow server. Adds the addresses that it serves to `urls`.
fn server(urls: &mut Vec<String>) -> io::Result<Greenlet<()>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    urls.extend((1..=5).map(|number| format!("http://{address}/{number}00-ms")));
    urls.push("http://127.0.0.1:1/no-server".to_owned());
    Ok(spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            spawn(move || answer(stream));
        }
    }))
}

/// Answers after as many milliseconds as the path says.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let head = head(&mut BufReader::new(&stream))?.unwrap_or_default();
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head).map_err(|error| malformed(error.to_string()))?;
    let path = request.path.unwrap_or_default();
    let digits = path.chars().filter(char::is_ascii_digit).collect::<String>();
    sleep(Duration::from_millis(digits.parse().unwrap_or(0)));
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nthis is {path}\n")
}
