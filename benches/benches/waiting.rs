//! What it costs to lock, to signal, and to pass a message.
//!
//! * `lock`: one lock and unlock that nobody contends for.
//! * `event`: one `set`, `wait` that need not wait, and `clear`.
//! * `ping_pong`: one message to another greenlet (thread, task) and one back, over channels with room for one: two
//!   messages, two waits, two switches.
//! * `throughput`: one message of 100,000 through a channel with room for 100, from one sender to one receiver.
//! * `shared`: the same two, between two hubs on two threads: `ping_pong` has a wake-up of the other thread in it.
//!
//! `std`, `parking_lot` and `crossbeam` are used by OS threads, which is what they are for; where two threads take turns the
//! wake-up of a sleeping thread is in the figure. `tokio` runs on its current-thread runtime, its two tasks in a `LocalSet`.
//! Making greenlets, threads, tasks and channels is in no figure.

use std::future::Future;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ramie::queue::Queue;
use ramie::sync::{Event, Mutex, Semaphore};
use ramie::{channel, joinall, shared, spawn};
use ramie_benches::by_the_piece;

const BATCH: u64 = 100_000;
const ROOM: usize = 100;

/// Runs a future to its end on a current-thread runtime, beside whatever it spawns locally.
fn on_tokio<R>(future: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

fn lock(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiting/lock");
    let mutex = Mutex::new(0_u64);
    group.bench_function("ramie_mutex", |b| b.iter(|| *black_box(&mutex).lock() += 1));
    let semaphore = Semaphore::new(1);
    group.bench_function("ramie_semaphore", |b| {
        b.iter(|| {
            black_box(&semaphore).acquire();
            semaphore.release()
        });
    });
    let mutex = shared::Mutex::new(0_u64);
    group.bench_function("ramie_shared_mutex", |b| b.iter(|| *black_box(&mutex).lock() += 1));
    let mutex = std::sync::Mutex::new(0_u64);
    group.bench_function("std_mutex", |b| b.iter(|| *black_box(&mutex).lock().expect("nobody panics") += 1));
    let mutex = parking_lot::Mutex::new(0_u64);
    group.bench_function("parking_lot_mutex", |b| b.iter(|| *black_box(&mutex).lock() += 1));
    let mutex = tokio::sync::Mutex::new(0_u64);
    group.bench_function("tokio_mutex", |b| {
        b.iter_custom(|locks| {
            on_tokio(async {
                let start = Instant::now();
                for _ in 0..locks {
                    *black_box(&mutex).lock().await += 1;
                }
                start.elapsed()
            })
        });
    });
}

fn event(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiting/event");
    let event = Event::new();
    group.bench_function("ramie", |b| {
        b.iter(|| {
            black_box(&event).set();
            event.wait();
            event.clear();
        });
    });
    let event = shared::Event::new();
    group.bench_function("ramie_shared", |b| {
        b.iter(|| {
            black_box(&event).set();
            event.wait();
            event.clear();
        });
    });
    let notify = tokio::sync::Notify::new();
    group.bench_function("tokio_notify", |b| {
        b.iter_custom(|turns| {
            on_tokio(async {
                let start = Instant::now();
                for _ in 0..turns {
                    black_box(&notify).notify_one();
                    notify.notified().await;
                }
                start.elapsed()
            })
        });
    });
}

/// Sends back what comes, on a thread of its own, while `play` runs on this one.
fn against_a_thread(echo: impl FnOnce() + Send + 'static, play: impl FnOnce() -> Duration) -> Duration {
    let echo = thread::spawn(echo);
    let time = play();
    echo.join().expect("the echo does not panic");
    time
}

fn ping_pong(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiting/ping_pong");
    group.bench_function("ramie_channel", |b| {
        b.iter_custom(|turns| {
            let (ping, pinged) = channel::bounded(1);
            let (pong, ponged) = channel::bounded(1);
            let echo =
                spawn(move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for")));
            let start = Instant::now();
            for n in 0..turns {
                ping.send(n).expect("the echo is there");
                black_box(ponged.recv().expect("the echo is there"));
            }
            drop(ping);
            echo.join();
            start.elapsed()
        });
    });
    group.bench_function("ramie_queue", |b| {
        b.iter_custom(|turns| {
            let (there, back) = (Queue::bounded(1), Queue::bounded(1));
            let (from, to) = (there.clone(), back.clone());
            let echo = spawn(move || {
                for n in from.iter() {
                    let n: u64 = n;
                    to.put(n).expect("nobody shuts it down");
                }
            });
            let start = Instant::now();
            for n in 0..turns {
                there.put(n).expect("nobody shuts it down");
                black_box(back.get().expect("nobody shuts it down"));
            }
            there.shutdown();
            echo.join();
            start.elapsed()
        });
    });
    group.bench_function("crossbeam_threads", |b| {
        b.iter_custom(|turns| {
            let (ping, pinged) = crossbeam_channel::bounded(1);
            let (pong, ponged) = crossbeam_channel::bounded(1);
            let echo = move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for"));
            against_a_thread(echo, || {
                let start = Instant::now();
                for n in 0..turns {
                    ping.send(n).expect("the echo is there");
                    black_box(ponged.recv().expect("the echo is there"));
                }
                drop(ping);
                start.elapsed()
            })
        });
    });
    group.bench_function("std_threads", |b| {
        b.iter_custom(|turns| {
            let (ping, pinged) = mpsc::sync_channel(1);
            let (pong, ponged) = mpsc::sync_channel(1);
            let echo = move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for"));
            against_a_thread(echo, || {
                let start = Instant::now();
                for n in 0..turns {
                    ping.send(n).expect("the echo is there");
                    black_box(ponged.recv().expect("the echo is there"));
                }
                drop(ping);
                start.elapsed()
            })
        });
    });
    group.bench_function("tokio", |b| {
        b.iter_custom(|turns| {
            on_tokio(async move {
                let (ping, mut pinged) = tokio::sync::mpsc::channel(1);
                let (pong, mut ponged) = tokio::sync::mpsc::channel(1);
                tokio::task::spawn_local(async move {
                    while let Some(n) = pinged.recv().await {
                        let n: u64 = n;
                        pong.send(n).await.expect("it is waited for");
                    }
                });
                let start = Instant::now();
                for n in 0..turns {
                    ping.send(n).await.expect("the echo is there");
                    black_box(ponged.recv().await.expect("the echo is there"));
                }
                start.elapsed()
            })
        });
    });
    group.bench_function("ramie_shared_two_hubs", |b| {
        b.iter_custom(|turns| {
            let (ping, pinged) = shared::channel::bounded(1);
            let (pong, ponged) = shared::channel::bounded(1);
            let echo = move || {
                let echo =
                    spawn(move || pinged.iter().for_each(|n: u64| pong.send(n).expect("it is waited for")));
                echo.join();
            };
            against_a_thread(echo, || {
                let start = Instant::now();
                for n in 0..turns {
                    ping.send(n).expect("the echo is there");
                    black_box(ponged.recv().expect("the echo is there"));
                }
                drop(ping);
                start.elapsed()
            })
        });
    });
}

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiting/throughput");
    group.throughput(Throughput::Elements(1));
    group.bench_function("ramie_channel", |b| {
        b.iter_custom(|messages| {
            by_the_piece(messages, BATCH, |batches| {
                let (sender, receiver) = channel::bounded(ROOM);
                let start = Instant::now();
                let sending =
                    spawn(move || (0..batches * BATCH).for_each(|n| sender.send(n).expect("it is received")));
                black_box(receiver.iter().fold(0_u64, u64::wrapping_add));
                sending.join();
                start.elapsed()
            })
        });
    });
    group.bench_function("ramie_queue", |b| {
        b.iter_custom(|messages| {
            by_the_piece(messages, BATCH, |batches| {
                let queue = Rc::new(Queue::bounded(ROOM));
                let start = Instant::now();
                let putting = spawn({
                    let queue = queue.clone();
                    move || {
                        (0..batches * BATCH).for_each(|n| queue.put(n).expect("nobody shuts it down"));
                    }
                });
                for _ in 0..batches * BATCH {
                    black_box(queue.get().expect("nobody shuts it down"));
                }
                joinall(&[putting]);
                start.elapsed()
            })
        });
    });
    group.bench_function("crossbeam_threads", |b| {
        b.iter_custom(|messages| {
            by_the_piece(messages, BATCH, |batches| {
                let (sender, receiver) = crossbeam_channel::bounded(ROOM);
                let send = move || (0..batches * BATCH).for_each(|n| sender.send(n).expect("it is received"));
                against_a_thread(send, || {
                    let start = Instant::now();
                    black_box(receiver.iter().fold(0_u64, u64::wrapping_add));
                    start.elapsed()
                })
            })
        });
    });
    group.bench_function("std_threads", |b| {
        b.iter_custom(|messages| {
            by_the_piece(messages, BATCH, |batches| {
                let (sender, receiver) = mpsc::sync_channel(ROOM);
                let send = move || (0..batches * BATCH).for_each(|n| sender.send(n).expect("it is received"));
                against_a_thread(send, || {
                    let start = Instant::now();
                    black_box(receiver.iter().fold(0_u64, u64::wrapping_add));
                    start.elapsed()
                })
            })
        });
    });
    group.bench_function("tokio", |b| {
        b.iter_custom(|messages| {
            by_the_piece(messages, BATCH, |batches| {
                on_tokio(async move {
                    let (sender, mut receiver) = tokio::sync::mpsc::channel(ROOM);
                    let start = Instant::now();
                    tokio::task::spawn_local(async move {
                        for n in 0..batches * BATCH {
                            sender.send(n).await.expect("it is received");
                        }
                    });
                    let mut sum = 0_u64;
                    while let Some(n) = receiver.recv().await {
                        sum = sum.wrapping_add(n);
                    }
                    black_box(sum);
                    start.elapsed()
                })
            })
        });
    });
    group.bench_function("ramie_shared_two_hubs", |b| {
        b.iter_custom(|messages| {
            by_the_piece(messages, BATCH, |batches| {
                let (sender, receiver) = shared::channel::bounded(ROOM);
                let send = move || {
                    let sending = spawn(move || {
                        (0..batches * BATCH).for_each(|n| sender.send(n).expect("it is received"))
                    });
                    sending.join();
                };
                against_a_thread(send, || {
                    let start = Instant::now();
                    black_box(receiver.iter().fold(0_u64, u64::wrapping_add));
                    start.elapsed()
                })
            })
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    targets = lock, event, ping_pong, throughput
}
criterion_main!(benches);
