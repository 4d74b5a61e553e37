//! A hub as a task of tokio: both run on one thread, and wake each other.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::net::{TcpListener, TcpStream};
use ramie::tokio::run;
use ramie::{Exception, block_on, catch, get_hub, joinall, raise, sleep, spawn, with_timeout, yield_now};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(20);

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn the_body_borrows_and_returns_a_value() {
    within(LIMIT, || {
        let text = String::from("borrowed");
        assert_eq!(run(&current_thread(), || text.len()), 8);
        // Once more on the same thread, in a runtime with workers.
        let workers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let slept = run(&workers, || {
            block_on(async {
                tokio::spawn(async { tokio::time::sleep(Duration::from_millis(1)).await }).await
            })
        });
        slept.unwrap();
    });
}

#[test]
fn tasks_and_greenlets_exchange_messages() {
    within(LIMIT, || {
        let received = run(&current_thread(), || {
            let (there, mut arrived) = mpsc::channel(1);
            let (back, mut returned) = mpsc::unbounded_channel();
            spawn_local(async move {
                while let Some(number) = arrived.recv().await {
                    tokio::task::yield_now().await;
                    back.send(number).unwrap();
                }
            });
            let sends = spawn(move || {
                for number in 0..500 {
                    block_on(there.send(number)).unwrap();
                    if number % 7 == 0 {
                        yield_now();
                    }
                }
            });
            let mut received = Vec::new();
            while let Some(number) = block_on(returned.recv()) {
                received.push(number);
            }
            sends.join();
            received
        });
        assert_eq!(received, (0..500).collect::<Vec<_>>());
    });
}

#[test]
fn sockets_of_both_kinds_talk_to_each_other() {
    within(LIMIT, || {
        run(&current_thread(), || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = [0; 5];
                for _ in 0..100 {
                    stream.read_exact(&mut text).unwrap();
                    stream.write_all(&text).unwrap();
                }
            });
            let echoes = block_on(async {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let mut echoes = 0;
                for _ in 0..100 {
                    stream.write_all(b"hello").await.unwrap();
                    let mut text = [0; 5];
                    stream.read_exact(&mut text).await.unwrap();
                    echoes += u32::from(text == *b"hello");
                }
                echoes
            });
            assert_eq!(echoes, 100);
            server.join();

            let listener = block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            spawn_local(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            });
            let mut stream = TcpStream::connect(address).unwrap();
            let mut text = [0; 5];
            for _ in 0..100 {
                stream.write_all(b"hello").unwrap();
                stream.read_exact(&mut text).unwrap();
                assert_eq!(&text, b"hello");
            }
        });
    });
}

#[test]
fn timers_of_both_kinds_fire_in_order() {
    within(LIMIT, || {
        let order = Rc::new(RefCell::new(Vec::new()));
        run(&current_thread(), || {
            let all = [30_u64, 10, 40, 20].map(|millis| {
                let order = order.clone();
                spawn(move || {
                    let nap = Duration::from_millis(millis);
                    if millis % 20 == 0 {
                        sleep(nap);
                    } else {
                        block_on(async { tokio::time::sleep(nap).await });
                    }
                    order.borrow_mut().push(millis);
                })
            });
            joinall(&all);
        });
        assert_eq!(order.take(), [10, 20, 30, 40]);
    });
}

#[test]
fn another_thread_wakes_a_hub_that_tokio_waits_for() {
    within(LIMIT, || {
        let (sender, receiver) = ramie::shared::channel::bounded(1);
        let thread = thread::spawn(move || {
            for number in 0..50 {
                thread::sleep(Duration::from_micros(300));
                sender.send(number).unwrap();
            }
        });
        let sum = run(&current_thread(), || receiver.iter().sum::<i32>());
        assert_eq!(sum, 49 * 50 / 2);
        thread.join().unwrap();
    });
}

#[test]
fn a_task_that_calls_ramie_wakes_the_hub() {
    within(LIMIT, || {
        run(&current_thread(), || {
            let event = Rc::new(ramie::sync::Event::new());
            let set = event.clone();
            spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                set.set();
                // In main, outside the hub: spawning from a task works, too.
                spawn(move || set.clear());
            });
            event.wait();
            while event.is_set() {
                yield_now();
            }
        });
    });
}

#[test]
fn calls_inside_use_this_runtime() {
    within(LIMIT, || {
        let runtime = current_thread();
        let expected = runtime.handle().id();
        run(&runtime, || {
            assert_eq!(ramie::tokio::block_on(async { Handle::current().id() }), expected);
            assert_eq!(spawn(|| Handle::current().id()).get().unwrap(), expected);
        });
        assert!(Handle::try_current().is_err());
    });
}

#[test]
fn timeouts_and_kills_cut_waits_in_tokio() {
    within(LIMIT, || {
        run(&current_thread(), || {
            let hour = || block_on(async { tokio::time::sleep(Duration::from_secs(3600)).await });
            assert!(with_timeout(Duration::from_millis(2), hour).is_err());
            let sleeper = spawn(hour);
            yield_now();
            sleeper.kill();
            assert!(sleeper.dead());
        });
    });
}

#[test]
fn greenlets_that_are_left_are_killed_in_the_context() {
    struct InContext(Rc<Cell<bool>>);
    impl Drop for InContext {
        fn drop(&mut self) {
            self.0.set(Handle::try_current().is_ok());
        }
    }
    within(LIMIT, || {
        let seen = Rc::new(Cell::new(false));
        run(&current_thread(), || {
            let dropped = InContext(seen.clone());
            spawn(move || {
                let _dropped = dropped;
                block_on(std::future::pending::<()>());
            });
            yield_now();
        });
        assert!(seen.get());
        assert_eq!(get_hub().stats().greenlets, 0);
    });
}

#[test]
fn the_end_of_the_body_is_the_end_of_the_call() {
    within(LIMIT, || {
        let raised =
            catch::<&str, _>(|| run(&current_thread(), || -> () { raise(Exception::new("no luck")) }));
        assert_eq!(raised.unwrap_err().to_string(), "no luck");
        let panicked = catch::<ramie::Failure, _>(|| run(&current_thread(), || -> () { panic!("no luck") }));
        assert!(panicked.unwrap_err().to_string().contains("no luck"));
        // And another one works.
        assert_eq!(run(&current_thread(), || 7), 7);
    });
}
