//! So many jobs through a pool of a hundred; each yields once, so that a hundred are under way at a
//! time.
//!
//! * `pool`: the jobs are spawned and have no result.
//! * `pool-map`: the results come as a vector in the order of the inputs.
//! * `pool-imap_unordered`: the results are taken one by one, in the order of their ends.
//!
//! In ramie and gevent it is the pool's method of that name, which makes a greenlet for each job.
//! tokio, smol and may spawn each job behind a semaphore, as tokio's documentation shows it; for the
//! results they keep the handles, or a channel. The least hub spawns each job and counts. Go,
//! Boost.Fiber and threads have no pools, and their documentation has a hundred workers take jobs from
//! a channel: no job is spawned there. For `map` a worker puts the result into its place, else into a
//! second channel.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use ramie::Mapping as _;

use crate::least_hub::{self, Current};
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
        ("least-hub", least),
        ("may", |jobs| may(Workers::Cores, jobs)),
        ("may-1", |jobs| may(Workers::One, jobs)),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
        ("threads", threads),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

pub(crate) const POOL_MAP: Workload = Workload {
    name: "pool-map",
    what: "one of so many inputs mapped by a pool of a hundred",
    unit: "ns",
    sizes: &[1_000_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie_map),
        ("least-hub", least_map),
        ("may", |jobs| may_map(Workers::Cores, jobs)),
        ("may-1", |jobs| may_map(Workers::One, jobs)),
        ("tokio", tokio_map::<CurrentThread>),
        ("tokio-local", tokio_map::<InLocalSet>),
        ("smol", smol_map),
        ("threads", threads_map),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

pub(crate) const POOL_IMAP_UNORDERED: Workload = Workload {
    name: "pool-imap_unordered",
    what: "one of so many inputs mapped by a pool of a hundred, results as they come",
    unit: "ns",
    sizes: &[1_000_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie_unordered),
        ("least-hub", least_unordered),
        ("may", |jobs| may_unordered(Workers::Cores, jobs)),
        ("may-1", |jobs| may_unordered(Workers::One, jobs)),
        ("tokio", tokio_unordered::<CurrentThread>),
        ("tokio-local", tokio_unordered::<InLocalSet>),
        ("smol", smol_unordered),
        ("threads", threads_unordered),
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

fn ramie_map(jobs: u64) -> f64 {
    let pool = ramie::Pool::new(LIMIT);
    let start = Instant::now();
    let results = pool.map(0..jobs, |job| {
        ramie::yield_now();
        job
    });
    let took = start.elapsed();
    check(jobs, results.expect("no job fails"));
    each(took, jobs)
}

fn ramie_unordered(jobs: u64) -> f64 {
    let pool = ramie::Pool::new(LIMIT);
    let start = Instant::now();
    let results = pool.imap_unordered(0..jobs, |job| {
        ramie::yield_now();
        job
    });
    check(jobs, results.map(|result| result.expect("no job fails")));
    each(start.elapsed(), jobs)
}

/// Takes the results, and sees that they are those of all jobs.
fn check(jobs: u64, results: impl IntoIterator<Item = u64>) {
    let (count, sum) = results.into_iter().fold((0, 0), |(count, sum), job| (count + 1, sum + job));
    assert_eq!((count, sum), (jobs, jobs * (jobs - 1) / 2));
}

/// Runs the jobs on the least hub, a hundred at a time, and gives `take` the number of each that has
/// ended. The first task has nothing else to do.
fn least_jobs(main: &Current<'_>, jobs: u64, mut take: impl FnMut(u64)) {
    let (running, ended) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(VecDeque::new())));
    let mut next = 0;
    let mut left = jobs;
    while left > 0 {
        while next < jobs && running.get() < LIMIT {
            running.set(running.get() + 1);
            let (job, waiter) = (next, main.id);
            let (running, ended) = (running.clone(), ended.clone());
            main.hub.spawn(move |current| {
                current.yield_now();
                running.set(running.get() - 1);
                ended.borrow_mut().push_back(black_box(job));
                current.hub.wake(waiter);
            });
            next += 1;
        }
        main.park();
        for job in ended.borrow_mut().drain(..) {
            left -= 1;
            take(job);
        }
    }
}

fn least(jobs: u64) -> f64 {
    least_hub::run(move |main| {
        let start = Instant::now();
        least_jobs(main, jobs, |_| {});
        each(start.elapsed(), jobs)
    })
}

fn least_map(jobs: u64) -> f64 {
    least_hub::run(move |main| {
        let start = Instant::now();
        let mut results = vec![0; jobs as usize];
        least_jobs(main, jobs, |job| results[job as usize] = job);
        let took = start.elapsed();
        check(jobs, results);
        each(took, jobs)
    })
}

