//! A server that sends back what it gets, on one core, and its client on another one: requests of 128
//! bytes, one under way for each connection.
//!
//! Each server reads into 1 KiB and writes it all, one task for each connection. `epoll` is the bare
//! loop over mio, what it costs at least, and `least-hub` the same with a stack for each connection.
//! The client (`load.rs`) is the same for all and in no server's process. The figures are the
//! requests a second of all connections together; `cpu`, what the server's process was running for
//! one, in user code and in the system; and the median and the 99th percentile of one's time there
//! and back. The system's part is in all of them. Where the client is the slower one of the two, only
//! `cpu` tells the servers apart.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::least_hub::{self, Ready};
use crate::runtimes::{CurrentThread, InLocalSet, Tokio, Workers, on_may, on_smol};
use crate::uring;
use crate::workload::{Run, Workload, announce};

pub(crate) const ECHO: Workload = Workload {
    name: "echo",
    what: "an echo server of one core, with so many connections",
    unit: "req/s",
    sizes: &[1, 50, 1_000, 10_000],
    growth: &[],
    run: Run::Serve(&[
        ("ramie", ramie),
        ("least-hub", least),
        ("epoll", epoll),
        ("may", may),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
        ("monoio", uring::monoio),
        ("monoio-epoll", uring::monoio_epoll),
        ("glommio", uring::glommio),
        ("threads", threads),
    ]),
    peers: &["go", "gevent"],
};

pub(crate) const ANY_PORT: (&str, u16) = ("127.0.0.1", 0);
pub(crate) const ROOM: usize = 1024;

/// Sends back what comes until nothing does.
fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; ROOM];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            got => stream.write_all(&buffer[..got])?,
        }
    }
}

/// The end of a connection is the client's business.
pub(crate) fn ignore(_end: io::Result<()>) {}

fn ramie() -> io::Result<()> {
    let listener = ramie::net::TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        ramie::spawn(move || ignore(echo(stream)));
    }
}

fn may() -> io::Result<()> {
    on_may(Workers::Cores, || {
        let listener = may::net::TcpListener::bind(ANY_PORT)?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            may::go!(move || ignore(echo(stream)));
        }
    })
}

fn tokio<T: Tokio>() -> io::Result<()> {
    T::block_on(async {
        let listener = tokio::net::TcpListener::bind(ANY_PORT).await?;
        announce(listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            T::spawn(async move {
                let mut buffer = [0; ROOM];
                while let Ok(got @ 1..) = stream.read(&mut buffer).await {
                    ignore(stream.write_all(&buffer[..got]).await);
                }
            });
        }
    })
}

fn smol() -> io::Result<()> {
    on_smol(async |executor| {
        let listener = smol::net::TcpListener::bind(ANY_PORT).await?;
        announce(listener.local_addr()?);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = executor.spawn(async move {
                let mut buffer = [0; ROOM];
                while let Ok(got @ 1..) = stream.read(&mut buffer).await {
                    ignore(stream.write_all(&buffer[..got]).await);
                }
            });
            connection.detach();
        }
    })
}

fn threads() -> io::Result<()> {
    let listener = std::net::TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::Builder::new().spawn(move || ignore(echo(stream)))?;
    }
}

fn least() -> io::Result<()> {
    least_hub::run(|main| {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        announce(listener.local_addr()?);
        let mut listener = Ready::new(main.hub, listener)?;
        loop {
            let (stream, _) = listener.retry(main, |listener| listener.accept())?;
            stream.set_nodelay(true)?;
            let mut stream = Ready::new(main.hub, stream)?;
            main.hub.spawn(move |current| {
                let mut buffer = [0; ROOM];
                while let Ok(got @ 1..) = stream.read(current, &mut buffer) {
                    ignore(stream.write_all(current, &buffer[..got]));
                }
            });
        }
    })
}

const LISTENER: Token = Token(usize::MAX);

/// Edge-triggered, as mio is. A read that does not fill the buffer has taken all there was, so no
/// second one is made; the client has one request under way, so a write finds room.
fn epoll() -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(listener.local_addr()?);
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut buffer = [0; ROOM];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(streams.len()), Interest::READABLE)?;
                    streams.push(stream);
                }
                continue;
            }
            let stream = &mut streams[event.token().0];
            let mut got = ROOM;
            while got == ROOM {
                got = stream.read(&mut buffer).unwrap_or(0);
                ignore(stream.write_all(&buffer[..got]));
            }
        }
    }
}
