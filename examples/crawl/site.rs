//! The example's own site: a server in the crawler's own thread, as badly behaved as its [`Plan`]
//! wants it.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};

use crate::http::BODY_LIMIT;
use crate::options::Options;
use crate::outcome::{Outcome, Tally};
use crate::plan::{Kind, Plan};

/// A request's head that is longer is not read.
const REQUEST_LIMIT: usize = 4096;

/// The site: what there is, and what was asked for.
#[derive(Debug)]
pub(crate) struct Site {
    plan: Plan,
    timeout: Duration,
    listener: TcpListener,
    closed: Cell<bool>,
    requests: Cell<u64>,
    strays: Cell<u64>,
    slow: Cell<u64>,
    left: Cell<u64>,
    /// For each page the length of its body, once it was served.
    bodies: RefCell<Vec<Option<u32>>>,
}

impl Site {
    /// Binds a loopback port of the system's choice.
    pub(crate) fn open(options: &Options) -> io::Result<Rc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let origin = format!("http://{}", listener.local_addr()?);
        Ok(Rc::new(Site {
            plan: Plan::new(options.pages, options.seed, origin),
            timeout: options.timeout,
            listener,
            closed: Cell::new(false),
            requests: Cell::new(0),
            strays: Cell::new(0),
            slow: Cell::new(0),
            left: Cell::new(0),
            bodies: RefCell::new(vec![None; options.pages as usize]),
        }))
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Serves each connection in a greenlet, until the site is closed.
    pub(crate) fn serve(self: Rc<Self>) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let site = self.clone();
                    ramie::spawn(move || {
                        let _left = site.answer(stream);
                    });
                }
                Err(_) if self.closed.get() => return,
                // Most likely no descriptor is left. Some will be given back.
                Err(_) => ramie::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Takes no further connection.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.listener.close();
    }

    /// Returns the counts that a crawl of the whole site must report.
    pub(crate) fn expected(&self) -> Tally {
        let mut tally = Tally::default();
        (0..self.plan.pages()).for_each(|page| tally.add(self.plan.kind(page).outcome()));
        tally
    }

    /// The bytes of the bodies that were served whole, each page counted once.
    pub(crate) fn bytes(&self) -> u64 {
        self.bodies.borrow().iter().flatten().map(|bytes| u64::from(*bytes)).sum()
    }

    /// Requests that were received.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Requests for what is no page.
    pub(crate) fn strays(&self) -> u64 {
        self.strays.get()
    }

    /// Returns the number of requests for slow pages, and the number of clients that left without
    /// the answer.
    pub(crate) fn slow(&self) -> (u64, u64) {
        (self.slow.get(), self.left.get())
    }

    fn answer(&self, stream: TcpStream) -> io::Result<()> {
        let mut head = [0; REQUEST_LIMIT];
        let Some(target) = read_request(&stream, &mut head)? else { return Ok(()) };
        self.requests.update(|requests| requests + 1);
        let Some(page) = self.plan.page(target) else {
            self.strays.update(|strays| strays + 1);
            return respond(&stream, 404, "text/plain", "no such page");
        };
        let kind = self.plan.kind(page);
        let is_slow = kind.outcome() == Outcome::Slow;
        self.slow.update(|slow| slow + u64::from(is_slow));
        // Half of these pages are there for clients that leave early; from the slow ones every
        // client does.
        let answered = self.answer_with(stream, page, kind);
        self.left.update(|left| left + u64::from(is_slow && answered.is_err()));
        answered
    }

    fn answer_with(&self, stream: TcpStream, page: u32, kind: Kind) -> io::Result<()> {
        let throw = self.plan.dice(page, "answer");
        match kind {
            Kind::Html => self.serve_page(&stream, page, throw),
            Kind::Late => {
                let most = self.timeout.min(Duration::from_millis(500)) / 4;
                patience(&stream, most * (1 + (throw % 4) as u32) / 4)?;
                self.serve_page(&stream, page, throw)
            }
            Kind::Slow => {
                patience(&stream, 4 * self.timeout + Duration::from_secs(1))?;
                self.serve_page(&stream, page, throw)
            }
            Kind::Endless => endless(&stream, self.timeout / 10),
            Kind::Large => large(&stream, throw),
            Kind::Missing => {
                let decoy = "<a href=\"/decoy/4.html\">decoy</a>";
                respond(&stream, if throw.is_multiple_of(2) { 404 } else { 410 }, "text/html", decoy)
            }
            Kind::Failing => {
                respond(&stream, if throw.is_multiple_of(2) { 500 } else { 503 }, "text/html", "<h1>Oh no")
            }
            Kind::Reset => {
                half(&stream, throw)?;
                // Without lingering, closing is resetting.
                stream.set_linger(Some(Duration::ZERO))
            }
            Kind::Truncated => half(&stream, throw),
            Kind::Malformed => malformed(&stream, throw),
            Kind::Redirect => {
                let status = [301, 302, 303, 307, 308][(throw % 5) as usize];
                // A header is ASCII; the rest of the world is escaped.
                let location = self.plan.redirect(page).replace("é", "%C3%A9").replace(' ', "%20");
                let head =
                    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
                (&stream).write_all(head.as_bytes())
            }
            Kind::Text => {
                let mut text = String::new();
                self.plan.write_text(page, &mut text);
                self.bodies.borrow_mut()[page as usize] = Some(text.len() as u32);
                respond(&stream, 200, "text/plain; charset=utf-8", &text)
            }
        }
    }

    /// Serves a page of HTML in one of the ways to mark its end.
    fn serve_page(&self, mut stream: &TcpStream, page: u32, throw: u64) -> io::Result<()> {
        let mut html = String::with_capacity(4096);
        self.plan.write_html(page, &mut html);
        self.bodies.borrow_mut()[page as usize] = Some(html.len() as u32);
        match throw % 4 {
            0 | 1 => respond(stream, 200, "text/html; charset=utf-8", &html),
            2 => {
                let head = "HTTP/1.0 200 OK\r\ncontent-type: Text/HTML\r\n\r\n";
                stream.write_all([head, &html].concat().as_bytes())
            }
            _ => {
                let mut answer = Vec::with_capacity(html.len() + 1024);
                answer.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n\r\n");
                answer.extend_from_slice(CHUNKED.as_bytes());
                for part in html.as_bytes().chunks(1 + throw as usize / 4 % 1500) {
                    write!(answer, "{:X};extension=1\r\n", part.len())?;
                    answer.extend_from_slice(part);
                    answer.extend_from_slice(b"\r\n");
                }
                answer.extend_from_slice(b"0\r\nTrailer: 1\r\n\r\n");
                stream.write_all(&answer)
            }
        }
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The target of a request; `None` when the client has left, or talks nonsense.
fn read_request<'a>(mut stream: &TcpStream, head: &'a mut [u8]) -> io::Result<Option<&'a str>> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut head[filled..])?;
        filled += read;
        if read == 0 {
            return Ok(None);
        }
        if head[..filled].ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let mut words = head[..filled].split(|byte| *byte == b' ');
    let target = (words.next() == Some(b"GET")).then(|| words.next()).flatten();
    Ok(target.and_then(|target| str::from_utf8(target).ok()))
}

