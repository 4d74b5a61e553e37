//! The pool of threads at the ends of things: of hubs with outstanding jobs, of pools, of handles;
//! and many hubs at one pool.

use std::cell::RefCell;
use std::iter;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use ramie::hub::idle;
use ramie::pool::{JobAbandoned, PoolShutDown};
use ramie::shared::Event;
use ramie::sync::AsyncResult;
use ramie::{ThreadPool, fallible, get_hub, sleep, spawn, with_timeout, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// Says when it is dropped, and on which thread, and may panic over it.
struct Watched {
    tell: Sender<ThreadId>,
    panics: bool,
}

fn watched(panics: bool) -> (Watched, Receiver<ThreadId>) {
    let (tell, told) = channel();
    (Watched { tell, panics }, told)
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Perhaps no receiver is left.
        let _ = self.tell.send(thread::current().id());
        assert!(!self.panics || thread::panicking(), "a destructor fails");
    }
}

/// A job that blocks its thread until `free` is set.
fn held(free: &Event) -> impl FnOnce() + Send + use<> {
    let free = free.clone();
    move || free.wait()
}

/// Asserts that all room is free: exactly so many jobs are accepted.
fn assert_all_room_is_free(pool: &ThreadPool) {
    pool.join();
    let free = Event::new();
    let jobs: Vec<_> = iter::from_fn(|| pool.try_spawn(held(&free)).ok()).collect();
    assert_eq!((jobs.len(), pool.len()), (pool.maxsize() + 1, pool.maxsize() + 1));
    free.set();
    pool.join();
    assert!(jobs.iter().all(|job| job.successful()));
}

/// Blocks this thread, without its hub, until `told` receives something.
fn hears<T>(told: &Receiver<T>) -> T {
    told.recv_timeout(LIMIT).expect("it happens")
}

/// Runs `body` on a thread with a hub of its own, to its end.
fn elsewhere<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(body).join().expect("the thread does not panic")
}

// --- hubs that end --------------------------------------------------------------------------------------------------

#[test]
fn a_hub_that_ends_before_its_job_costs_no_room() {
    within(LIMIT, || {
        for panics in [false, true] {
            let (pool, free) = (ThreadPool::new(1), Event::new());
            let (value, dropped) = watched(panics);
            let (inner, holds) = (pool.clone(), free.clone());
            elsewhere(move || {
                drop(inner.spawn(move || {
                    holds.wait();
                    value
                }));
                drop(inner.spawn(fallible(|| Err::<(), _>("unheard"))));
            });
            assert_eq!(pool.len(), 2, "they are still to run");
            free.set();
            let on = hears(&dropped);
            let worker = pool.spawn(|| thread::current().id()).get().expect("the thread lives on");
            assert_eq!(on, worker);
            assert_all_room_is_free(&pool);
        }
    });
}

#[test]
fn a_hub_that_ends_with_results_on_their_way_costs_no_room() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let (value, dropped) = watched(true);
        let inner = pool.clone();
        let hub = elsewhere(move || {
            drop(inner.spawn(move || value));
            let (tell, told) = channel();
            drop(inner.spawn(move || tell.send(()).expect("it is received")));
            // The one thread has begun the second: the first result was sent.
            hears(&told);
            thread::current().id()
        });
        assert_eq!(hears(&dropped), hub);
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_hub_that_ends_with_unfinished_greenlets_costs_no_room() {
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        let inner = pool.clone();
        elsewhere(move || {
            spawn(|| sleep(LIMIT));
            yield_now();
            assert_eq!(get_hub().stats().queued, 0);
            let (told, jobs): (Vec<_>, Vec<_>) = iter::repeat_with(|| {
                let (value, dropped) = watched(false);
                (dropped, inner.spawn(move || drop(value)))
            })
            .take(3)
            .unzip();
            for told in &told {
                hears(told);
            }
            // The results come into the hub's queue, behind this very greenlet.
            while inner.len() == 3 && get_hub().stats().queued == 0 {
                yield_now();
            }
            drop(jobs);
        });
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_hub_that_ends_while_its_greenlets_wait_for_room_takes_none() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let holding = [pool.spawn(held(&free)), pool.spawn(|| ())];
        let inner = pool.clone();
        elsewhere(move || {
            let spawners: Vec<_> = (0..4)
                .map(|_| {
                    let pool = inner.clone();
                    spawn(move || drop(pool.spawn(|| ())))
                })
                .collect();
            yield_now();
            drop(spawners);
        });
        assert_eq!(pool.len(), 2);
        free.set();
        holding.iter().for_each(|job| job.wait());
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_result_of_another_hub_is_set_there() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let (inner, holds) = (pool.clone(), held(&free));
        let (tell, told) = channel();
        let other = thread::spawn(move || {
            let here = thread::current().id();
            let (job, seen) = (inner.spawn(holds), Rc::new(RefCell::new(None)));
            let sees = seen.clone();
            ramie::Waitable::rawlink(
                &job,
                Box::new(move || *sees.borrow_mut() = Some(thread::current().id())),
            );
            tell.send(()).expect("it is received");
            job.wait();
            seen.take() == Some(here)
        });
        hears(&told);
        free.set();
        // Waits for the other hub too.
        pool.join();
        assert!(other.join().expect("it does not panic"));
    });
}

