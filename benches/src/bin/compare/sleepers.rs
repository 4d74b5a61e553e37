//! So many that sleep.
//!
//! * `sleepers`: one sleep of 1 ms: the timer's start, the way off, the timer's end, the way back.
//!   All of them together need longer than 1 ms for it, so the process is never idle, and the figure
//!   is what one sleep keeps it busy. Starting and joining them is not in it.
//! * `sleepers-cpu`: the whole life of one, in a fresh process: it is spawned, sleeps for two seconds
//!   while all the others do, wakes, ends and is joined. The figure is the processor's time, of user
//!   code and of the system, so the first use of each stack is in it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::least_hub;
use crate::measure::{cost, each};
use crate::runtimes::{CurrentThread, InLocalSet, Tokio, Workers, on_may, on_smol};
use crate::workload::{Run, Workload};

pub(crate) const SLEEPERS: Workload = Workload {
    name: "sleepers",
    what: "one sleep of 1 ms among so many",
    unit: "ns",
    sizes: &[100_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie),
        ("least-hub", least),
        ("may", |count| may(Workers::Cores, count)),
        ("may-1", |count| may(Workers::One, count)),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
        ("threads", threads),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

pub(crate) const SLEEPERS_CPU: Workload = Workload {
    name: "sleepers-cpu",
    what: "the processor's time for one of so many that are spawned, sleep and are joined",
    unit: "ns",
    sizes: &[100_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie_life),
        ("least-hub", least_life),
        ("may", |count| may_life(Workers::Cores, count)),
        ("may-1", |count| may_life(Workers::One, count)),
        ("tokio", tokio_life::<CurrentThread>),
        ("tokio-local", tokio_life::<InLocalSet>),
        ("smol", smol_life),
        ("threads", threads_life),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

const NAP: Duration = Duration::from_millis(1);
/// Long enough for all of them to fall asleep before the first one wakes.
const LONG_NAP: Duration = Duration::from_secs(2);

/// The processor's time that this process has taken.
fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// The processor's nanoseconds for each of `count` in `work`.
fn cpu_each(count: u64, work: impl FnOnce()) -> f64 {
    let before = process_time();
    work();
    each(process_time() - before, count)
}

fn ramie(count: u64) -> f64 {
    cost(count, |rounds| {
        let (go, left, done) =
            (ramie::sync::Event::new(), Rc::new(Cell::new(count)), ramie::sync::Event::new());
        let sleeper = |_| {
            let (go, left, done) = (go.clone(), left.clone(), done.clone());
            ramie::spawn(move || {
                go.wait();
                (0..rounds).for_each(|_| ramie::sleep(NAP));
                left.set(left.get() - 1);
                if left.get() == 0 {
                    done.set();
                }
            })
        };
        let sleepers: Vec<_> = (0..count).map(sleeper).collect();
        ramie::yield_now();
        let start = Instant::now();
        go.set();
        done.wait();
        let took = start.elapsed();
        ramie::joinall(&sleepers);
        took
    })
}

fn ramie_life(count: u64) -> f64 {
    // The hub is there.
    ramie::yield_now();
    cpu_each(count, || {
        let sleepers: Vec<_> = (0..count).map(|_| ramie::spawn(|| ramie::sleep(LONG_NAP))).collect();
        sleepers.into_iter().for_each(|sleeper| sleeper.join());
    })
}

fn least(count: u64) -> f64 {
    cost(count, |rounds| {
        least_hub::run(move |main| {
            let (gate, left) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(count)));
            let main_id = main.id;
            let sleeper = |_| {
                let (gate, left) = (gate.clone(), left.clone());
                main.hub.spawn(move |current| {
                    gate.borrow_mut().push(current.id);
                    current.park();
                    (0..rounds).for_each(|_| current.sleep(NAP));
                    left.set(left.get() - 1);
                    if left.get() == 0 {
                        current.hub.wake(main_id);
                    }
                })
            };
            let sleepers: Vec<_> = (0..count).map(sleeper).collect();
            main.yield_now();
            let start = Instant::now();
            gate.take().into_iter().for_each(|id| main.hub.wake(id));
            main.park();
            let took = start.elapsed();
            sleepers.into_iter().for_each(|sleeper| main.join(sleeper));
            took
        })
    })
}