fn least_unordered(jobs: u64) -> f64 {
    least_hub::run(move |main| {
        let start = Instant::now();
        let mut sum = 0;
        least_jobs(main, jobs, |job| sum += job);
        black_box(sum);
        each(start.elapsed(), jobs)
    })
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

fn may_map(workers: Workers, jobs: u64) -> f64 {
    on_may(workers, move || {
        let room = Arc::new(may::sync::Semphore::new(LIMIT));
        let start = Instant::now();
        let job = |job| {
            room.wait();
            let room = room.clone();
            may::go!(move || {
                may::coroutine::yield_now();
                room.post();
                job
            })
        };
        let handles: Vec<_> = (0..jobs).map(job).collect();
        let results: Vec<u64> =
            handles.into_iter().map(|handle| handle.join().expect("it does not panic")).collect();
        let took = start.elapsed();
        check(jobs, results);
        each(took, jobs)
    })
}

fn may_unordered(workers: Workers, jobs: u64) -> f64 {
    on_may(workers, move || {
        let (sender, results) = may::sync::mpsc::channel();
        let start = Instant::now();
        let spawning = may::go!(move || {
            let room = Arc::new(may::sync::Semphore::new(LIMIT));
            for job in 0..jobs {
                room.wait();
                let (room, sender) = (room.clone(), sender.clone());
                may::go!(move || {
                    may::coroutine::yield_now();
                    sender.send(job).expect("it is received");
                    room.post();
                });
            }
        });
        check(jobs, results.iter());
        let took = start.elapsed();
        spawning.join().expect("it does not panic");
        each(took, jobs)
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

fn tokio_map<T: Tokio>(jobs: u64) -> f64 {
    T::block_on(async move {
        let room = Arc::new(tokio::sync::Semaphore::new(LIMIT));
        let start = Instant::now();
        let mut handles = Vec::new();
        for job in 0..jobs {
            let permit = room.clone().acquire_owned().await.expect("it is not closed");
            handles.push(T::spawn(async move {
                tokio::task::yield_now().await;
                drop(permit);
                job
            }));
        }
        let mut results = Vec::with_capacity(handles.len());
        for handle in handles {
            results.push(handle.await.expect("it is not aborted"));
        }
        let took = start.elapsed();
        check(jobs, results);
        each(took, jobs)
    })
}

fn tokio_unordered<T: Tokio>(jobs: u64) -> f64 {
    T::block_on(async move {
        let room = Arc::new(tokio::sync::Semaphore::new(LIMIT));
        let (sender, mut receiver) = tokio::sync::mpsc::channel(LIMIT);
        let start = Instant::now();
        let spawning = T::spawn(async move {
            for job in 0..jobs {
                let permit = room.clone().acquire_owned().await.expect("it is not closed");
                let sender = sender.clone();
                T::spawn(async move {
                    tokio::task::yield_now().await;
                    sender.send(job).await.expect("it is received");
                    drop(permit);
                });
            }
        });
        let (mut count, mut sum) = (0, 0);
        while let Some(job) = receiver.recv().await {
            (count, sum) = (count + 1, sum + job);
        }
        let took = start.elapsed();
        assert_eq!((count, sum), (jobs, jobs * (jobs - 1) / 2));
        spawning.await.expect("it is not aborted");
        each(took, jobs)
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

fn smol_map(jobs: u64) -> f64 {
    on_smol(async |executor| {
        let room = Arc::new(smol::lock::Semaphore::new(LIMIT));
        let start = Instant::now();
        let mut handles = Vec::new();
        for job in 0..jobs {
            let permit = room.acquire_arc().await;
            handles.push(executor.spawn(async move {
                smol::future::yield_now().await;
                drop(permit);
                job
            }));
        }
        let mut results = Vec::with_capacity(handles.len());
        for handle in handles {
            results.push(handle.await);
        }
        let took = start.elapsed();
        check(jobs, results);
        each(took, jobs)
    })
}

fn smol_unordered(jobs: u64) -> f64 {
    on_smol(async |executor| {
        let room = Arc::new(smol::lock::Semaphore::new(LIMIT));
        let (sender, receiver) = smol::channel::bounded(LIMIT);
        let start = Instant::now();
        let spawning = executor.spawn(async move {
            for job in 0..jobs {
                let permit = room.acquire_arc().await;
                let sender = sender.clone();
                let job = executor.spawn(async move {
                    smol::future::yield_now().await;
                    sender.send(job).await.expect("it is received");
                    drop(permit);
                });
                job.detach();
            }
        });
        let (mut count, mut sum) = (0, 0);
        while let Ok(job) = receiver.recv().await {
            (count, sum) = (count + 1, sum + job);
        }
        let took = start.elapsed();
        assert_eq!((count, sum), (jobs, jobs * (jobs - 1) / 2));
        spawning.await;
        each(took, jobs)
    })
}

fn threads_map(jobs: u64) -> f64 {
    let (sender, receiver) = crossbeam_channel::bounded(LIMIT);
    let places: Arc<[AtomicU64]> = (0..jobs).map(|_| AtomicU64::new(0)).collect();
    let worker = |_| {
        let (receiver, places) = (receiver.clone(), places.clone());
        thread::spawn(move || {
            for job in receiver {
                thread::yield_now();
                let job: u64 = job;
                places[job as usize].store(job, Ordering::Relaxed);
            }
        })
    };
    let workers: Vec<_> = (0..LIMIT).map(worker).collect();
    let start = Instant::now();
    (0..jobs).for_each(|job| sender.send(job).expect("there are workers"));
    drop(sender);
    workers.into_iter().for_each(|worker| worker.join().expect("it does not panic"));
    let took = start.elapsed();
    check(jobs, places.iter().map(|place| place.load(Ordering::Relaxed)));
    each(took, jobs)
}

fn threads_unordered(jobs: u64) -> f64 {
    let (sender, receiver) = crossbeam_channel::bounded(LIMIT);
    let (done, results) = crossbeam_channel::bounded(LIMIT);
    for _ in 0..LIMIT {
        let (receiver, done) = (receiver.clone(), done.clone());
        thread::spawn(move || {
            for job in receiver {
                thread::yield_now();
                done.send(job).expect("it is received");
            }
        });
    }
    drop(done);
    let start = Instant::now();
    let feeding =
        thread::spawn(move || (0..jobs).for_each(|job| sender.send(job).expect("there are workers")));
    check(jobs, results);
    let took = start.elapsed();
    feeding.join().expect("it does not panic");
    each(took, jobs)
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
