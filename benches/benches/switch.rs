//! What it costs to let the next one run.
//!
//! Every figure is for one hand-over: the code that runs stops, another goes on. Making the greenlets,
//! coroutines or threads, and starting them, is not in it.
//!
//! * `ramie`: one `yield_now`. It has the greenlet's way to the hub, the hub's queue with all the checks of
//!   its loop, the way to the next greenlet, and the calls and returns of the given depth around it.
//! * `corosensei`: one `suspend` and one `resume`, out of a plain loop over the coroutines: a switch and no
//!   scheduler. Its stacks are of 16 KiB, those of `ramie` of 256 KiB: in a large ring the latter also miss
//!   more address lookups.
//! * `threads`: a baton of OS threads, a mutex and a condition variable for each. It has the wake-up of a
//!   thread that sleeps, maybe on another core.
//! * `calls`: the calls and returns of the given depth alone, with nothing at the bottom. All others have
//!   them too.
//!
//! `pair` has two that take turns, at the depth of calls that the id ends with. `ring` has as many as the id
//! ends with, which yield from their first function; there the misses of the cache count more than the
//! instructions.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use corosensei::Coroutine;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ramie::sync::Event;
use ramie::{Greenlet, joinall, spawn, yield_now};
use ramie_benches::{at_depth, by_the_piece, slots};

/// Greenlets that go round when they are told to, and wait in between.
struct Ring {
    shared: Rc<Shared>,
    members: Vec<Greenlet<()>>,
}

#[derive(Default)]
struct Shared {
    go: Event,
    done: Event,
    /// How often each member yields; 0 makes it end.
    rounds: Cell<u64>,
    running: Cell<usize>,
    took: Cell<Duration>,
}

impl Ring {
    fn new(size: usize, depth: u32) -> Ring {
        let shared = Rc::new(Shared::default());
        let member = |number| {
            let shared = shared.clone();
            spawn(move || while shared.go_round(number == 0, depth) {})
        };
        let members = (0..size).map(member).collect();
        // Each is at its first wait then.
        yield_now();
        Ring { shared, members }
    }

    fn run(&self, rounds: u64) -> Duration {
        let shared = &self.shared;
        shared.rounds.set(rounds);
        shared.running.set(self.members.len());
        shared.done.clear();
        shared.go.set();
        shared.done.wait();
        shared.took.get()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.run(0);
        joinall(&self.members);
    }
}

impl Shared {
    /// From the first member's first yield to the return of its last, each member yields `rounds` times.
    fn go_round(&self, first: bool, depth: u32) -> bool {
        self.go.wait();
        if first {
            self.go.clear();
        }
        // Until all are here.
        yield_now();
        let rounds = self.rounds.get();
        let start = Instant::now();
        for _ in 0..rounds {
            at_depth(depth, &yield_now);
        }
        if first {
            self.took.set(start.elapsed());
        }
        self.running.set(self.running.get() - 1);
        if self.running.get() == 0 {
            self.done.set();
        }
        rounds > 0
    }
}

/// The same without a hub.
struct BareRing {
    members: Vec<Coroutine<(), (), (), slots::Slot>>,
    stop: Rc<Cell<bool>>,
}

impl BareRing {
    fn new(size: usize, depth: u32) -> BareRing {
        let stop = Rc::new(Cell::new(false));
        let member = |slot| {
            let stop = stop.clone();
            Coroutine::with_stack(slot, move |yielder, ()| {
                while !stop.get() {
                    at_depth(depth, &|| yielder.suspend(()));
                }
            })
        };
        let members = slots::slots(size).into_iter().map(member).collect();
        let mut ring = BareRing { members, stop };
        ring.run(1);
        ring
    }

    fn run(&mut self, rounds: u64) -> Duration {
        let start = Instant::now();
        for _ in 0..rounds {
            for member in &mut self.members {
                member.resume(());
            }
        }
        start.elapsed()
    }
}

impl Drop for BareRing {
    fn drop(&mut self) {
        self.stop.set(true);
        self.run(1);
    }
}

/// The same on OS threads, made anew for each call.
fn thread_ring(size: usize, rounds: u64) -> Duration {
    let turn = Mutex::new(0);
    let wakes: Vec<_> = (0..size).map(|_| Condvar::new()).collect();
    let member = |number: usize| {
        let next = (number + 1) % size;
        let mut turn = turn.lock().unwrap();
        let mut start = Instant::now();
        for round in 0..=rounds {
            turn = wakes[number].wait_while(turn, |turn| *turn != number).unwrap();
            if round == 0 {
                // When the baton comes back to the first, all have started.
                start = Instant::now();
            }
            *turn = next;
            wakes[next].notify_one();
        }
        start.elapsed()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..size).map(|number| scope.spawn(move || member(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).next().unwrap()
    })
}

fn pair(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch/pair");
    for depth in [0, 3, 10] {
        let ring = Ring::new(2, depth);
        group.bench_function(BenchmarkId::new("ramie", depth), |b| {
            b.iter_custom(|iters| by_the_piece(iters, 2, |rounds| ring.run(rounds)));
        });
        let mut ring = BareRing::new(2, depth);
        group.bench_function(BenchmarkId::new("corosensei", depth), |b| {
            b.iter_custom(|iters| by_the_piece(iters, 2, |rounds| ring.run(rounds)));
        });
        group.bench_function(BenchmarkId::new("calls", depth), |b| {
            b.iter(|| at_depth(depth, &|| black_box(())));
        });
    }
    group.bench_function("threads", |b| {
        b.iter_custom(|iters| by_the_piece(iters, 2, |rounds| thread_ring(2, rounds)));
    });
}

fn ring(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch/ring");
    for size in [10, 1_000, 100_000] {
        // In turn, since a large one takes memory. Nothing of it is made if a filter leaves it out.
        let mut ring = None;
        group.bench_function(BenchmarkId::new("ramie", size), |b| {
            let ring = ring.get_or_insert_with(|| Ring::new(size, 0));
            b.iter_custom(|iters| by_the_piece(iters, size as u64, |rounds| ring.run(rounds)));
        });
        drop(ring);
        let mut ring = None;
        group.bench_function(BenchmarkId::new("corosensei", size), |b| {
            let ring = ring.get_or_insert_with(|| BareRing::new(size, 0));
            b.iter_custom(|iters| by_the_piece(iters, size as u64, |rounds| ring.run(rounds)));
        });
    }
    group.bench_function("threads/10", |b| {
        b.iter_custom(|iters| by_the_piece(iters, 10, |rounds| thread_ring(10, rounds)));
    });
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
    targets = pair, ring
}
criterion_main!(benches);
