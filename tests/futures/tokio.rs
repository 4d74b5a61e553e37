//! Futures of tokio in greenlets: the reactor on another thread, and what must not be done.

use std::cell::Cell;
use std::future;
use std::rc::Rc;
use std::time::Duration;

use ramie::tokio::{block_on, block_on_timeout, block_on_with, handle};
use ramie::{joinall, sleep, spawn, with_timeout, yield_now};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(20);

/// Tells where it is dropped.
struct Dropped(Rc<Cell<Option<bool>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(Some(Handle::try_current().is_ok()));
    }
}

#[test]
fn many_greenlets_sleep_in_tokio_at_once() {
    within(LIMIT, || {
        let (begun, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let nap = |begun: Rc<Cell<u32>>, ended: Rc<Cell<u32>>| {
            move || {
                begun.set(begun.get() + 1);
                block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
                assert_eq!(begun.get(), 200, "all sleep before the first wakes");
                ended.set(ended.get() + 1);
            }
        };
        let all = (0..200).map(|_| spawn(nap(begun.clone(), ended.clone()))).collect::<Vec<_>>();
        joinall(&all);
        assert_eq!(ended.get(), 200);
    });
}

#[test]
fn sockets_of_tokio_carry_bytes_between_greenlets() {
    within(LIMIT, || {
        let listener = block_on(async { TcpListener::bind("127.0.0.1:0").await }).unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            block_on(async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap()
            })
        });
        let client = spawn(move || {
            block_on(async {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let sent = vec![7; 300_000];
                let mut back = vec![0; sent.len()];
                let (mut reader, mut writer) = stream.split();
                let (read, written) = tokio::join!(reader.read_exact(&mut back), writer.write_all(&sent));
                read.unwrap();
                written.unwrap();
                back == sent
            })
        });
        assert!(client.get().unwrap());
        assert_eq!(server.get().unwrap(), 300_000);
    });
}

#[test]
fn spawned_tasks_run_beside_the_greenlet() {
    within(LIMIT, || {
        let sum = block_on(async {
            let tasks = (0..10_u64).map(|number| tokio::spawn(async move { number })).collect::<Vec<_>>();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 45);
    });
}

/// Channels and locks of tokio need no context.
#[test]
fn primitives_of_tokio_work_without_a_runtime() {
    within(LIMIT, || {
        let (sender, mut receiver) = mpsc::channel(2);
        let notify = Rc::new(Notify::new());
        let (one, other) = oneshot::channel();
        let notified = notify.clone();
        let waits = spawn(move || {
            ramie::block_on(notified.notified());
            one.send("notified").unwrap();
        });
        let sends = spawn(move || (0..100).for_each(|number| ramie::block_on(sender.send(number)).unwrap()));
        let mut received = Vec::new();
        while let Some(number) = ramie::block_on(receiver.recv()) {
            received.push(number);
        }
        assert_eq!(received, (0..100).collect::<Vec<_>>());
        notify.notify_one();
        assert_eq!(ramie::block_on(other).unwrap(), "notified");
        joinall((&waits, &sends));
    });
}

#[test]
fn a_cut_future_is_dropped_in_its_context() {
    within(LIMIT, || {
        let seen = Rc::new(Cell::new(None));
        let pending = |seen: &Rc<Cell<Option<bool>>>| {
            let dropped = Dropped(seen.clone());
            async move {
                let _dropped = dropped;
                future::pending::<()>().await;
            }
        };
        let future = pending(&seen);
        assert!(with_timeout(Duration::from_millis(2), move || block_on(future)).is_err());
        assert_eq!(seen.take(), Some(true));

        assert!(block_on_timeout(pending(&seen), Duration::from_millis(2)).is_err());
        assert_eq!(seen.take(), Some(true));

        let future = pending(&seen);
        let waiter = spawn(move || block_on(future));
        yield_now();
        waiter.kill();
        assert_eq!(seen.take(), Some(true));
    });
}

/// The context is entered for each poll only: other greenlets do not see it.
#[test]
fn the_context_is_left_during_the_wait() {
    within(LIMIT, || {
        let waiter = spawn(|| block_on(async { tokio::time::sleep(Duration::from_millis(5)).await }));
        yield_now();
        assert!(!waiter.dead());
        assert!(Handle::try_current().is_err());
        waiter.join();
    });
}

#[test]
fn a_runtime_of_the_programs_own_is_used_by_its_handle() {
    within(LIMIT, || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (mine, seen) = (runtime.handle().clone(), runtime.handle().id());
        let found = spawn(move || block_on_with(&mine, async { Handle::current().id() }));
        assert_eq!(found.get().unwrap(), seen);
        assert_ne!(block_on(async { Handle::current().id() }), seen);
        assert_eq!(block_on(async { Handle::current().id() }), handle().id());
        // In the context of a runtime, that one is used.
        let _entered = runtime.enter();
        assert_eq!(block_on(async { Handle::current().id() }), seen);
    });
}

/// What goes wrong says so: tokio names the missing context.
#[test]
fn without_a_context_tokio_says_what_is_missing() {
    within(LIMIT, || {
        let sleeper = spawn(|| ramie::block_on(async { tokio::time::sleep(Duration::from_millis(1)).await }));
        let failure = sleeper.get().unwrap_err().to_string();
        assert!(failure.contains("no reactor running"), "{failure}");
    });
}

/// A trap that the documentation names: the guard belongs to the thread.
#[test]
fn a_guard_that_is_held_across_a_wait_reaches_the_neighbours() {
    within(LIMIT, || {
        let holder = spawn(|| {
            let _entered = handle().enter();
            sleep(Duration::from_millis(5));
        });
        yield_now();
        let neighbour = spawn(|| Handle::try_current().is_ok());
        assert!(neighbour.get().unwrap());
        holder.join();
        assert!(Handle::try_current().is_err());
    });
}
