//! Serves one file over HTTP, whole or in parts: `sendfile` moves it, and a client that is slow
//! keeps only its own greenlet waiting.
//!
//! ```text
//! cargo run --example sendfile                              # a file and clients of its own
//! cargo run --example sendfile -- FILE 127.0.0.1:8000       # for real
//! curl -r 100-199 http://127.0.0.1:8000/
//! ```
//!
//! Ends by itself: yes, unless it is given a file

#[cfg(unix)]
#[path = "http/head.rs"]
mod http_head;

#[cfg(unix)]
pub(crate) mod unix {
    use std::io::{self, BufReader, Read, Write};
    use std::ops::Range;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use httparse::{EMPTY_HEADER, Request, Status};
    use ramie::fs::{self, File};
    use ramie::io::sendfile;
    use ramie::net::{Shutdown, TcpListener, TcpStream};
    use ramie::{sleep, spawn};

    use super::http_head::{HEADERS, head, malformed};

    /// The time for which a client may receive nothing.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// The size of the file that the example creates.
    const LENGTH: usize = 16 << 20;

    pub(crate) fn main() -> io::Result<()> {
        let mut arguments = std::env::args().skip(1);
        let Some(path) = arguments.next() else { return demonstrate() };
        let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        let listener = TcpListener::bind(address)?;
        println!("{path} is on http://{}/", listener.local_addr()?);
        serve(&listener, File::open(path)?)
    }

    /// Serves a file to every client, without end.
    pub(crate) fn serve(listener: &TcpListener, file: File) -> io::Result<()> {
        let file = Rc::new(file);
        loop {
            let (stream, peer) = listener.accept()?;
            let file = file.clone();
            spawn(move || match answer(&stream, &file) {
                Ok(sent) => println!("{peer}: {} bytes from {}", sent.end - sent.start, sent.start),
                Err(error) => println!("{peer}: {error}"),
            });
        }
    }

    /// Answers one request, and returns what part of the file was sent.
    fn answer(mut stream: &TcpStream, file: &File) -> io::Result<Range<u64>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = head(&mut BufReader::new(stream))?.ok_or_else(|| malformed("nothing was asked"))?;
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut request = Request::new(&mut headers);
        let Ok(Status::Complete(_)) = request.parse(&head) else {
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
            return Err(malformed("this is no request"));
        };
        let length = file.metadata()?.len();
        let range = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("range"));
        let wanted = range.and_then(|range| part(std::str::from_utf8(range.value).ok()?, length));
        let (status, part) = match (request.method, wanted) {
            (Some("GET" | "HEAD"), None) => ("200 OK".to_owned(), 0..length),
            (Some("GET" | "HEAD"), Some(part)) if part.is_empty() => {
                (format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{length}"), part)
            }
            (Some("GET" | "HEAD"), Some(part)) => {
                let named = format!("{}-{}/{length}", part.start, part.end - 1);
                (format!("206 Partial Content\r\nContent-Range: bytes {named}"), part)
            }
            _ => ("405 Method Not Allowed\r\nAllow: GET, HEAD".to_owned(), 0..0),
        };
        let count = part.end - part.start;
        let more = "Accept-Ranges: bytes\r\nConnection: close";
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {count}\r\n{more}\r\n\r\n")?;
        let mut offset = part.start;
        if request.method == Some("GET") {
            sendfile(stream, file, &mut offset, count)?;
        }
        stream.shutdown(Shutdown::Write)?;
        Ok(part.start..offset)
    }

    /// Returns the range of a header's `bytes=`. Returns `None` if it is not one part: then the
    /// whole file is a correct answer.
    fn part(range: &str, length: u64) -> Option<Range<u64>> {
        let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
        match (first, last) {
            ("", last) => Some(length.saturating_sub(last.parse().ok()?)..length),
            (first, "") => Some(first.parse::<u64>().ok()?.min(length)..length),
            (first, last) => {
                let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
                (first <= last).then(|| first.min(length)..last.saturating_add(1).min(length))
            }
        }
    }

    /// Serves a file of its own to three clients of its own at the same time.
    fn demonstrate() -> io::Result<()> {
        let path = std::env::temp_dir().join(format!("ramie-sendfile-{}", std::process::id()));
        let contents = (0..LENGTH).map(|at| ((at / 251) ^ at) as u8).collect::<Vec<_>>();
        fs::write(&path, &contents)?;
        let file = File::open(&path)?;
        // It stays as long as it is open.
        fs::remove_file(&path)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = spawn(move || serve(&listener, file));
        let contents = Rc::new(contents);
        let client = |name: &'static str, range: Option<Range<usize>>, pause: Duration| {
            let contents = contents.clone();
            spawn(move || {
                let start = Instant::now();
                let wanted = range.clone().map_or_else(String::new, |range| {
                    format!("Range: bytes={}-{}\r\n", range.start, range.end - 1)
                });
                let mut stream = TcpStream::connect(address)?;
                write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\n{wanted}\r\n")?;
                let mut stream = BufReader::with_capacity(1 << 20, stream);
                head(&mut stream)?;
                let mut body = Vec::new();
                while stream.by_ref().take(1 << 20).read_to_end(&mut body)? > 0 {
                    sleep(pause);
                }
                let right = body == contents[range.unwrap_or(0..LENGTH)];
                println!("{name}: {} bytes in {:.0?}, right: {right}", body.len(), start.elapsed());
                if right { Ok(()) } else { Err(malformed("not what was asked for")) }
            })
        };
        let clients = [
            client("the slow one", None, Duration::from_millis(20)),
            client("the quick one", None, Duration::ZERO),
            client("the modest one", Some(1_000_000..1_000_100), Duration::ZERO),
        ];
        for client in clients {
            client.take().expect("it is not killed")?;
        }
        server.kill();
        Ok(())
    }
}

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("there is no sendfile here");
}
