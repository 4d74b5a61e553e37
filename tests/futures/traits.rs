//! The traits of the futures crates, with the feature `futures`.

use std::pin::pin;
use std::thread;
use std::time::Duration;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use futures::{SinkExt, StreamExt, stream};
use ramie::net::{TcpListener, TcpStream};
use ramie::shared::channel;
use ramie::{Group, Mapping, Pool, ThreadPool, run, sleep, spawn};

use crate::util::executor::{in_greenlet, on_thread, poll_once};
use crate::util::participants::{LIMIT, done};
use crate::util::within;

#[test]
fn messages_pass_from_a_sink_to_a_stream() {
    within(LIMIT, || {
        for room in [0, 1, 4] {
            let (sender, receiver) = channel::bounded(room);
            let sends = thread::spawn(move || {
                on_thread(async {
                    let mut numbers = stream::iter((0..100).map(Ok));
                    let mut sink = sender.into_sink();
                    sink.send_all(&mut numbers).await.unwrap();
                    sink.close().await.unwrap();
                });
            });
            let received = thread::spawn(move || on_thread(receiver.into_stream().collect::<Vec<i32>>()));
            done(sends);
            assert_eq!(done(received), (0..100).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_dropped_stream_loses_no_message_and_a_sink_only_its_own() {
    let (sender, receiver) = channel::bounded(1);
    let mut stream = receiver.clone().into_stream();
    assert!(poll_once(&mut stream.next()).is_pending());
    sender.send(1).unwrap();
    drop(stream);
    let mut sink = sender.clone().into_sink();
    assert!(poll_once(&mut sink.feed(2)).is_ready());
    assert!(poll_once(&mut sink.flush()).is_pending());
    drop(sink);
    assert_eq!(receiver.recv(), Ok(1));
    assert!(receiver.try_recv().is_err());
}

#[test]
fn a_closed_sink_disconnects() {
    let (sender, receiver) = channel::bounded::<u8>(1);
    let mut sink = sender.into_sink();
    on_thread(sink.send(1)).unwrap();
    on_thread(sink.close()).unwrap();
    assert_eq!(on_thread(receiver.into_stream().collect::<Vec<_>>()), [1]);
    let (sender, receiver) = channel::bounded(1);
    drop(receiver);
    assert_eq!(on_thread(sender.into_sink().send(5)).unwrap_err().0, 5);
}

#[test]
fn an_imap_is_a_stream_in_order_and_out_of_order() {
    within(LIMIT, || {
        run(|| {
            let late = |i: u64| {
                sleep(Duration::from_millis(10 * (5 - i)));
                i
            };
            let pool = Pool::new(5);
            let ordered = pool.imap(0..5, late).into_stream();
            let values = in_greenlet(ordered.map(Result::unwrap).collect::<Vec<_>>());
            assert_eq!(values, [0, 1, 2, 3, 4]);
            let unordered = Group::new().imap_unordered(0..5, late).into_stream();
            let values = in_greenlet(unordered.map(Result::unwrap).collect::<Vec<_>>());
            assert_eq!(values, [4, 3, 2, 1, 0]);
            let threads = ThreadPool::new(2).imap(0..50_u64, |i| i * 2).maxsize(3).into_stream();
            let sum = in_greenlet(threads.fold(0, |sum, value| async move { sum + value.unwrap() }));
            assert_eq!(sum, 2450);
        });
    });
}

#[test]
fn a_dropped_next_of_an_imap_loses_nothing() {
    within(LIMIT, || {
        run(|| {
            for polls in 0..4 {
                let numbers = Pool::new(1).imap(0..3, |i| {
                    sleep(Duration::from_millis(1));
                    i
                });
                let mut numbers = numbers.into_stream();
                for _ in 0..polls {
                    assert!(poll_once(&mut numbers.next()).is_pending());
                }
                let first = in_greenlet(numbers.next()).unwrap().unwrap();
                let rest = numbers.map(|value| value.unwrap());
                assert_eq!((first, in_greenlet(rest.collect::<Vec<_>>())), (0, vec![1, 2]));
            }
        });
    });
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

async fn echo<S>(stream: S)
where
    S: futures::io::AsyncRead + futures::io::AsyncWrite,
{
    let (reader, mut writer) = stream.split();
    futures::io::copy(pin!(reader), &mut writer).await.unwrap();
    writer.close().await.unwrap();
}

async fn ask<S>(mut stream: S)
where
    S: futures::io::AsyncRead + futures::io::AsyncWrite + Unpin,
{
    stream.write_all(b"hello").await.unwrap();
    stream.close().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn streams_are_read_and_written_by_futures() {
    within(LIMIT, || {
        run(|| {
            let (near, far) = pair();
            let server = spawn(move || in_greenlet(echo(far)));
            in_greenlet(ask(&near));
            server.join();
            #[cfg(unix)]
            {
                let (near, far) = ramie::os::unix::net::UnixStream::pair().unwrap();
                let server = spawn(move || in_greenlet(echo(far)));
                in_greenlet(ask(near));
                server.join();
            }
        });
    });
}
