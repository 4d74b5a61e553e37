//! What it costs to drive a future by a greenlet.
//!
//! * `ready`: a future that is ready at its first poll.
//! * `self_wake`: one poll of a future that wakes itself, which lets other greenlets (tasks) run.
//! * `hand_over`: one message to another greenlet (task) and one back, over the channels of futures without room.
//! * `threads`: the same, with a thread that drives its future by pollster on the other side: a wake-up of either thread is
//!   in it.
//!
//! `futures` is its executor of one thread, `pollster` parks the thread, `tokio` is the current-thread runtime, its two
//! tasks in a `LocalSet`. `ramie_channel` is the hand-over through ramie's own channel. Making greenlets, tasks and channels
//! is in no figure.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use futures::channel::mpsc::{Receiver, Sender, channel};
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt as _;
use futures::{SinkExt as _, StreamExt as _};
use ramie::{block_on, spawn};

fn on_tokio<R>(future: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Runs `f` in a greenlet, as programs do, with the number of iterations that criterion asks for.
fn in_greenlet(b: &mut criterion::Bencher<'_>, f: impl Fn(u64) + Copy + 'static) {
    b.iter_custom(|times| {
        let timed = move || {
            let start = Instant::now();
            f(times);
            start.elapsed()
        };
        spawn(timed).take().expect("the greenlet measures")
    });
}

fn ready(c: &mut Criterion) {
    let mut group = c.benchmark_group("futures/ready");
    group.bench_function("ramie", |b| {
        in_greenlet(b, |times| (0..times).for_each(|_| assert_eq!(block_on(async { black_box(1) }), 1)));
    });
    group.bench_function("futures", |b| b.iter(|| futures::executor::block_on(async { black_box(1) })));
    group.bench_function("pollster", |b| b.iter(|| pollster::block_on(async { black_box(1) })));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    group.bench_function("tokio", |b| b.iter(|| runtime.block_on(async { black_box(1) })));
    group.finish();
}

fn yields(times: u64) -> impl Future<Output = ()> {
    let mut left = times;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

fn self_wake(c: &mut Criterion) {
    let mut group = c.benchmark_group("futures/self_wake");
    group.bench_function("ramie", |b| in_greenlet(b, |times| block_on(yields(times))));
    let timed = |times, run: &mut dyn FnMut(u64)| {
        let start = Instant::now();
        run(times);
        start.elapsed()
    };
    group.bench_function("futures", |b| {
        b.iter_custom(|times| timed(times, &mut |times| futures::executor::block_on(yields(times))));
    });
    group.bench_function("pollster", |b| {
        b.iter_custom(|times| timed(times, &mut |times| pollster::block_on(yields(times))));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    group.bench_function("tokio", |b| {
        b.iter_custom(|times| timed(times, &mut |times| runtime.block_on(yields(times))));
    });
    group.finish();
}

async fn ask(times: u64, mut there: Sender<u64>, mut back: Receiver<u64>) -> Duration {
    let start = Instant::now();
    for number in 0..times {
        there.send(number).await.expect("the other side receives");
        black_box(back.next().await);
    }
    start.elapsed()
}

async fn answer(mut arrived: Receiver<u64>, mut back: Sender<u64>) {
    while let Some(number) = arrived.next().await {
        // The other side is gone after its last message.
        let _ = back.send(number).await;
    }
}

fn hand_over(c: &mut Criterion) {
    let mut group = c.benchmark_group("futures/hand_over");
    group.bench_function("ramie", |b| {
        b.iter_custom(|times| {
            let ((there, arrived), (back, returned)) = (channel(0), channel(0));
            let answers = spawn(move || block_on(answer(arrived, back)));
            let asks = spawn(move || block_on(ask(times, there, returned)));
            let taken = asks.take().expect("the greenlet measures");
            answers.join();
            taken
        });
    });
    group.bench_function("futures", |b| {
        b.iter_custom(|times| {
            let ((there, arrived), (back, returned)) = (channel(0), channel(0));
            let mut pool = LocalPool::new();
            pool.spawner().spawn_local(answer(arrived, back)).expect("the pool lives");
            pool.run_until(ask(times, there, returned))
        });
    });
    group.bench_function("tokio", |b| {
        b.iter_custom(|times| {
            let ((there, arrived), (back, returned)) = (channel(0), channel(0));
            on_tokio(async move {
                tokio::task::spawn_local(answer(arrived, back));
                tokio::task::spawn_local(ask(times, there, returned)).await.expect("the task measures")
            })
        });
    });
    group.bench_function("ramie_channel", |b| {
        b.iter_custom(|times| {
            let ((there, arrived), (back, returned)) =
                (ramie::channel::bounded(0), ramie::channel::bounded(0));
            let answers = spawn(move || arrived.iter().for_each(|number: u64| _ = back.send(number)));
            let asks = spawn(move || {
                let start = Instant::now();
                for number in 0..times {
                    there.send(number).expect("the other side receives");
                    black_box(returned.recv().expect("the other side sends"));
                }
                start.elapsed()
            });
            let taken = asks.take().expect("the greenlet measures");
            answers.join();
            taken
        });
    });
    group.finish();
}

fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("futures/threads");
    let beside = |times, asks: &dyn Fn(Sender<u64>, Receiver<u64>, u64) -> Duration| {
        let ((there, arrived), (back, returned)) = (channel(0), channel(0));
        let thread = thread::spawn(move || pollster::block_on(answer(arrived, back)));
        let taken = asks(there, returned, times);
        thread.join().expect("the thread ends");
        taken
    };
    group.bench_function("ramie", |b| {
        b.iter_custom(|times| {
            beside(times, &|there, returned, times| {
                spawn(move || block_on(ask(times, there, returned))).take().expect("the greenlet measures")
            })
        });
    });
    group.bench_function("pollster", |b| {
        b.iter_custom(|times| {
            beside(times, &|there, returned, times| pollster::block_on(ask(times, there, returned)))
        });
    });
    group.bench_function("tokio", |b| {
        b.iter_custom(|times| beside(times, &|there, returned, times| on_tokio(ask(times, there, returned))));
    });
    group.finish();
}

criterion_group!(benches, ready, self_wake, hand_over, threads);
criterion_main!(benches);
