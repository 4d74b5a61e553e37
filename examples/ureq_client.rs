//! An HTTP client: the crate ureq over our sockets, by a transport of its own.
//!
//! ```text
//! cargo run --example ureq_client                           # asks a server of its own
//! cargo run --example ureq_client -- http://127.0.0.1:8000/ # asks this one
//! ```
//!
//! ureq stores its connections in a pool that threads may share, so a transport must be `Send` and
//! `Sync`. Our streams are neither: `Bound` makes them both, and lets only their own thread reach
//! them. A connection of another thread counts as closed, and is not taken from the pool.
//!
//! Each thread should have an agent of its own: the connections that a thread leaves in a shared pool
//! when it ends are never closed.
//!
//! Ends by itself: yes

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use ramie::hub::Bound;
use ramie::net::{TcpListener, TcpStream, ToSocketAddrs};
use ramie::{Pool, fallible, spawn, with_timeout};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error};

/// Returns an agent whose requests let other greenlets run.
pub(crate) fn agent(config: Config) -> Agent {
    Agent::with_parts(config, Connect, Resolve)
}

/// A connection of the thread that made it.
struct Connection {
    stream: Bound<TcpStream>,
    buffers: LazyBuffers,
}

fn limit(timeout: NextTimeout) -> Option<Duration> {
    (!timeout.after.is_not_happening()).then(|| *timeout.after)
}

/// Runs an operation of a request for at most its timeout.
fn limited<T>(timeout: NextTimeout, f: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
    match with_timeout(limit(timeout), f) {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::Timeout(timeout.reason)),
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = &self.buffers.output()[..amount];
        limited(timeout.for_write(), || self.stream.write_all(output))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let input = self.buffers.input_append_buf();
        let read = limited(timeout.for_read(), || self.stream.read(input))?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    /// Does not wait, because ureq holds the lock of its pool.
    fn is_open(&mut self) -> bool {
        let Some(stream) = self.stream.get_mut() else { return false };
        let silent = |stream: &mut TcpStream| {
            stream.set_nonblocking(true)?;
            let probe = stream.read(&mut [0]);
            stream.set_nonblocking(false)?;
            probe
        };
        // Data that was not asked for makes the connection unusable too.
        silent(stream).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// Opens connections.
#[derive(Debug)]
struct Connect;

impl Connector for Connect {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Connection>, Error> {
        if details.needs_tls() {
            return Err(io::Error::new(ErrorKind::Unsupported, "this client has no TLS").into());
        }
        let stream = limited(details.timeout, || TcpStream::connect(&details.addrs[..]))?;
        stream.set_nodelay(details.config.no_delay())?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Connection { stream: Bound::new(stream), buffers }))
    }
}

/// Resolves names while other greenlets run.
#[derive(Debug)]
struct Resolve;

impl Resolver for Resolve {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let parts = uri.scheme().zip(uri.authority());
        let host = parts.and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority));
        let host = host.ok_or(Error::HostNotFound)?;
        let found = limited(timeout, || host.as_str().to_socket_addrs())?;
        let mut addresses = self.empty();
        // As many as the type has room for.
        found.take(16).for_each(|address| addresses.push(address));
        Ok(addresses)
    }
}

/// Answers each request of a connection with its path.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        while let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len())?;
            request.drain(..end + 4);
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
}

fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let url = format!("http://{}/", listener.local_addr()?);
            spawn(move || {
                for stream in listener.incoming().flatten() {
                    spawn(move || serve(stream));
                }
            });
            url
        }
    };
    let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build();
    let agent = agent(config);
    // Greenlets that run one after another share connections; at most four are open.
    let pool = Pool::new(4);
    let asked = (0..20).map(|number| {
        let (agent, url) = (agent.clone(), format!("{url}{number}"));
        pool.spawn(fallible(move || agent.get(&url).call()?.body_mut().read_to_string()))
    });
    let asked: Vec<_> = asked.collect();
    for greenlet in asked {
        println!("{}", greenlet.take()?);
    }
    Ok(())
}