// --- pools that end -------------------------------------------------------------------------------------------------

#[test]
fn a_shutdown_finishes_what_has_entered_and_refuses_the_rest() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let jobs = [pool.spawn(held(&free)), pool.spawn(|| ())];
        let inner = pool.clone();
        let (body, dropped) = watched(false);
        let waits = spawn(move || inner.spawn(move || drop(body)).get());
        yield_now();
        assert!(!pool.is_shutdown() && !pool.shutdown_timeout(SHORT) && pool.is_shutdown());
        let refused = waits.get().expect("the greenlet ends well").expect_err("too late");
        assert!(refused.is::<PoolShutDown>());
        hears(&dropped);
        let late: AsyncResult<()> = pool.try_spawn(|| ()).expect("there is no room to ask for");
        assert!(late.ready() && late.exception().is_some_and(|failure| failure.is::<PoolShutDown>()));
        let inner = pool.clone();
        let waits = spawn(move || inner.shutdown());
        yield_now();
        assert!(!waits.ready());
        free.set();
        waits.join();
        assert_eq!((pool.len(), pool.size()), (0, 0));
        assert!(jobs.iter().all(|job| job.successful()));
        pool.shutdown();
        assert!(errors.is_empty(), "no job has failed");
    });
}

#[test]
fn a_shutdown_runs_what_a_pool_without_threads_has_accepted() {
    within(LIMIT, || {
        let pool = ThreadPool::new(0);
        let job = pool.spawn(|| 5);
        pool.shutdown();
        assert_eq!(job.get().expect("it does not fail"), 5);
        assert_eq!(pool.size(), 0);
    });
}

#[test]
fn a_pool_that_is_given_up_drops_what_is_queued() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let (pool, free) = (ThreadPool::new(2), Event::new());
        let (begin, begun) = channel();
        let running = [begin.clone(), begin].map(|begin| {
            let holds = held(&free);
            pool.spawn(move || {
                begin.send(()).expect("it is received");
                holds();
            })
        });
        (0..2).for_each(|_| hears(&begun));
        let queue = ThreadPool::new(0);
        let (body, dropped) = watched(true);
        let queued = queue.spawn(move || drop(body));
        queue.abandon();
        assert_eq!(hears(&dropped), thread::current().id());
        let failure = queued.get().expect_err("it never runs");
        assert!(failure.is::<JobAbandoned>());
        assert!(queue.is_empty());

        let (body, dropped) = watched(false);
        let queued = pool.spawn(move || drop(body));
        let inner = pool.clone();
        let waits = spawn(move || inner.spawn(|| ()).get().expect_err("too late"));
        yield_now();
        pool.abandon();
        hears(&dropped);
        assert!(queued.get().expect_err("it never runs").is::<JobAbandoned>());
        assert!(waits.get().expect("the greenlet ends well").is::<PoolShutDown>());
        assert_eq!(pool.len(), 2);
        assert!(running.iter().all(|job| !job.ready()));
        free.set();
        pool.shutdown();
        assert!(running.iter().all(|job| job.successful()) && pool.size() == 0);
        assert!(errors.is_empty(), "nothing of it is an error");
    });
}

#[test]
fn a_job_gives_its_own_pool_up() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let (inner, holds) = (pool.clone(), free.clone());
        let gives_up = pool.spawn(move || {
            holds.wait();
            inner.abandon();
            5
        });
        let queued = pool.spawn(|| ());
        free.set();
        assert_eq!(gives_up.get().expect("it does not fail"), 5);
        assert!(queued.get().expect_err("it never runs").is::<JobAbandoned>());
        pool.shutdown();
    });
}

#[test]
fn jobs_of_other_hubs_are_given_up_there() {
    within(LIMIT, || {
        let pool = ThreadPool::new(0);
        let inner = pool.clone();
        let (tell, told) = channel();
        let other = thread::spawn(move || {
            let queued = inner.spawn(|| ());
            tell.send(()).expect("it is received");
            queued.get().expect_err("it never runs").is::<JobAbandoned>()
        });
        hears(&told);
        pool.abandon();
        assert!(other.join().expect("it does not panic"));
        pool.join();
    });
}

