//! The client of the served workloads: one thread, so many connections, one request under way on each.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ECHOED: [u8; 128] = [b'e'; 128];

struct Connection {
    stream: TcpStream,
    asked: Instant,
    got: usize,
    /// How long an answer is, once one has come.
    length: Option<usize>,
}

/// Asks for about so long, after a third of it to warm up, and prints the figures. `server` is its process.
pub(crate) fn run(
    workload: &str,
    port: u16,
    server: u32,
    connections: usize,
    time: Duration,
) -> io::Result<()> {
    let (request, length) = match workload {
        "echo" => (&ECHOED[..], Some(ECHOED.len())),
        _ => (REQUEST, None),
    };
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut all = Vec::with_capacity(connections);
    for number in 0..connections {
        // One after another, so that no listener's queue is too short for them.
        let stream = std::net::TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        stream.write_all(request)?;
        all.push(Connection { stream, asked: Instant::now(), got: 0, length });
    }
    let warm = Instant::now() + time / 3;
    let mut measured: Option<Instant> = None;
    let mut busy_before = None;
    let mut took: Vec<Duration> = Vec::with_capacity(1 << 20);
    let mut buffer = [0; 4096];
    loop {
        match poll.poll(&mut events, Some(Duration::from_secs(10))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        if events.is_empty() {
            return Err(io::Error::new(ErrorKind::TimedOut, "no answer within 10 s"));
        }
        for event in &events {
            let connection = &mut all[event.token().0];
            // The next answer is an event of its own, so there is nothing more to read.
            if connection.receive(&mut buffer)? {
                let now = Instant::now();
                if measured.is_some() {
                    took.push(now - connection.asked);
                }
                connection.asked = now;
                connection.stream.write_all(request)?;
            }
        }
        let now = Instant::now();
        match measured {
            None if now >= warm => (measured, busy_before) = (Some(now), busy(server)),
            Some(start) if now >= start + time && !took.is_empty() => {
                let busy = busy_before.zip(busy(server)).map(|(before, after)| after - before);
                return report(took, now - start, busy);
            }
            _ => {}
        }
    }
}

impl Connection {
    /// Reads until there is a whole answer (true) or no more for now (false).
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            match self.stream.read(&mut buffer[self.got..]) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has closed")),
                Ok(got) => self.got += got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            // The answers are all alike, so the first one's length is that of each.
            self.length = self.length.or_else(|| length(&buffer[..self.got]));
            if self.length.is_some_and(|length| self.got >= length) {
                self.got = 0;
                return Ok(true);
            }
        }
    }
}

/// How long an HTTP answer is that begins so, if its headers are there.
fn length(answer: &[u8]) -> Option<usize> {
    let text = str::from_utf8(answer).ok()?;
    let (headers, _) = text.split_once("\r\n\r\n")?;
    assert!(headers.starts_with("HTTP/1.1 200 "), "the server answers {headers}");
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    Some(headers.len() + 4 + headers.lines().find_map(header).expect("the answer has its length"))
}

/// The nanoseconds that a process has been running, all its threads together, where the system counts them.
fn busy(process: u32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let of_thread = |thread: io::Result<fs::DirEntry>| {
        let counts = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        counts.split_whitespace().next()?.parse::<u64>().ok()
    };
    threads.map(of_thread).sum()
}

fn report(mut took: Vec<Duration>, time: Duration, busy: Option<u64>) -> io::Result<()> {
    took.sort_unstable();
    let percentile = |percent: usize| took[(took.len() - 1) * percent / 100].as_nanos() as f64 / 1000.0;
    println!("{} req/s", took.len() as f64 / time.as_secs_f64());
    if let Some(busy) = busy {
        println!("{} us cpu", busy as f64 / 1000.0 / took.len() as f64);
    }
    println!("{} us p50", percentile(50));
    println!("{} us p99", percentile(99));
    Ok(())
}
