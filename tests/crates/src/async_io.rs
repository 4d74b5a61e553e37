//! async-io: its timers and sockets, by `ramie::block_on`: its reactor has a thread of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use async_io::{Async, Timer};
use futures::future::{Either, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use ramie::{block_on, block_on_timeout, spawn, with_timeout};

use crate::util::within;
use crate::witness::{LIMIT, in_greenlets, while_others_run};

const GREENLETS: usize = 20;

/// Serves each connection by a greenlet that sends back what it receives.
fn echo_server() -> SocketAddr {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    spawn(move || {
        loop {
            let (stream, _) = block_on(listener.accept()).unwrap();
            spawn(move || {
                let (mut reader, mut writer) = stream.split();
                block_on(futures::io::copy(&mut reader, &mut writer)).unwrap()
            });
        }
    });
    address
}

fn connect(address: SocketAddr) -> Async<TcpStream> {
    block_on(Async::<TcpStream>::connect(address)).unwrap()
}

/// Sends all bytes, and returns what comes back.
async fn exchange(stream: &mut Async<TcpStream>, bytes: &[u8]) -> Vec<u8> {
    let mut back = vec![0; bytes.len()];
    let (mut reader, mut writer) = stream.split();
    let (sent, read) = futures::join!(writer.write_all(bytes), reader.read_exact(&mut back));
    sent.unwrap();
    read.unwrap();
    back
}

#[test]
fn greenlets_exchange_bytes() {
    within(LIMIT, || {
        let address = echo_server();
        let exchanged = in_greenlets(GREENLETS, |number| {
            move || {
                let mut stream = connect(address);
                let bytes = vec![b'x'; number * 50_000];
                block_on(exchange(&mut stream, &bytes)) == bytes
            }
        });
        assert_eq!(exchanged, [true; GREENLETS]);
    });
}

#[test]
fn others_run_while_one_reads() {
    within(LIMIT, || {
        let address = echo_server();
        let (mut reader, mut writer) = connect(address).split();
        let word = while_others_run(
            move || {
                let mut word = [0; 4];
                block_on(reader.read_exact(&mut word)).unwrap();
                word
            },
            move || block_on(writer.write_all(b"word")).unwrap(),
        );
        assert_eq!(&word, b"word");
    });
}

#[test]
fn a_timeout_and_a_kill_cut_a_read() {
    within(LIMIT, || {
        let mut stream = connect(echo_server());
        let mut byte = [0];
        assert!(block_on_timeout(stream.read(&mut byte), Duration::from_millis(5)).is_err());
        let late = with_timeout(Duration::from_millis(5), || block_on(stream.read(&mut byte)).is_ok());
        assert!(late.is_err());
        // Its own timers, too.
        let timer = Timer::after(Duration::from_millis(5));
        assert!(matches!(block_on(select(stream.read(&mut byte), timer)), Either::Right(_)));
        assert_eq!(block_on(exchange(&mut stream, b"after the cuts")), b"after the cuts");

        let address = echo_server();
        let waiter = spawn(move || block_on(connect(address).read(&mut [0])).is_ok());
        ramie::sleep(Duration::from_millis(5));
        waiter.kill();
        assert!(waiter.dead());
        assert_eq!(block_on(exchange(&mut stream, b"after the kill")), b"after the kill");
    });
}

#[test]
fn greenlets_sleep_at_once() {
    within(LIMIT, || {
        let begun = std::rc::Rc::new(std::cell::Cell::new(0));
        in_greenlets(GREENLETS, |_| {
            let begun = begun.clone();
            move || {
                begun.set(begun.get() + 1);
                block_on(Timer::after(Duration::from_millis(20)));
                assert_eq!(begun.get(), GREENLETS, "all sleep before the first wakes");
            }
        });
    });
}