fn least_life(count: u64) -> f64 {
    least_hub::run(move |main| {
        let begun = |_| main.hub.spawn(|current| current.sleep(LONG_NAP));
        cpu_each(count, || {
            let sleepers: Vec<_> = (0..count).map(begun).collect();
            sleepers.into_iter().for_each(|sleeper| main.join(sleeper));
        })
    })
}

fn may_life(workers: Workers, count: u64) -> f64 {
    on_may(workers, move || {
        cpu_each(count, || {
            let sleeper = |_| may::go!(|| may::coroutine::sleep(LONG_NAP));
            let sleepers: Vec<_> = (0..count).map(sleeper).collect();
            sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("it does not panic"));
        })
    })
}

fn tokio_life<T: Tokio>(count: u64) -> f64 {
    T::block_on(async move {
        let before = process_time();
        let sleepers: Vec<_> = (0..count).map(|_| T::spawn(tokio::time::sleep(LONG_NAP))).collect();
        for sleeper in sleepers {
            sleeper.await.expect("it is not aborted");
        }
        each(process_time() - before, count)
    })
}

fn smol_life(count: u64) -> f64 {
    on_smol(async |executor| {
        let before = process_time();
        let sleepers: Vec<_> = (0..count).map(|_| executor.spawn(smol::Timer::after(LONG_NAP))).collect();
        for sleeper in sleepers {
            sleeper.await;
        }
        each(process_time() - before, count)
    })
}

fn threads_life(count: u64) -> f64 {
    cpu_each(count, || {
        let sleeper = |_| thread::Builder::new().spawn(|| thread::sleep(LONG_NAP));
        let sleepers: Vec<_> = (0..count).map(sleeper).collect();
        for sleeper in sleepers {
            let sleeper = sleeper.expect("the system has room for a thread");
            sleeper.join().expect("it does not panic");
        }
    })
}

fn may(workers: Workers, count: u64) -> f64 {
    on_may(workers, move || {
        cost(count, |rounds| {
            let go = Arc::new(may::sync::SyncFlag::new());
            let sleeper = |_| {
                let go = go.clone();
                may::go!(move || {
                    go.wait();
                    (0..rounds).for_each(|_| may::coroutine::sleep(NAP));
                })
            };
            let sleepers: Vec<_> = (0..count).map(sleeper).collect();
            let start = Instant::now();
            go.fire();
            sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("it does not panic"));
            start.elapsed()
        })
    })
}

fn tokio<T: Tokio>(count: u64) -> f64 {
    cost(count, |rounds| {
        T::block_on(async {
            let go = Arc::new(tokio::sync::Semaphore::new(0));
            let sleeper = |_| {
                let go = go.clone();
                T::spawn(async move {
                    go.acquire().await.expect_err("it is closed");
                    for _ in 0..rounds {
                        tokio::time::sleep(NAP).await;
                    }
                })
            };
            let sleepers: Vec<_> = (0..count).map(sleeper).collect();
            tokio::task::yield_now().await;
            let start = Instant::now();
            go.close();
            for sleeper in sleepers {
                sleeper.await.expect("it is not aborted");
            }
            start.elapsed()
        })
    })
}

fn smol(count: u64) -> f64 {
    cost(count, |rounds| {
        on_smol(async |executor| {
            let (go, gone) = smol::channel::bounded::<()>(1);
            let sleeper = |_| {
                let gone = gone.clone();
                executor.spawn(async move {
                    gone.recv().await.expect_err("it is closed");
                    for _ in 0..rounds {
                        smol::Timer::after(NAP).await;
                    }
                })
            };
            let sleepers: Vec<_> = (0..count).map(sleeper).collect();
            smol::future::yield_now().await;
            let start = Instant::now();
            go.close();
            for sleeper in sleepers {
                sleeper.await;
            }
            start.elapsed()
        })
    })
}

fn threads(count: u64) -> f64 {
    cost(count, |rounds| {
        let go = Arc::new(Barrier::new(count as usize + 1));
        let sleeper = |_| {
            let go = go.clone();
            let sleep = move || {
                go.wait();
                (0..rounds).for_each(|_| thread::sleep(NAP));
            };
            thread::Builder::new().spawn(sleep).expect("the system has room for a thread")
        };
        let sleepers: Vec<_> = (0..count).map(sleeper).collect();
        let start = Instant::now();
        go.wait();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("it does not panic"));
        start.elapsed()
    })
}
