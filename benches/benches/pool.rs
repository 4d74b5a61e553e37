//! What groups and pools cost.
//!
//! All figures are for one job, or one member. Bodies do nothing, and all contenders have one thread.
//!
//! * `spawn`: a million jobs, no more than a hundred of them at once, and the wait for the last. A job's figure has the wait
//!   for a slot, the greenlet (task) with its allocation, its run, its end, and the slot given back.
//! * `map`: the same, with all results in one vector, in the order of the inputs.
//! * `try_map`: the same, with a function whose `Err` would end it; there is none.
//! * `imap`, `imap_unordered`: the same, with the results one by one for somebody who reads them, in the order of the inputs
//!   or of the ends.
//! * `group`: a group is made, as many as the id ends with are spawned in it, and it is joined. No limit.
//! * `kill`: a hundred thousand that are parked are killed, and waited for. Making and parking them is not in the figure.
//! * `threads`: one job that another thread runs, from its spawning until its result is there, one after the other: two
//!   hand-overs, each with the wake-up of a thread that sleeps. Starting that thread is not in the figure.
//!
//! Who takes part:
//!
//! * `ramie`: `Pool::new(100)` or a `Group`, and the method of that name, called by the thread's main greenlet.
//!   In `threads` it is `ThreadPool::new(1)` and `get`, beside `spawn_blocking` of tokio's current-thread runtime, and `std`: a plain
//!   thread with a channel of closures and one of results.
//! * `ramie_workers` has no pool: a hundred greenlets take the jobs out of a channel with room for a hundred. No job has a greenlet
//!   or a result of its own.
//! * `corosensei`: a bare coroutine for each job, on one of a hundred stacks that are there already: what a pool cannot go below
//!   without giving up that each job has a stack of its own.
//! * `tokio`: the current-thread runtime, tasks in its `LocalSet`. For `spawn`, `map` and `try_map` a task takes a permit of a
//!   semaphore of a hundred along; a `JoinSet` has the tasks of `spawn`, and is asked for those that have ended as it goes. `imap`
//!   awaits the oldest of a hundred handles before the next is started, `imap_unordered` whoever in a `JoinSet` of a hundred ends
//!   first. `kill` is `JoinSet::shutdown`: it aborts all and awaits them; a task that is aborted is dropped, not unwound.
//! * `may`: one worker thread. A coroutine takes a permit of a `Semphore` of a hundred for each that it starts, and waits for all
//!   permits in the end, or joins the handles. Results come in order from the handles, otherwise through a channel. A stack of may's
//!   is one or two mappings of the system's, of which Linux allows 65,530: its largest group and kill are of 10,000.
//! * `gevent`: the methods of the same name, in a child process that says how long they took, where the interpreter named by
//!   `RAMIE_PYTHON` (or else `python3`) can import gevent.
#![expect(unsafe_code, reason = "may's cancel is unsafe")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::env;
use std::future::{Future, pending};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use corosensei::Coroutine;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};
use may::{coroutine, go};
use ramie::sync::Event;
use ramie::{Group, Mapping, Pool, ThreadPool, channel, joinall, yield_now};
use ramie_benches::{by_the_piece, slots};
use tokio::task::{JoinHandle, JoinSet, spawn_local};

/// How many jobs run at once.
const LIMIT: usize = 100;
/// How many jobs there are.
const JOBS: u64 = 1_000_000;
/// How many there are for those who take longer.
const FEWER_JOBS: u64 = 20_000;
const PARKED: u64 = 100_000;
const FEWER_PARKED: u64 = 10_000;

fn body() {
    black_box(());
}

fn fallible(x: u64) -> Result<u64, Infallible> {
    Ok(black_box(x))
}

// --- contenders -------------------------------------------------------------------------------------------------------

/// One contender's figure for a piece of batches of that many.
fn contend(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    batch: u64,
    mut run: impl FnMut(u64) -> Duration,
) {
    contend_in_bulk(group, id, batch, |batches, batch| (0..batches).map(|_| run(batch)).sum());
}