#[test]
fn without_handles_what_is_queued_still_runs_and_the_threads_end() {
    thread_local! {
        static ENDS: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
    }
    within(LIMIT, || {
        for maxsize in [0, 1, 2] {
            let (pool, free) = (ThreadPool::new(maxsize), Event::new());
            let (alive, ended) = channel();
            let jobs: Vec<_> = iter::from_fn(|| {
                let (alive, holds) = (alive.clone(), free.clone());
                let job = move || {
                    holds.wait();
                    ENDS.set(Some(alive));
                };
                pool.try_spawn(job).ok()
            })
            .collect();
            drop(alive);
            assert_eq!(jobs.len(), maxsize + 1);
            drop(pool);
            free.set();
            jobs.iter().for_each(|job| job.get().expect("it does not fail"));
            // The threads' thread-locals hold the last senders.
            assert_eq!(ended.recv_timeout(LIMIT), Err(RecvTimeoutError::Disconnected));
        }
    });
}

#[test]
fn the_last_handle_may_be_dropped_by_a_job() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let (go, told) = channel::<()>();
        let inner = pool.clone();
        let last = pool.spawn(move || {
            told.recv().expect_err("it is dropped");
            assert_eq!(inner.len(), 2);
            drop(inner);
            5
        });
        let queued = pool.spawn(|| 6);
        drop(pool);
        drop(go);
        assert_eq!((last.get().expect("it does not fail"), queued.get().expect("it does not fail")), (5, 6));
    });
}

// --- many hubs ------------------------------------------------------------------------------------------------------

/// A small generator of numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Spawns, asks, gives up on and kills at random, and counts what it has handed over.
fn customer(pool: &ThreadPool, seed: u64, ran: &Arc<AtomicUsize>) -> usize {
    let _errors = Log::of_errors();
    let mut handed = 0;
    let greenlets: Vec<_> = (0..6)
        .map(|number| {
            let (pool, ran) = (pool.clone(), ran.clone());
            spawn(move || {
                let (mut dice, mut handed) = (Dice(seed * 100 + number), 0);
                for _ in 0..60 {
                    let (ran, kind) = (ran.clone(), dice.roll(8));
                    let job = fallible(move || {
                        ran.fetch_add(1, Ordering::Relaxed);
                        match kind {
                            0 => Err("failed"),
                            // A panic without a report.
                            1 => std::panic::resume_unwind(Box::new("in a job")),
                            _ => {
                                thread::sleep(Duration::from_micros(if kind == 2 { 200 } else { 0 }));
                                Ok(())
                            }
                        }
                    });
                    let spawned = match dice.roll(4) {
                        0 => pool.try_spawn(job).ok(),
                        1 => pool.spawn_timeout(job, Duration::from_micros(dice.roll(300))).ok(),
                        _ => Some(pool.spawn(job)),
                    };
                    let Some(result) = spawned else { continue };
                    handed += 1;
                    match dice.roll(4) {
                        0 => {}
                        1 => drop(with_timeout(Duration::from_micros(dice.roll(200)), || result.wait())),
                        _ => assert_eq!(result.get().is_err(), kind < 2),
                    }
                }
                handed
            })
        })
        .collect();
    // A greenlet that is killed while it waits for room, or for a result, takes nothing with it.
    let victims: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            spawn(move || {
                loop {
                    pool.spawn(|| ()).wait();
                }
            })
        })
        .collect();
    for (i, victim) in victims.iter().enumerate() {
        sleep(SHORT * i as u32);
        victim.kill();
    }
    for greenlet in greenlets {
        handed += greenlet.get().expect("it does not fail");
    }
    handed
}

#[test]
fn many_hubs_share_a_pool_and_nothing_is_lost() {
    within(LIMIT * 2, || {
        let (pool, ran) =
            (ThreadPool::builder(3).idle_timeout(Some(SHORT)).build(), Arc::new(AtomicUsize::new(0)));
        let hubs: Vec<_> = (1..=4)
            .map(|seed| {
                let (pool, ran) = (pool.clone(), ran.clone());
                thread::spawn(move || customer(&pool, seed, &ran))
            })
            .collect();
        let mut dice = Dice(7);
        while hubs.iter().any(|hub| !hub.is_finished()) {
            pool.set_maxsize(dice.roll(5) as usize);
            if dice.roll(3) == 0 {
                pool.kill();
            }
            sleep(SHORT);
        }
        pool.set_maxsize(3);
        let handed: usize = hubs.into_iter().map(|hub| hub.join().expect("it does not panic")).sum();
        assert_all_room_is_free(&pool);
        assert_eq!(ran.load(Ordering::Relaxed), handed);
        pool.shutdown();
        assert_eq!((pool.len(), pool.size()), (0, 0));
        idle();
        assert_eq!(get_hub().stats().refs, 0);
    });
}
