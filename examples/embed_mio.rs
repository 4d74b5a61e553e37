//! Runs greenlets inside a mio loop: the hub is one of its sources, by the number of its descriptor.
//!
//! ```text
//! cargo run --example embed_mio
//! ```
//!
//! Ends by itself: yes

fn main() -> std::io::Result<()> {
    #[cfg(unix)]
    unix::main()?;
    #[cfg(not(unix))]
    println!("the hub has a descriptor on Unix only");
    Ok(())
}

#[cfg(unix)]
mod unix {
    use std::io::{self, ErrorKind, Read, Write};
    use std::os::fd::AsRawFd;
    use std::time::Instant;

    use mio::net::TcpStream as MioStream;
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};
    use ramie::net::TcpListener;
    use ramie::{get_hub, spawn};

    const HUB: Token = Token(0);
    const CLIENT: Token = Token(1);
    const MESSAGE: &[u8] = b"from a mio loop, through a greenlet and back";

    pub(super) fn main() -> io::Result<()> {
        let hub = get_hub();

        // An echo server of greenlets.
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        spawn(move || -> io::Result<()> {
            loop {
                let (mut stream, peer) = listener.accept()?;
                println!("  server: {peer} is here");
                spawn(move || io::copy(&mut stream.try_clone()?, &mut stream));
            }
        });

        // mio reports edges: an event of the hub after `poll_once` is a new one.
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(16);
        poll.registry().register(&mut SourceFd(&hub.as_raw_fd()), HUB, Interest::READABLE)?;
        let mut next = hub.poll_once();

        // A client of the loop's own.
        let mut client = MioStream::connect(address)?;
        poll.registry().register(&mut client, CLIENT, Interest::READABLE | Interest::WRITABLE)?;
        let (mut sent, mut answer) = (false, Vec::new());
        while answer.len() < MESSAGE.len() {
            poll.poll(&mut events, next.timeout(Instant::now()))?;
            for event in &events {
                if event.token() == CLIENT && event.is_writable() && !sent {
                    client.write_all(MESSAGE)?;
                    sent = true;
                }
                if event.token() == CLIENT && event.is_readable() {
                    read_all(&mut client, &mut answer)?;
                }
            }
            next = hub.poll_once();
        }
        println!("loop: {:?}", String::from_utf8_lossy(&answer));
        assert_eq!(answer, MESSAGE);
        Ok(())
    }

    /// Reads everything that has arrived.
    fn read_all(client: &mut MioStream, into: &mut Vec<u8>) -> io::Result<()> {
        match client.read_to_end(into) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other.map(drop),
        }
    }
}