/// The same for who wants to know at once how many batches there are.
fn contend_in_bulk(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    batch: u64,
    mut run: impl FnMut(u64, u64) -> Duration,
) {
    let batch = at_most(batch);
    group.bench_function(id, |b| {
        b.iter_custom(|pieces| by_the_piece(pieces, batch, |batches| run(batches, batch)));
    });
}

/// As many, or a few if this is a test.
fn at_most(count: u64) -> u64 {
    let measures = env::args().any(|arg| arg == "--bench");
    if measures { count } else { count.min(10) }
}

/// A group for contenders that take up to seconds for a batch.
fn flat<'c>(c: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat);
    group
}

fn timed<R>(f: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = f();
    (result, start.elapsed())
}

/// The time of a mapping, which must have as many results as there were inputs.
fn mapped(count: u64, f: impl FnOnce() -> Vec<u64>) -> Duration {
    let (results, took) = timed(f);
    assert_eq!(results.len() as u64, count);
    took
}

/// The time of an iteration, which must have as many results as there were inputs.
fn iterated<T>(count: u64, f: impl FnOnce() -> T) -> Duration
where
    T: Iterator<Item: Sized>,
{
    let (came, took) = timed(|| f().map(black_box).count());
    assert_eq!(came as u64, count);
    took
}

/// The time of a future that runs on a current-thread runtime, beside whatever it spawns locally.
fn on_tokio<R>(future: impl Future<Output = R>) -> Duration {
    in_local_set(async {
        let start = Instant::now();
        black_box(future.await);
        start.elapsed()
    })
}

fn in_local_set<R>(future: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Cancels a coroutine of may's.
fn cancel<T>(handle: &coroutine::JoinHandle<T>) {
    // SAFETY: the coroutine is parked, and owns nothing that must not be left by unwinding.
    unsafe { handle.coroutine().cancel() };
}

/// What `f` returns in a coroutine of may's, beside whatever it starts.
fn on_may<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    may::config().set_workers(1);
    go!(f).join().expect("it does not panic")
}

/// gevent, if it is there: see `peers/pool.py`.
struct Gevent {
    python: String,
}

