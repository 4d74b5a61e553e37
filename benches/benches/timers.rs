//! What it costs to have a limit on what one does, and to sleep.
//!
//! * `with_timeout`: one `with_timeout` around nothing: the timer's start, which reads the clock, and its
//!   cancel. The id ends with how many other timers are pending meanwhile, spread over an hour. OS threads
//!   have nothing like it.
//! * `wait`: one wait for an event that another greenlet then sets, of two that take turns in setting and
//!   waiting. It has the wait, the set, the notification, and one switch away and back. `ramie` waits with a
//!   limit that is not reached, `ramie_unlimited` without: the difference is the limit's timer. `threads` is
//!   the same on two OS threads that take turns by `Condvar::wait_timeout`; it has the wake-up of a thread
//!   that sleeps, maybe on another core.
//! * `sleep`: one `sleep` of 1 ms in 100,000 greenlets that do nothing else: start of the timer, switch away,
//!   timer due, switch back. All of them together need far longer than 1 ms for it, so the hub is never idle,
//!   and the figure is what one sleep keeps the thread busy. OS threads have nothing to put beside it in such
//!   numbers.
//!
//! Making greenlets, threads and the pending timers is in no figure.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ramie::sync::Event;
use ramie::{Greenlet, Timeout, joinall, sleep, spawn, with_timeout, yield_now};
use ramie_benches::by_the_piece;

const HOUR: Duration = Duration::from_secs(3600);
const LONG: Duration = Duration::from_secs(10);

fn start_and_cancel(c: &mut Criterion) {
    let mut group = c.benchmark_group("timers/with_timeout");
    for pending in [0, 100_000] {
        let others: Vec<_> = (0..pending).map(|i| Timeout::new(HOUR * (i + 1) / pending)).collect();
        others.iter().for_each(Timeout::start);
        group.bench_function(BenchmarkId::new("ramie", pending), |b| {
            b.iter(|| with_timeout(black_box(LONG), || black_box(5)));
        });
        others.iter().for_each(Timeout::close);
    }
}

/// Two greenlets, each of which waits for its own event and then sets the other's.
fn greenlets_in_turns(turns: u64, wait: fn(&Event)) -> Duration {
    let events = [Event::new(), Event::new()];
    let player = |mine: Event, other: Event| {
        spawn(move || {
            let start = Instant::now();
            for _ in 0..turns {
                wait(&mine);
                mine.clear();
                other.set();
            }
            start.elapsed()
        })
    };
    let first = player(events[0].clone(), events[1].clone());
    let second = player(events[1].clone(), events[0].clone());
    events[0].set();
    second.join();
    first.get().expect("it was not killed")
}

fn threads_in_turns(turns: u64) -> Duration {
    let turn = Mutex::new(0);
    let wakes = [Condvar::new(), Condvar::new()];
    let player = |number: usize| {
        let mut turn = turn.lock().unwrap();
        for _ in 0..turns {
            while *turn != number {
                turn = wakes[number].wait_timeout(turn, LONG).unwrap().0;
            }
            *turn = 1 - number;
            wakes[1 - number].notify_one();
        }
    };
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| player(1));
        player(0);
    });
    start.elapsed()
}

fn satisfied_wait(c: &mut Criterion) {
    let mut group = c.benchmark_group("timers/wait");
    group.bench_function("ramie", |b| {
        let wait = |event: &Event| assert!(event.wait_timeout(LONG), "it is set far earlier");
        b.iter_custom(|iters| by_the_piece(iters, 2, |turns| greenlets_in_turns(turns, wait)));
    });
    group.bench_function("ramie_unlimited", |b| {
        b.iter_custom(|iters| by_the_piece(iters, 2, |turns| greenlets_in_turns(turns, Event::wait)));
    });
    group.bench_function("threads", |b| {
        b.iter_custom(|iters| by_the_piece(iters, 2, threads_in_turns));
    });
}

/// Greenlets that sleep again and again, for as long as this lives.
struct Sleepers {
    stop: Rc<Cell<bool>>,
    slept: Rc<Cell<u64>>,
    greenlets: Vec<Greenlet<()>>,
}

impl Sleepers {
    fn new(count: u64) -> Sleepers {
        let go = Event::new();
        let stop = Rc::new(Cell::new(false));
        let slept = Rc::new(Cell::new(0));
        let sleeper = |_| {
            let (go, stop, slept) = (go.clone(), stop.clone(), slept.clone());
            spawn(move || {
                // All fall asleep in one turn of the queue: those who sleep leave little time for a long
                // queue.
                go.wait();
                while !stop.get() {
                    sleep(Duration::from_millis(1));
                    slept.set(slept.get() + 1);
                }
            })
        };
        let greenlets = (0..count).map(sleeper).collect();
        yield_now();
        go.set();
        yield_now();
        Sleepers { stop, slept, greenlets }
    }

    /// Lets that many sleeps end, roughly, and returns the time of so many.
    fn run(&self, sleeps: u64) -> Duration {
        let before = self.slept.get();
        let start = Instant::now();
        let ended = || self.slept.get() - before;
        while ended() < sleeps {
            sleep(Duration::from_millis(1));
        }
        start.elapsed().mul_f64(sleeps as f64 / ended() as f64)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        self.stop.set(true);
        joinall(&self.greenlets);
    }
}

fn many_sleepers(c: &mut Criterion) {
    let mut sleepers = None;
    c.bench_function("timers/sleep/ramie/100000", |b| {
        let sleepers = sleepers.get_or_insert_with(|| Sleepers::new(100_000));
        b.iter_custom(|iters| sleepers.run(iters));
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
    targets = start_and_cancel, satisfied_wait, many_sleepers
}
criterion_main!(benches);
