//! So many jobs through a pool of a hundred; each yields once, so that a hundred are under way at a time.
//!
//! In ramie and gevent it is `Pool::spawn`, which waits for room and makes a greenlet for each job. tokio, smol and may
//! spawn each job behind a semaphore, as tokio's documentation shows it. Go, Boost.Fiber and threads have no pools, and
//! their documentation has a hundred workers take jobs from a channel: no job is spawned there.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::measure::each;
use crate::runtimes::{CurrentThread, InLocalSet, Tokio, Workers, on_may, on_smol};
use crate::workload::{Run, Workload};

pub(crate) const POOL: Workload = Workload {
    name: "pool",
    what: "one of so many jobs, which yields once, through a pool of a hundred",
    unit: "ns",
    sizes: &[1_000_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie),
        ("may", |jobs| may(Workers::Cores, jobs)),
        ("may-1", |jobs| may(Workers::One, jobs)),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
        ("threads", threads),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

const LIMIT: usize = 100;

fn ramie(jobs: u64) -> f64 {
    let pool = ramie::Pool::new(LIMIT);
    let start = Instant::now();
    for job in 0..jobs {
        pool.spawn(move || {
            ramie::yield_now();
            black_box(job);
        });
    }
    pool.join();
    each(start.elapsed(), jobs)
}

fn may(workers: Workers, jobs: u64) -> f64 {
    on_may(workers, move || {
        let room = Arc::new(may::sync::Semphore::new(LIMIT));
        let start = Instant::now();
        for job in 0..jobs {
            room.wait();
            let room = room.clone();
            may::go!(move || {
                may::coroutine::yield_now();
                black_box(job);
                room.post();
            });
        }
        (0..LIMIT).for_each(|_| room.wait());
        each(start.elapsed(), jobs)
    })
}

fn tokio<T: Tokio>(jobs: u64) -> f64 {
    T::block_on(async move {
        let room = Arc::new(tokio::sync::Semaphore::new(LIMIT));
        let start = Instant::now();
        for job in 0..jobs {
            let permit = room.clone().acquire_owned().await.expect("it is not closed");
            T::spawn(async move {
                tokio::task::yield_now().await;
                black_box(job);
                drop(permit);
            });
        }
        let _all = room.acquire_many(LIMIT as u32).await.expect("it is not closed");
        each(start.elapsed(), jobs)
    })
}

fn smol(jobs: u64) -> f64 {
    on_smol(async |executor| {
        let room = Arc::new(smol::lock::Semaphore::new(LIMIT));
        let start = Instant::now();
        for job in 0..jobs {
            let permit = room.acquire_arc().await;
            let job = executor.spawn(async move {
                smol::future::yield_now().await;
                black_box(job);
                drop(permit);
            });
            job.detach();
        }
        for _ in 0..LIMIT {
            room.acquire().await.forget();
        }
        each(start.elapsed(), jobs)
    })
}

fn threads(jobs: u64) -> f64 {
    let (sender, receiver) = crossbeam_channel::bounded(LIMIT);
    let worker = |_| {
        let receiver = receiver.clone();
        thread::spawn(move || {
            for job in receiver {
                thread::yield_now();
                black_box::<u64>(job);
            }
        })
    };
    let workers: Vec<_> = (0..LIMIT).map(worker).collect();
    let start = Instant::now();
    (0..jobs).for_each(|job| sender.send(job).expect("there are workers"));
    drop(sender);
    workers.into_iter().for_each(|worker| worker.join().expect("it does not panic"));
    each(start.elapsed(), jobs)
}
