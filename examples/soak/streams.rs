//! An echo server on TCP and one on a Unix socket, with peers that are slow, silent, rude, killed
//! or too late; and pipes.

use std::error::Error;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use ramie::io::pipe;
use ramie::net::{Shutdown, SocketAddr, TcpStream};
use ramie::os::unix::net::{UnixListener, UnixStream};
use ramie::server::StreamServer;
use ramie::{Greenlet, joinall, sleep, spawn, with_timeout};

use super::context::{Context, Living, Random, kill_some};

/// The limit of a read or a write.
const LIMIT: Duration = Duration::from_secs(10);
/// The time that a handler waits for a silent peer.
const IDLE: Duration = Duration::from_secs(2);

/// The part of the books that a peer uses.
#[derive(Clone)]
struct Peer {
    context: Context,
    address: SocketAddr,
    path: Rc<std::path::Path>,
}

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    let handlers = Living::default();
    let counted = handlers.clone();
    let server = StreamServer::bind("127.0.0.1:0", move |mut stream: TcpStream, _peer| {
        let _one = counted.one();
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        echo(&mut stream)
    })?;
    server.start()?;
    let path = std::env::temp_dir().join(format!("ramie-soak-{}-{:x}", std::process::id(), context.seed));
    let counted = handlers.clone();
    let local = StreamServer::new(UnixListener::bind(&path)?, move |mut stream: UnixStream, _peer| {
        let _one = counted.one();
        stream.set_read_timeout(Some(IDLE))?;
        echo(&mut stream)
    });
    local.set_limit(8);
    local.start()?;

    let peer = Peer { context: context.clone(), address: server.address()?, path: path.clone().into() };
    context.rounds(|random| {
        let peers: Vec<_> = (0..random.size(12)).map(|_| misbehaving(&peer, random.fork())).collect();
        let honest: Vec<_> = (0..random.size(6)).map(|_| honest(&peer, random.fork())).collect();
        let kills = kill_some(&peers, random, 4);
        joinall(&peers);
        joinall(&honest);
        context.count("peers that misbehave", peers.len() as u64);
        context.count("kills", kills);
        Ok::<(), io::Error>(())
    })?;

    context.check(server.stop_timeout(LIMIT), || "handlers of the server had to be killed".to_owned());
    context.check(local.stop_timeout(LIMIT), || "handlers of the local server had to be killed".to_owned());
    std::fs::remove_file(path)?;
    context.equal("greenlets of handlers", server.handlers().len() + local.handlers().len(), 0);
    context.equal("handlers", handlers.count(), 0);
    Ok(())
}

fn echo(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

/// A peer that gets every byte back. Any error is a discrepancy.
fn honest(peer: &Peer, mut random: Random) -> Greenlet<()> {
    let peer = peer.clone();
    spawn(move || {
        let result = match random.below(4) {
            0 => split(&peer, &mut random),
            1 => slow(&peer, &mut random),
            2 => local(&peer, &mut random),
            _ => through_a_pipe(&peer, &mut random),
        };
        peer.context.check(result.is_ok(), || format!("an honest peer failed: {result:?}"));
    })
}

/// Writes in one greenlet and reads in another, more than all buffers hold.
fn split(peer: &Peer, random: &mut Random) -> io::Result<()> {
    let stream = TcpStream::connect(peer.address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let sent = random_text(random);
    let (mut read, mut write) = stream.into_split();
    let text = sent.clone();
    let writer = spawn(move || {
        write.write_all(&text)?;
        drop(write);
        Ok::<(), io::Error>(())
    });
    let mut received = Vec::new();
    read.read_to_end(&mut received)?;
    writer.take()??;
    compare(peer, &sent, &received);
    Ok(())
}

fn random_text(random: &mut Random) -> Vec<u8> {
    if random.once_in(8) { random.some_bytes(1 << 20) } else { random.some_bytes(20_000) }
}

fn compare(peer: &Peer, sent: &[u8], received: &[u8]) {
    peer.context.equal("bytes that came back", received.len(), sent.len());
    peer.context.check(received == sent, || "the bytes that came back are others".to_owned());
    peer.context.count("bytes compared", sent.len() as u64);
}

/// Sends a few bytes at a time.
fn slow(peer: &Peer, random: &mut Random) -> io::Result<()> {
    let mut stream = TcpStream::connect(peer.address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let (sent, mut received) = (random.bytes(64), Vec::new());
    for part in sent.chunks(9) {
        stream.write_all(part)?;
        sleep(random.pause(3_000));
    }
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut received)?;
    compare(peer, &sent, &received);
    Ok(())
}

fn local(peer: &Peer, random: &mut Random) -> io::Result<()> {
    let mut stream = UnixStream::connect(&peer.path)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let (sent, mut received) = (random.some_bytes(60_000), Vec::new());
    stream.write_all(&sent)?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut received)?;
    compare(peer, &sent, &received);
    Ok(())
}

fn through_a_pipe(peer: &Peer, random: &mut Random) -> io::Result<()> {
    let (mut reader, mut writer) = pipe()?;
    let sent = random_text(random);
    let text = sent.clone();
    let writing = spawn(move || writer.write_all(&text));
    let mut received = Vec::new();
    reader.read_to_end(&mut received)?;
    writing.take()??;
    compare(peer, &sent, &received);
    Ok(())
}

/// A peer that makes errors of its own.
fn misbehaving(peer: &Peer, mut random: Random) -> Greenlet<()> {
    let peer = peer.clone();
    spawn(move || {
        // It may be reset, refused or late; it must end.
        let _any = misbehave(&peer, &mut random);
    })
}

fn misbehave(peer: &Peer, random: &mut Random) -> io::Result<()> {
    let mut stream = TcpStream::connect(peer.address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    match random.below(6) {
        // Resets the connection with bytes on their way.
        0 => {
            stream.write_all(&random.bytes(5_000))?;
            stream.set_linger(Some(Duration::ZERO))?;
        }
        // Ends its half and waits for the other.
        1 => {
            stream.shutdown(Shutdown::Write)?;
            let end = stream.read(&mut [0; 16])?;
            peer.context.equal("bytes after a shutdown", end, 0);
        }
        // Says nothing.
        2 => sleep(random.pause(5_000)),
        // Says nothing until the handler has lost patience.
        3 if random.once_in(4) => {
            let end = stream.read(&mut [0; 16])?;
            peer.context.equal("bytes from an idle handler", end, 0);
        }
        // Sends and never reads, until neither side can continue.
        4 => {
            let bytes = random.bytes(200_000);
            let _late = with_timeout(random.pause(20_000), || while stream.write(&bytes).is_ok() {});
        }
        // Is cut in the middle of an exchange.
        _ => {
            let bytes = random.bytes(50_000);
            let _late = with_timeout(random.pause(3_000), || {
                stream.write_all(&bytes)?;
                stream.read_exact(&mut vec![0; bytes.len()])
            });
        }
    }
    Ok(())
}
