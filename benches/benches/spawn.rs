//! What it costs to have something done by another and to wait for its end.
//!
//! Every figure is for one that is made, runs an empty body, ends, and is waited for. All of it is in the
//! figure; what the first use of a stack costs (a system call and a page fault or two) is not, since stacks
//! are used again.
//!
//! * `one`: each is waited for before the next is made. `thousand`: a thousand are made, then all are waited
//!   for.
//! * `kill/unstarted`: a thousand are made, with a body that holds something, and killed before any of them has run: each drops
//!   its body and ends, without a stack. Only the kill is in the figure. Beside it coroutines that are dropped before they
//!   were resumed, which does have their stacks taken back. A thread cannot be kept from running.
//! * `ramie`: `spawn` and `join`, by the thread's main greenlet. It has the record's allocation, the switches
//!   into the hub and the greenlet and back, the notification of the end, and the end of the record.
//! * `corosensei`: a coroutine made on a stack that is there already, resumed to its end, and the stack taken
//!   back: no scheduler, no result, nobody who waits.
//! * `threads`: `std::thread::spawn` and `join`. The system makes each anew, but for its stack, which libc
//!   keeps.

use std::hint::black_box;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use corosensei::Coroutine;
use criterion::{Criterion, criterion_group, criterion_main};
use ramie_benches::by_the_piece;
use ramie_benches::slots::{self, Slot};

const BATCH: u64 = 1_000;

fn body() {
    black_box(());
}

fn bare(slot: Slot) -> Coroutine<(), (), (), Slot> {
    Coroutine::with_stack(slot, |_, ()| body())
}

fn one(c: &mut Criterion) {
    let mut group = c.benchmark_group("spawn/one");
    group.bench_function("ramie", |b| b.iter(|| ramie::spawn(body).join()));
    let mut slot = slots::slots(1).pop();
    group.bench_function("corosensei", |b| {
        b.iter(|| {
            let mut coroutine = bare(slot.take().unwrap());
            coroutine.resume(()).as_return().unwrap();
            slot = Some(coroutine.into_stack());
        });
    });
    group.bench_function("threads", |b| b.iter(|| thread::spawn(body).join().unwrap()));
}

fn thousand(c: &mut Criterion) {
    let mut group = c.benchmark_group("spawn/thousand");
    group.bench_function("ramie", |b| {
        b.iter_custom(|iters| {
            by_the_piece(iters, BATCH, |batches| {
                timed(batches, || {
                    let greenlets: Vec<_> = (0..BATCH).map(|_| ramie::spawn(body)).collect();
                    greenlets.iter().for_each(|greenlet| greenlet.join());
                })
            })
        });
    });
    let mut slots = slots::slots(BATCH as usize);
    group.bench_function("corosensei", |b| {
        b.iter_custom(|iters| {
            by_the_piece(iters, BATCH, |batches| {
                timed(batches, || {
                    let mut coroutines: Vec<_> = slots.drain(..).map(bare).collect();
                    for coroutine in &mut coroutines {
                        coroutine.resume(()).as_return().unwrap();
                    }
                    slots.extend(coroutines.into_iter().map(Coroutine::into_stack));
                })
            })
        });
    });
    group.bench_function("threads", |b| {
        b.iter_custom(|iters| {
            by_the_piece(iters, BATCH, |batches| {
                timed(batches, || {
                    let threads: Vec<_> = (0..BATCH).map(|_| thread::spawn(body)).collect();
                    threads.into_iter().for_each(|thread| thread.join().unwrap());
                })
            })
        });
    });
}

fn kill_unstarted(c: &mut Criterion) {
    let mut group = c.benchmark_group("kill/unstarted");
    let held = Rc::new(());
    group.bench_function("ramie", |b| {
        b.iter_custom(|iters| {
            by_the_piece(iters, BATCH, |batches| {
                let mut took = Duration::ZERO;
                for _ in 0..batches {
                    let holding = |_| {
                        let held = held.clone();
                        ramie::spawn(move || drop(black_box(held)))
                    };
                    let greenlets: Vec<_> = (0..BATCH).map(holding).collect();
                    took += timed(1, || ramie::killall(&greenlets));
                    assert_eq!(Rc::strong_count(&held), 1);
                    // What is left of them in the queue, which resumes nobody.
                    ramie::yield_now();
                }
                took
            })
        });
    });
    let mut slots = slots::slots(BATCH as usize);
    group.bench_function("corosensei", |b| {
        b.iter_custom(|iters| {
            by_the_piece(iters, BATCH, |batches| {
                let mut took = Duration::ZERO;
                for _ in 0..batches {
                    let holding = |slot| {
                        let held = held.clone();
                        Coroutine::<(), (), (), Slot>::with_stack(slot, move |_, ()| drop(black_box(held)))
                    };
                    let coroutines: Vec<_> = slots.drain(..).map(holding).collect();
                    let start = Instant::now();
                    for mut coroutine in coroutines {
                        coroutine.force_unwind();
                        slots.push(coroutine.into_stack());
                    }
                    took += start.elapsed();
                    assert_eq!(Rc::strong_count(&held), 1);
                }
                took
            })
        });
    });
}

fn timed(times: u64, mut f: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        f();
    }
    start.elapsed()
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = config();
    targets = one, thousand, kill_unstarted
}
criterion_main!(benches);
