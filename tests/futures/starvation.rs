//! Futures with operations that never have to wait, beside other greenlets.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures::io::{AsyncReadExt, AsyncWriteExt};
use ramie::net::{TcpListener, TcpStream};
use ramie::{block_on, run, spawn, yield_now};

use crate::util::executor::Wakes;
use crate::util::participants::LIMIT;
use crate::util::within;

/// The number of operations that need not wait.
const READY: u32 = 20_000;
/// The maximum number of operations between two turns of another greenlet.
const BUDGET: u32 = 128;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// A stream with as many bytes to read, and the other end.
fn filled() -> (TcpStream, TcpStream) {
    let (near, mut far) = pair();
    io::Write::write_all(&mut far, &vec![7; READY as usize]).unwrap();
    (near, far)
}

/// Drives the future beside a greenlet that always yields. The future counts its operations in the
/// cell. Asserts that the greenlet has had its turns in between.
fn beside_ticks<F: Future + 'static>(make: impl FnOnce(Rc<Cell<u32>>) -> F + Send + 'static) {
    within(LIMIT, || {
        run(|| {
            let done = Rc::new(Cell::new(0));
            let (seen, longest, ticks) = (Cell::new(0), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let (counted, gap, turns) = (done.clone(), longest.clone(), ticks.clone());
            let ticking = spawn(move || {
                while seen.get() < READY {
                    let now = counted.get();
                    gap.set(gap.get().max(now - seen.replace(now)));
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            });
            block_on(make(done));
            ticking.join();
            assert!(longest.get() <= BUDGET, "{} operations without a turn", longest.get());
            assert!(ticks.get() >= READY / BUDGET, "{} turns", ticks.get());
        });
    });
}

#[test]
fn a_future_that_always_reads_lets_others_run() {
    beside_ticks(|count| async move {
        let (mut near, _far) = filled();
        for _ in 0..READY {
            AsyncReadExt::read_exact(&mut near, &mut [0]).await.unwrap();
            count.set(count.get() + 1);
        }
    });
}

#[test]
fn a_future_that_always_writes_lets_others_run() {
    beside_ticks(|count| async move {
        let (mut near, _far) = pair();
        for _ in 0..READY {
            AsyncWriteExt::write_all(&mut near, &[7]).await.unwrap();
            count.set(count.get() + 1);
        }
    });
}

#[test]
fn a_future_that_asks_for_readiness_lets_others_run() {
    beside_ticks(|count| async move {
        let (near, _far) = filled();
        near.set_nonblocking(true).unwrap();
        poll_fn(|cx| {
            while count.get() < READY {
                ready!(near.poll_readable(cx)).unwrap();
                io::Read::read_exact(&mut &near, &mut [0]).unwrap();
                count.set(count.get() + 1);
            }
            Poll::Ready(())
        })
        .await;
    });
}

/// Two futures of one greenlet share its budget.
#[test]
fn futures_that_are_joined_let_others_run() {
    beside_ticks(|count| async move {
        let ((mut one, _), (mut two, _)) = (filled(), filled());
        let read = async |stream: &mut TcpStream| {
            for _ in 0..READY / 2 {
                AsyncReadExt::read_exact(stream, &mut [0]).await.unwrap();
                count.set(count.get() + 1);
            }
        };
        futures::join!(read(&mut one), read(&mut two));
    });
}

/// An executor that lets nothing else run in between still gets on.
#[test]
fn an_executor_that_lets_nothing_run_gets_on() {
    within(LIMIT, || {
        let (near, _far) = filled();
        near.wait_readable().unwrap();
        let (wakes, waker) = Wakes::new();
        let mut cx = Context::from_waker(&waker);
        let mut refused = 0;
        for _ in 0..READY {
            while near.poll_readable(&mut cx).is_pending() {
                refused += 1;
                assert_eq!(wakes.count(), refused, "it has woken itself");
            }
        }
        let refused = u32::try_from(refused).unwrap();
        assert!((READY / BUDGET - 1..2 * READY).contains(&refused), "{refused}");
    });
}
