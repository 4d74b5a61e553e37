//! A datagram server, which answers with the bytes that it got.

use std::error::Error;
use std::io;
use std::time::Duration;

use ramie::joinall;
use ramie::net::UdpSocket;
use ramie::server::DatagramServer;
use ramie::spawn;

use super::context::{Context, Living, kill_some};

/// The time after which a question is repeated.
const PATIENCE: Duration = Duration::from_millis(500);
/// The number of times that a question is asked. The system may drop a datagram, but not so many in
/// a row.
const TRIES: u64 = 20;

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    let handlers = Living::default();
    let counted = handlers.clone();
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let reply = socket.try_clone()?;
    let server = DatagramServer::new(socket, move |data: Vec<u8>, peer| {
        let _one = counted.one();
        reply.send_to(&data, peer).map(drop)
    });
    server.start()?;
    let address = server.address()?;

    context.rounds(|random| {
        let peers: Vec<_> = (0..random.size(8))
            .map(|_| {
                let (mut random, context) = (random.fork(), context.clone());
                spawn(move || {
                    let result = (|| {
                        let socket = UdpSocket::bind("127.0.0.1:0")?;
                        socket.connect(address)?;
                        ask(&context, &socket, &random.some_bytes(2_000))
                    })();
                    context.check(result.is_ok(), || format!("a question failed: {result:?}"));
                })
            })
            .collect();
        // The answers to these are never read.
        let stray = UdpSocket::bind("127.0.0.1:0")?;
        stray.send_to(b"", address)?;
        stray.send_to(b"stray", address)?;
        context.count("kills", kill_some(&peers, random, 6));
        joinall(&peers);
        context.count("peers", peers.len() as u64);
        Ok::<(), io::Error>(())
    })?;

    context.check(server.stop_timeout(Duration::from_secs(10)), || "handlers had to be killed".to_owned());
    context.equal("handlers", handlers.count(), 0);
    Ok(())
}

fn ask(context: &Context, socket: &UdpSocket, question: &[u8]) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 4096];
    for _ in 0..TRIES {
        socket.send(question)?;
        match socket.recv(&mut answer) {
            Ok(length) => {
                context.check(answer[..length] == *question, || {
                    "an answer belongs to another question".to_owned()
                });
                return Ok(());
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                context.count("questions repeated", 1);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
