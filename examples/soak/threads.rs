//! Threads that come and go, each with a hub of its own; some leave greenlets that have not ended.

use std::error::Error;
use std::io::{Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::sync::Event;
use ramie::{joinall, sleep, spawn, yield_now};

use super::context::{Context, Living, Random};

pub(crate) fn run(context: &Context) -> Result<(), Box<dyn Error>> {
    context.rounds(|random| {
        let living = Living::default();
        let threads: Vec<_> = (0..random.size(3))
            .map(|_| {
                let (random, living) = (random.fork(), living.clone());
                thread::spawn(move || thread_of_its_own(random, &living))
            })
            .collect();
        let number = threads.len();
        for thread in threads {
            let ended = ramie::blocking(|| thread.join());
            context.check(matches!(ended, Ok(Ok(()))), || "a thread failed".to_owned());
        }
        context.count("threads", number as u64);
        context.equal("values of ended threads", living.count(), 0);
        sleep(random.pause(20_000));
        Ok(())
    })
}

fn thread_of_its_own(mut random: Random, living: &Living) -> Result<(), String> {
    let pauses: Vec<_> = (0..random.size(10)).map(|_| random.pause(1_000)).collect();
    let greenlets: Vec<_> = pauses.into_iter().map(|pause| spawn(move || sleep(pause))).collect();
    joinall(&greenlets);
    if random.once_in(2) {
        talk(&random.bytes(3_000)).map_err(|error| error.to_string())?;
    }
    if random.once_in(3) {
        leave_unfinished(&mut random, living);
    }
    Ok(())
}

/// Uses sockets of this thread's hub.
fn talk(bytes: &[u8]) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let text = bytes.to_vec();
    let client = spawn(move || TcpStream::connect(address)?.write_all(&text));
    let mut received = Vec::new();
    listener.accept()?.0.read_to_end(&mut received)?;
    assert!(received == bytes, "other bytes came than were sent");
    client.take()?
}

/// Leaves greenlets that have not begun, that sleep, that wait for each other, and that wait for
/// the network.
fn leave_unfinished(random: &mut Random, living: &Living) {
    let event = Rc::new(Event::new());
    for _ in 0..random.size(4) {
        let (event, one, kind) = (event.clone(), living.one(), random.below(3));
        spawn(move || {
            let _one = one;
            match kind {
                0 => sleep(Duration::from_secs(3_600)),
                1 => event.wait(),
                _ => drop(TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.accept())),
            }
        });
    }
    if random.once_in(2) {
        yield_now();
    }
}
