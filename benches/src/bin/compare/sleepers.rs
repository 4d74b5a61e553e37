//! One sleep of 1 ms, among so many that do nothing else: the timer's start, the way off, the timer's end, the way
//! back.
//!
//! All of them together need longer than 1 ms for it, so nobody is ever idle, and the figure is what one sleep keeps
//! the process busy. Starting and joining them is not in it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::cost;
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
        ("may", |count| may(Workers::Cores, count)),
        ("may-1", |count| may(Workers::One, count)),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
        ("threads", threads),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

const NAP: Duration = Duration::from_millis(1);

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
                sleeper.await.expect("nobody aborts it");
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