impl Gevent {
    fn find() -> Option<Gevent> {
        let python = env::var("RAMIE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let import = Command::new(&python).args(["-c", "import gevent"]).stderr(Stdio::null()).status();
        if import.is_ok_and(|status| status.success()) {
            return Some(Gevent { python });
        }
        eprintln!("gevent is left out: {python} cannot import it; RAMIE_PYTHON names another interpreter");
        None
    }

    fn contend(&self, group: &mut BenchmarkGroup<'_, WallTime>, id: &str, batch: u64, what: &str) {
        // Small batches are many, as each call starts a child.
        let batch = at_most(batch);
        let least = at_most(FEWER_JOBS).div_ceil(batch);
        contend_in_bulk(group, id, batch * least, |calls, _| self.run(what, calls * least, batch));
    }

    fn run(&self, what: &str, batches: u64, batch: u64) -> Duration {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/pool.py");
        let output = Command::new(&self.python)
            .args([script, what, &batches.to_string(), &batch.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .expect("it could be started before");
        assert!(output.status.success(), "{script} has failed");
        let nanos = String::from_utf8(output.stdout).expect("it prints a number");
        Duration::from_nanos(nanos.trim().parse().expect("it prints a number"))
    }
}

// --- jobs -------------------------------------------------------------------------------------------------------------

/// Fixed workers: what is left of a pool without greenlets, results or slots of the jobs' own.
fn workers(jobs: u64) -> Duration {
    let (sender, receiver) = channel::bounded(LIMIT);
    let start = Instant::now();
    let workers: Vec<_> = (0..LIMIT)
        .map(|_| {
            let receiver = receiver.clone();
            ramie::spawn(move || receiver.iter().for_each(|job: fn()| job()))
        })
        .collect();
    (0..jobs).for_each(|_| sender.send(body as fn()).expect("the workers are there"));
    drop(sender);
    joinall(&workers);
    start.elapsed()
}

fn bare(jobs: u64) -> Duration {
    let mut slots = VecDeque::from(slots::slots(LIMIT));
    let start = Instant::now();
    for _ in 0..jobs {
        let slot = slots.pop_front().expect("each comes back");
        let mut coroutine: Coroutine<(), (), (), _> = Coroutine::with_stack(slot, |_, ()| body());
        coroutine.resume(()).as_return().expect("it does not suspend");
        slots.push_back(coroutine.into_stack());
    }
    start.elapsed()
}

async fn tokio_spawn(jobs: u64) {
    let semaphore = Arc::new(tokio::sync::Semaphore::new(LIMIT));
    let mut tasks = JoinSet::new();
    for _ in 0..jobs {
        let permit = semaphore.clone().acquire_owned().await.expect("nobody closes it");
        tasks.spawn_local(async move {
            body();
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

/// Starts a job for each input once there is a permit, and returns the handles.
async fn tokio_start<R: 'static>(jobs: u64, f: fn(u64) -> R) -> Vec<JoinHandle<R>> {
    let semaphore = Arc::new(tokio::sync::Semaphore::new(LIMIT));
    let mut handles = Vec::new();
    for input in 0..jobs {
        let permit = semaphore.clone().acquire_owned().await.expect("nobody closes it");
        handles.push(spawn_local(async move {
            let result = f(input);
            drop(permit);
            result
        }));
    }
    handles
}

async fn tokio_map(jobs: u64) -> Vec<u64> {
    let mut results = Vec::new();
    for handle in tokio_start(jobs, black_box).await {
        results.push(handle.await.expect("it does not panic"));
    }
    results
}

async fn tokio_try_map(jobs: u64) -> Result<Vec<u64>, Infallible> {
    let mut results = Vec::new();
    for handle in tokio_start(jobs, fallible).await {
        results.push(handle.await.expect("it does not panic")?);
    }
    Ok(results)
}

async fn tokio_imap(jobs: u64) {
    let mut handles = VecDeque::new();
    for input in 0..jobs {
        if handles.len() == LIMIT {
            let oldest: JoinHandle<u64> = handles.pop_front().expect("it is not empty");
            black_box(oldest.await.expect("it does not panic"));
        }
        handles.push_back(spawn_local(async move { black_box(input) }));
    }
    for handle in handles {
        black_box(handle.await.expect("it does not panic"));
    }
}

async fn tokio_imap_unordered(jobs: u64) {
    let mut tasks = JoinSet::new();
    for input in 0..jobs {
        if tasks.len() == LIMIT {
            black_box(tasks.join_next().await.expect("it is not empty").expect("it does not panic"));
        }
        tasks.spawn_local(async move { black_box(input) });
    }
    while let Some(result) = tasks.join_next().await {
        black_box(result.expect("it does not panic"));
    }
}

fn may_spawn(jobs: u64) -> Duration {
    let semaphore = Arc::new(may::sync::Semphore::new(LIMIT));
    let start = Instant::now();
    for _ in 0..jobs {
        semaphore.wait();
        let own = semaphore.clone();
        go!(move || {
            body();
            own.post();
        });
    }
    (0..LIMIT).for_each(|_| semaphore.wait());
    start.elapsed()
}

/// Starts a job for each input once there is a permit, and returns the handles.
fn may_start<R: Send + 'static>(jobs: u64, f: fn(u64) -> R) -> Vec<coroutine::JoinHandle<R>> {
    let semaphore = Arc::new(may::sync::Semphore::new(LIMIT));
    let start = |input| {
        semaphore.wait();
        let own = semaphore.clone();
        go!(move || {
            let result = f(input);
            own.post();
            result
        })
    };
    (0..jobs).map(start).collect()
}

fn may_map(jobs: u64) -> Vec<u64> {
    let handles = may_start(jobs, black_box);
    handles.into_iter().map(|handle| handle.join().expect("it does not panic")).collect()
}

fn may_try_map(jobs: u64) -> Result<Vec<u64>, Infallible> {
    let handles = may_start(jobs, fallible);
    handles.into_iter().map(|handle| handle.join().expect("it does not panic")).collect()
}

fn may_imap(jobs: u64) {
    let mut handles = VecDeque::new();
    for input in 0..jobs {
        if handles.len() == LIMIT {
            let oldest: coroutine::JoinHandle<u64> = handles.pop_front().expect("it is not empty");
            black_box(oldest.join().expect("it does not panic"));
        }
        handles.push_back(go!(move || black_box(input)));
    }
    for handle in handles {
        black_box(handle.join().expect("it does not panic"));
    }
}

fn may_imap_unordered(jobs: u64) {
    let (sender, receiver) = may::sync::mpsc::channel();
    let feeder = go!(move || {
        let semaphore = Arc::new(may::sync::Semphore::new(LIMIT));
        for input in 0..jobs {
            semaphore.wait();
            let (own, sender) = (semaphore.clone(), sender.clone());
            go!(move || {
                sender.send(black_box(input)).expect("it is received");
                own.post();
            });
        }
    });
    assert_eq!(receiver.iter().map(black_box).count() as u64, jobs);
    feeder.join().expect("it does not panic");
}

fn jobs(c: &mut Criterion) {
    let gevent = Gevent::find();
    let beside = |group: &mut BenchmarkGroup<'_, WallTime>, what: &str| {
        if let Some(gevent) = &gevent {
            gevent.contend(group, "gevent", FEWER_JOBS, what);
        }
    };

    let mut group = flat(c, "pool/spawn");
    contend(&mut group, "ramie", JOBS, |jobs| {
        let pool = Pool::new(LIMIT);
        let start = Instant::now();
        for _ in 0..jobs {
            pool.spawn(body);
        }
        pool.join();
        start.elapsed()
    });
    contend(&mut group, "ramie_workers", JOBS, workers);
    contend(&mut group, "corosensei", JOBS, bare);
    contend(&mut group, "tokio", JOBS, |jobs| on_tokio(tokio_spawn(jobs)));
    contend(&mut group, "may", JOBS, |jobs| on_may(move || may_spawn(jobs)));
    beside(&mut group, "spawn");
    drop(group);

    let mut group = flat(c, "pool/map");
    contend(&mut group, "ramie", JOBS, |jobs| {
        mapped(jobs, || Pool::new(LIMIT).map(0..jobs, black_box).expect("nothing fails"))
    });
    contend(&mut group, "tokio", JOBS, |jobs| on_tokio(tokio_map(jobs)));
    contend(&mut group, "may", JOBS, |jobs| on_may(move || mapped(jobs, || may_map(jobs))));
    beside(&mut group, "map");
    drop(group);

    let mut group = flat(c, "pool/try_map");
    contend(&mut group, "ramie", JOBS, |jobs| {
        mapped(jobs, || Pool::new(LIMIT).try_map(0..jobs, fallible).expect("nothing fails"))
    });
    contend(&mut group, "tokio", JOBS, |jobs| on_tokio(tokio_try_map(jobs)));
    contend(&mut group, "may", JOBS, |jobs| {
        on_may(move || mapped(jobs, || may_try_map(jobs).expect("nothing fails")))
    });
    beside(&mut group, "map");
    drop(group);

    let mut group = flat(c, "pool/imap");
    contend(&mut group, "ramie", JOBS, |jobs| iterated(jobs, || Pool::new(LIMIT).imap(0..jobs, black_box)));
    contend(&mut group, "tokio", JOBS, |jobs| on_tokio(tokio_imap(jobs)));
    contend(&mut group, "may", JOBS, |jobs| on_may(move || timed(|| may_imap(jobs)).1));
    beside(&mut group, "imap");
    drop(group);

    let mut group = flat(c, "pool/imap_unordered");
    contend(&mut group, "ramie", JOBS, |jobs| {
        iterated(jobs, || Pool::new(LIMIT).imap_unordered(0..jobs, black_box))
    });
    contend(&mut group, "tokio", JOBS, |jobs| on_tokio(tokio_imap_unordered(jobs)));
    contend(&mut group, "may", JOBS, |jobs| on_may(move || timed(|| may_imap_unordered(jobs)).1));
    beside(&mut group, "imap_unordered");
}

// --- members ----------------------------------------------------------------------------------------------------------

fn group(c: &mut Criterion) {
    let gevent = Gevent::find();
    let mut group = flat(c, "pool/group");
    for size in [1, 1_000, 100_000] {
        contend(&mut group, &format!("ramie/{size}"), size, |size| {
            timed(|| {
                let members = Group::new();
                (0..size).for_each(|_| drop(members.spawn(body)));
                members.join();
            })
            .1
        });
        contend_in_bulk(&mut group, &format!("tokio/{size}"), size, |batches, size| {
            on_tokio(async {
                for _ in 0..batches {
                    let mut tasks = JoinSet::new();
                    (0..size).for_each(|_| drop(tasks.spawn_local(async { body() })));
                    while tasks.join_next().await.is_some() {}
                }
            })
        });
        let may_size = size.min(FEWER_PARKED);
        contend(&mut group, &format!("may/{may_size}"), may_size, |size| {
            on_may(move || {
                let start = || coroutine::scope(|scope| (0..size).for_each(|_| drop(go!(scope, body))));
                timed(start).1
            })
        });
        if let Some(gevent) = &gevent {
            gevent.contend(&mut group, &format!("gevent/{size}"), size, "group");
        }
    }
}

fn kill(c: &mut Criterion) {
    let mut group = flat(c, "pool/kill");
    contend(&mut group, "ramie", PARKED, |members| {
        let (group, never) = (Group::new(), Rc::new(Event::new()));
        for _ in 0..members {
            let never = never.clone();
            group.spawn(move || never.wait());
        }
        yield_now();
        timed(|| group.kill()).1
    });
    contend(&mut group, "tokio", PARKED, |members| {
        in_local_set(async {
            let mut tasks = JoinSet::new();
            (0..members).for_each(|_| drop(tasks.spawn_local(pending::<()>())));
            tokio::task::yield_now().await;
            let start = Instant::now();
            tasks.shutdown().await;
            start.elapsed()
        })
    });
    contend(&mut group, &format!("may/{FEWER_PARKED}"), FEWER_PARKED, |members| {
        on_may(move || {
            let handles: Vec<_> = (0..members).map(|_| go!(coroutine::park)).collect();
            coroutine::yield_now();
            let start = Instant::now();
            for handle in &handles {
                cancel(handle);
            }
            handles.into_iter().for_each(|handle| drop(handle.join()));
            start.elapsed()
        })
    });
    if let Some(gevent) = Gevent::find() {
        gevent.contend(&mut group, "gevent", PARKED, "kill");
    }
}

// --- threads ----------------------------------------------------------------------------------------------------------

fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool/threads");
    group.bench_function("ramie", |b| {
        let pool = ThreadPool::new(1);
        pool.spawn(body).get().expect("it does not fail");
        b.iter(|| pool.spawn(body).get().expect("it does not fail"));
        pool.kill();
    });
    group.bench_function("tokio", |b| {
        b.iter_custom(|jobs| {
            on_tokio(async {
                for _ in 0..jobs {
                    tokio::task::spawn_blocking(body).await.expect("it does not fail");
                }
            })
        });
    });
    group.bench_function("std", |b| {
        let (sender, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let worker = thread::spawn(move || jobs.iter().for_each(|job| job()));
        b.iter(|| {
            let (result, comes) = mpsc::channel();
            let job = move || {
                body();
                result.send(()).expect("it is waited for");
            };
            sender.send(Box::new(job)).expect("the worker is there");
            comes.recv().expect("the worker does not fail");
        });
        drop(sender);
        worker.join().expect("it does not fail");
    });
    if let Some(gevent) = Gevent::find() {
        gevent.contend(&mut group, "gevent", FEWER_JOBS / 10, "threads");
    }
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! {
    name = benches;
    config = config();
    targets = jobs, group, kill, threads
}
criterion_main!(benches);
