//! The HTTP server of the examples, with clients that pipeline, and peers that send something else.

use std::error::Error;
use std::io::{self, Read, Write};
use std::time::Duration;

use ramie::net::{Shutdown, SocketAddr, TcpStream};
use ramie::server::StreamServer;
use ramie::{joinall, spawn};

use super::context::{Context, Living, Random, kill_some};
use super::http;

const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    let handlers = Living::default();
    let counted = handlers.clone();
    let server = StreamServer::bind("127.0.0.1:0", move |mut stream: TcpStream, _peer| {
        let _one = counted.one();
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.set_write_timeout(Some(Duration::from_millis(500)))?;
        http::serve(&mut stream, http::site)
    })?;
    server.set_limit(32);
    server.start()?;
    let address = server.address()?;

    context.rounds(|random| {
        let clients: Vec<_> = (0..random.size(6))
            .map(|_| {
                let (mut random, context) = (random.fork(), context.clone());
                spawn(move || {
                    let result = client(&context, address, &mut random);
                    context.check(result.is_ok(), || format!("a client failed: {result:?}"));
                })
            })
            .collect();
        let strangers: Vec<_> = (0..random.size(4))
            .map(|_| {
                let mut random = random.fork();
                spawn(move || {
                    // Refused, reset or left alone: it must end.
                    let _any = stranger(address, &mut random);
                })
            })
            .collect();
        context.count("kills", kill_some(&strangers, random, 3));
        joinall(&clients);
        joinall(&strangers);
        Ok::<(), io::Error>(())
    })?;

    context.check(server.stop_timeout(LIMIT), || "handlers had to be killed".to_owned());
    context.equal("handlers", handlers.count(), 0);
    Ok(())
}

/// Sends requests, some of them before the answers to the earlier ones, and counts the answers.
fn client(context: &Context, address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let (mut requests, mut echoed) = (Vec::new(), 0);
    let number = random.size(20);
    for _ in 0..number {
        if random.once_in(3) {
            let body = vec![b'x'; random.size(3_000)];
            echoed += body.len();
            write!(requests, "POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: {}\r\n\r\n", body.len())?;
            requests.extend(body);
        } else {
            requests.extend(b"GET / HTTP/1.1\r\nHost: soak\r\n\r\n");
        }
    }
    let part = random.size(requests.len() as u64);
    stream.write_all(&requests[..part])?;
    ramie::sleep(random.pause(2_000));
    stream.write_all(&requests[part..])?;
    stream.shutdown(Shutdown::Write)?;
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers)?;
    let found = answers.windows(15).filter(|window| window == b"HTTP/1.1 200 OK").count();
    context.equal("answers", found, number);
    let bodies = answers.iter().filter(|byte| **byte == b'x').count();
    // No header that the server sends has an x but the type of an echo, and that of a page.
    let in_types = answers.windows(9).filter(|window| window == b"text/html").count();
    context.check(bodies >= echoed + in_types, || format!("{bodies} bytes of {echoed} came back"));
    context.count("requests answered", found as u64);
    Ok(())
}

fn stranger(address: SocketAddr, random: &mut Random) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    match random.below(4) {
        0 => stream.write_all(&random.bytes(3_000))?,
        1 => stream.write_all(b"GET / HTTP/1.1\r\nHost: so")?,
        2 => stream.write_all(b"POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\nshort")?,
        _ => {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: soak\r\n\r\n")?;
            stream.set_linger(Some(Duration::ZERO))?;
            return Ok(());
        }
    }
    if random.once_in(2) {
        stream.shutdown(Shutdown::Write)?;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map(drop)
}