fn respond(mut stream: &TcpStream, status: u16, media: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} So\r\nContent-Type: {media}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes())
}

/// Waits. Returns an error if the client leaves during the wait.
fn patience(mut stream: &TcpStream, time: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(time.max(Duration::from_millis(1))))?;
    match stream.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Sends a body that never ends, a little at a time, for as long as the client likes.
fn endless(mut stream: &TcpStream, interval: Duration) -> io::Result<()> {
    stream.write_all(CHUNKED.as_bytes())?;
    loop {
        stream.write_all(b"8\r\n<p>more\n\r\n")?;
        ramie::sleep(interval.min(Duration::from_millis(50)));
    }
}

/// Announces a body that is too large, or just sends one.
fn large(mut stream: &TcpStream, throw: u64) -> io::Result<()> {
    if throw.is_multiple_of(2) {
        let length = BODY_LIMIT as u64 + 1 + throw % 1_000_000_000;
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n<p>");
        return stream.write_all(head.as_bytes());
    }
    const CHUNK: usize = 32 * 1024;
    stream.write_all(CHUNKED.as_bytes())?;
    let chunk = [format!("{CHUNK:x}\r\n").into_bytes(), vec![b'.'; CHUNK], b"\r\n".to_vec()].concat();
    (0..=BODY_LIMIT / CHUNK).try_for_each(|_| stream.write_all(&chunk))
}

/// Sends less than was promised.
fn half(mut stream: &TcpStream, throw: u64) -> io::Result<()> {
    let answer = match throw % 3 {
        0 => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Le",
        1 => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n<p>Half a page",
        _ => {
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\na\r\n<p>Half a \r\n"
        }
    };
    stream.write_all(answer.as_bytes())
}

/// Sends what is no response.
fn malformed(mut stream: &TcpStream, throw: u64) -> io::Result<()> {
    let answer: &[u8] = match throw % 7 {
        0 => b"\0\xFF\x16\x03 this is not HTTP\r\n\r\n",
        1 => b"HTTP/9.9 two hundred\r\n\r\n",
        2 => b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n<p>",
        3 => b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n<p>",
        4 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<p>\r\n0\r\n\r\n",
        5 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nlonger than it says\r\n0\r\n\r\n",
        _ => b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    };
    stream.write_all(answer)
}
