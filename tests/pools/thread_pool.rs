//! The pool of threads: failures of jobs, waits that are given up, nested use, sizes.
//! `thread_pool_ends.rs` has the ends of hubs and pools, `gevent_threadpool.rs` what gevent tests.

use std::any::Any;
use std::cell::RefCell;
use std::num::ParseIntError;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use ramie::hub::{BlockingSwitchOutError, ErrorContext, FailureText};
use ramie::pool::{PoolFull, SetSizeError, ThreadPoolBuilder};
use ramie::shared::Event;
use ramie::{
    LoopExit, Mapping, SystemExit, ThreadPool, TimedOut, catch, fallible, get_hub, raise, sleep, spawn,
    with_timeout, yield_now,
};

use crate::util::log::Log;
use crate::util::{assert_send, within};

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);
/// The stand-in's greenlets have threads of their own, and so are not seen to be on a thread of a
/// pool.
const GREENLETS_APART: bool = cfg!(any(miri, ramie_fiber = "thread"));

/// Panics when it is dropped, unless that would be a second panic.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(thread::panicking(), "a destructor fails");
    }
}

/// A job that blocks its thread until `free` is set.
fn held(free: &Event) -> impl FnOnce() + Send + use<> {
    let free = free.clone();
    move || free.wait()
}

/// Says when it is dropped, and on which thread.
struct Watched(std::sync::mpsc::Sender<ThreadId>);

fn watched() -> (Watched, Receiver<ThreadId>) {
    let (tell, told) = channel();
    (Watched(tell), told)
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Perhaps no receiver is left.
        let _ = self.0.send(thread::current().id());
    }
}

/// Asserts that all room is free: exactly so many jobs are accepted.
fn assert_all_room_is_free(pool: &ThreadPool) {
    pool.join();
    let free = Event::new();
    let jobs: Vec<_> = std::iter::from_fn(|| pool.try_spawn(held(&free)).ok()).collect();
    assert_eq!((jobs.len(), pool.len()), (pool.maxsize() + 1, pool.maxsize() + 1));
    free.set();
    pool.join();
    assert!(jobs.iter().all(|job| job.successful()));
}

#[test]
fn handles_go_anywhere() {
    assert_send::<ThreadPool>();
    assert_send::<&'static ThreadPool>();
    assert_send::<ThreadPoolBuilder>();
}

// --- how jobs fail --------------------------------------------------------------------------------------------------

#[test]
fn the_payload_of_a_panic_arrives_as_it_is() {
    #[derive(Debug, PartialEq)]
    struct Custom(u32);
    within(LIMIT, || {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let reports = seen.clone();
        get_hub().set_error_handler(Some(Rc::new(move |context, failure| {
            let ErrorContext::Job(at) = context else { panic!("not a job: {context}") };
            reports.borrow_mut().push((at.line(), failure.clone()));
        })));
        let pool = ThreadPool::new(1);
        let site = line!() + 1;
        let job = pool.spawn(|| -> u32 { std::panic::panic_any(Custom(7)) });
        let failure = job.get().expect_err("it panics");
        let payload: &(dyn Any + Send) = failure.panic_payload().expect("it panicked");
        assert_eq!(payload.downcast_ref(), Some(&Custom(7)));
        assert!(job.get().expect_err("it still has").same(&failure));
        let seen = seen.take();
        assert!(seen.len() == 1 && seen[0].1.same(&failure), "reported once, the very same");
        assert_eq!(seen[0].0, site);
        let text = pool.spawn(|| -> () { panic!("no {}", "luck") }).get().expect_err("it panics");
        assert_eq!(text.panic_message(), Some("no luck"));
        assert_eq!((pool.spawn(|| 5).get().expect("the thread lives on"), pool.size()), (5, 1));
    });
}

#[test]
fn an_error_keeps_its_type_and_is_reported_though_nobody_asks() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let pool = ThreadPool::new(1);
        let parsed = pool.spawn(fallible(|| "twelve".parse::<u32>()));
        assert!(parsed.take().expect_err("it fails").is::<ParseIntError>());
        drop(pool.spawn(fallible(|| Err::<(), _>("unheard"))));
        pool.join();
        errors.expect("invalid digit found in string unheard");
    });
}

#[test]
fn what_is_raised_in_a_job_arrives_as_text() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let pool = ThreadPool::new(1);
        let raised = pool.spawn(|| -> () { raise("no luck") }).get().expect_err("it raises");
        let text = raised.downcast_ref::<FailureText>().expect("an exception does not travel");
        assert_eq!((text.kind(), text.to_string()), ("&str", String::from("no luck")));
        // The hub of the worker has nothing that could wake it.
        let stuck =
            pool.spawn(|| ramie::sync::Event::new().wait()).get().expect_err("nothing can set the event");
        let kind = stuck.downcast_ref::<FailureText>().expect("an exception does not travel").kind();
        assert_eq!(kind, std::any::type_name::<LoopExit>());
        assert_eq!(errors.len(), 2);
        assert_eq!(pool.spawn(|| 5).get().expect("the thread lives on"), 5);
    });
}

#[test]
fn a_system_exit_in_a_job_goes_to_main() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let raises = pool.spawn(|| -> () { raise(SystemExit(3)) });
        let exit = catch::<SystemExit, _>(|| sleep(LIMIT)).expect_err("main gets it where it waits");
        assert_eq!(*exit, SystemExit(3));
        assert_eq!(raises.get().expect_err("it failed").downcast_ref(), Some(&SystemExit(3)));
        let returns = pool.spawn(fallible(|| Err::<(), _>(SystemExit(4))));
        let exit = catch::<SystemExit, _>(|| returns.wait()).expect_err("main gets it where it waits");
        assert_eq!(*exit, SystemExit(4));
        assert!(returns.get().expect_err("it failed").is::<SystemExit>());
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn destructors_that_panic_cost_neither_threads_nor_room() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let pool = ThreadPool::new(1);
        let captured = Grenade;
        let failure = pool.spawn(move || drop(captured)).get().expect_err("it panics");
        assert_eq!(failure.panic_message(), Some("a destructor fails"));
        // A capture that is dropped behind a value, and so instead of it.
        let captured = Grenade;
        let behind = pool.spawn(move || {
            let _captured = &captured;
            5
        });
        assert!(behind.get().is_err());
        // A value that is not taken is dropped in the hub.
        drop(pool.spawn(|| Grenade));
        pool.join();
        yield_now();
        // A payload that panics itself.
        let payload = pool.spawn(|| -> () { std::panic::panic_any(Grenade) }).get().expect_err("it panics");
        assert!(payload.is_panic());
        let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
        drop(payload);
        sleep(SHORT);
        assert!(errors.len() >= 4);
        assert_eq!((pool.spawn(|| 5).get().expect("the thread lives on"), pool.size()), (5, 1));
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_thread_that_cannot_be_started_fails_the_job() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        // More than any address space has.
        let pool = ThreadPool::builder(2).stack_size(usize::MAX / 4).build();
        let (body, dropped) = watched();
        let failure = pool.spawn(move || drop(body)).get().expect_err("there is no thread");
        assert!(failure.is::<std::io::Error>());
        dropped.recv().expect("the body is dropped");
        assert_eq!(errors.len(), 1);
        assert!(matches!(pool.set_size(1), Err(SetSizeError::Thread(_))));
        assert_eq!((pool.len(), pool.size()), (0, 0));
        pool.set_maxsize(0);
        let waits = pool.try_spawn(|| ()).expect("there is room");
        pool.set_maxsize(1);
        assert!(waits.get().expect_err("there is no thread").is::<std::io::Error>());
        assert!(pool.is_empty());
    });
}

// --- waiting for room -----------------------------------------------------------------------------------------------

#[test]
fn who_waits_for_room_is_told_in_order() {
    within(LIMIT, || {
        let (pool, free, log) = (ThreadPool::new(1), Event::new(), Log::new());
        let holding = [pool.spawn(held(&free)), pool.spawn(|| ())];
        let spawners = [1, 2, 3, 4].map(|i| {
            let (pool, log) = (pool.clone(), log.clone());
            spawn(move || {
                let job = pool.spawn(move || i);
                log.add(i);
                job.get().expect("it does not fail")
            })
        });
        sleep(SHORT);
        assert!(log.is_empty());
        assert_eq!(pool.len(), 2);
        free.set();
        assert_eq!(spawners.map(|spawner| spawner.get().expect("there is room")), [1, 2, 3, 4]);
        log.expect("1 2 3 4");
        assert!(holding.iter().all(|job| job.ready()));
    });
}

#[test]
fn who_is_killed_while_it_waits_for_room_takes_none() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let _holding = [pool.spawn(held(&free)), pool.spawn(|| ())];
        let (body, dropped) = watched();
        let inner = pool.clone();
        let killed = spawn(move || drop(inner.spawn(move || drop(body))));
        yield_now();
        killed.kill();
        let on = dropped.try_recv().expect("the body is dropped");
        assert!(GREENLETS_APART || on == thread::current().id(), "in the greenlet that was killed");

        let (body, dropped) = watched();
        assert!(matches!(with_timeout(SHORT, || pool.spawn(move || drop(body))), Err(TimedOut)));
        dropped.try_recv().expect("the body is dropped");

        let (body, dropped) = watched();
        let PoolFull(body) = pool.spawn_timeout(move || drop(body), SHORT).expect_err("there is none");
        let deadline = Instant::now() + SHORT;
        let PoolFull(body) = pool.spawn_timeout(body, deadline).expect_err("there is none");
        let PoolFull(body) = pool.try_spawn(body).expect_err("there is none");
        assert!(dropped.try_recv().is_err(), "the body came back");
        assert_eq!(pool.len(), 2);
        free.set();
        let job = pool.spawn_timeout(body, LIMIT).expect("there is room");
        job.get().expect("it does not fail");
        assert_ne!(dropped.try_recv(), Ok(thread::current().id()));
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_kill_of_who_was_told_hands_the_room_on() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let holding = [pool.spawn(held(&free)), pool.spawn(|| ())];
        let spawners: Vec<_> = (0..8)
            .map(|i| {
                let pool = pool.clone();
                spawn(move || pool.spawn(move || i).get().expect("it does not fail"))
            })
            .collect();
        yield_now();
        // In the turn in which the room comes back: the notified waiter is killed before it checks.
        let victims: Vec<_> = spawners.iter().step_by(2).cloned().collect();
        ramie::Waitable::rawlink(
            &holding[0],
            Box::new(move || victims.iter().for_each(|victim| victim.kill_nowait())),
        );
        free.set();
        for (i, spawner) in spawners.iter().enumerate() {
            match spawner.get() {
                Ok(value) => assert_eq!(value, i),
                Err(failure) => assert!(failure.is_exit() && i % 2 == 0),
            }
        }
        assert!(spawners.iter().skip(1).step_by(2).all(|spawner| spawner.successful()));
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_callback_of_the_hub_spawns_without_waiting_only() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let (inner, holds) = (pool.clone(), held(&free));
        get_hub().run_callback(move || {
            inner.spawn(holds);
            inner.try_spawn(|| ()).expect("there is room");
            inner.spawn(|| ());
        });
        sleep(SHORT);
        errors.expect(&BlockingSwitchOutError.to_string());
        assert_eq!(pool.len(), 2);
        free.set();
        assert_all_room_is_free(&pool);
    });
}

// --- waiting for results --------------------------------------------------------------------------------------------

#[test]
fn a_job_outlives_whoever_waits_for_it() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let holds = free.clone();
        let job = pool.spawn(move || {
            holds.wait();
            String::from("done")
        });
        let asks = job.clone();
        let waiter = spawn(move || asks.take().expect("it does not fail"));
        yield_now();
        waiter.kill();
        assert!(matches!(with_timeout(SHORT, || job.take()), Err(TimedOut)));
        assert_eq!((pool.len(), job.linkcount()), (1, 0));
        free.set();
        assert_eq!(job.take().expect("it does not fail"), "done");
        assert!(job.take().expect_err("it is gone").is_taken());
        assert!(pool.is_empty(), "room comes back before the result is seen");
    });
}

#[test]
fn the_room_is_back_before_the_result_is_seen() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let pool = ThreadPool::new(0);
        for round in 0..20 {
            pool.set_maxsize(0);
            let job = pool.try_spawn(fallible(move || Err::<(), _>(round))).expect("there is room");
            let (seen, inner, told) = (errors.clone(), pool.clone(), Log::new());
            let tells = told.clone();
            let tell = move || tells.add(format!("{} {}", inner.len(), seen.len()));
            ramie::Waitable::rawlink(&job, Box::new(tell));
            pool.set_maxsize(1);
            job.wait();
            told.expect(&format!("0 {}", round + 1));
        }
    });
}

#[test]
fn outstanding_jobs_keep_the_loop_alive() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let jobs = [0, 1].map(|i| {
            pool.spawn(move || {
                thread::sleep(SHORT);
                i
            })
        });
        get_hub().join();
        assert!(jobs.iter().all(|job| job.ready()));
        assert_eq!(get_hub().stats().refs, 0);
    });
}

#[test]
fn results_need_not_be_cloned() {
    struct Unique(u32);
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        assert_eq!(pool.spawn(|| Unique(5)).take().expect("it does not fail").0, 5);
        let all = pool.map(0..3, Unique).expect("no job fails");
        assert_eq!(all.iter().map(|unique| unique.0).sum::<u32>(), 3);
    });
}

#[test]
fn a_mapping_that_is_killed_takes_back_what_no_thread_has_begun() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let (begin, begun) = channel();
        let (holds, begins) = (free.clone(), begin.clone());
        let mapping = pool.map_async(0..5, move |x| {
            begins.send(x).expect("it is received");
            holds.wait();
        });
        let until = |len| {
            while pool.len() != len {
                sleep(SHORT);
            }
        };
        until(2);
        assert_eq!(begun.recv(), Ok(0));
        mapping.kill();
        until(1);
        let holds = free.clone();
        let mut results = pool.imap(5..9, move |x| {
            begin.send(x).expect("it is received");
            holds.wait();
            x
        });
        until(2);
        assert!(results.next_timeout(SHORT).is_err());
        drop(results);
        until(1);
        free.set();
        assert_all_room_is_free(&pool);
        assert_eq!(begun.try_iter().count(), 0, "nothing else was begun");
    });
}

// --- inside a job ---------------------------------------------------------------------------------------------------

#[test]
fn a_job_never_waits_for_room_in_its_own_pool() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let (inner, holds) = (pool.clone(), free.clone());
        let nested = pool.spawn(move || {
            holds.wait();
            assert_eq!(inner.len(), 2);
            let here = thread::current().id();
            let ready = inner.spawn(move || thread::current().id() == here);
            assert!(ready.ready(), "it ran before the call returned");
            let tried =
                inner.try_spawn(|| 1_u32).expect("no room is needed").take().expect("it does not fail");
            let applied = inner.apply(|| 2_u32).expect("it does not fail");
            (ready.get().expect("it does not fail"), tried + applied)
        });
        let queued = pool.spawn(|| ());
        free.set();
        assert_eq!(nested.get().expect("it does not fail"), (true, 3));
        queued.get().expect("it does not fail");
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn the_greenlets_of_a_job_never_wait_for_room_in_its_pool() {
    if GREENLETS_APART {
        return;
    }
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(1), Event::new());
        let (inner, holds) = (pool.clone(), free.clone());
        let nested = pool.spawn(move || {
            holds.wait();
            let here = thread::current().id();
            let mapped = inner.map(0..5, move |x| (x, thread::current().id() == here)).expect("no job fails");
            assert!(mapped.iter().all(|(_, inside)| *inside));
            let lazily: u32 = inner.imap(0..5_u32, |x| x).map(|x| x.expect("no job fails")).sum();
            let unordered = inner.imap_unordered(0..5_u32, |x| x).map(|x| x.expect("no job fails"));
            lazily + unordered.sum::<u32>() + inner.apply_async(|| 7_u32).get().expect("it does not fail")
        });
        let queued = pool.spawn(|| ());
        free.set();
        assert_eq!(nested.get().expect("it does not fail"), 27);
        queued.get().expect("it does not fail");
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_nested_job_fails_by_itself() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let pool = ThreadPool::new(1);
        let inner = pool.clone();
        let outcome = pool.spawn(move || {
            let reports = Log::of_errors();
            let panicked = inner.spawn(|| -> () { panic!("inside") }).get().expect_err("it panics");
            let failed = inner.spawn(fallible(|| Err::<(), _>("inside too"))).get().expect_err("it fails");
            assert_eq!(failed.downcast_ref(), Some(&"inside too"));
            (panicked.panic_message() == Some("inside"), reports.len())
        });
        assert_eq!(outcome.get().expect("it does not fail"), (true, 2));
        assert!(errors.is_empty(), "reported in the hub that spawned them");
    });
}

#[test]
fn what_is_raised_into_a_job_passes_through_a_nested_one() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let pool = ThreadPool::new(1);
        let inner = pool.clone();
        let timed_out = pool.spawn(move || with_timeout(SHORT, || inner.spawn(|| sleep(LIMIT))).is_err());
        assert!(timed_out.get().expect("it does not fail"));
        let inner = pool.clone();
        let exits = pool.spawn(move || drop(inner.spawn(fallible(|| Err::<(), _>(SystemExit(5))))));
        let exit = catch::<SystemExit, _>(|| exits.wait()).expect_err("main gets it where it waits");
        assert_eq!(*exit, SystemExit(5));
    });
}

#[test]
fn a_job_that_would_wait_for_its_own_thread_panics() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let pool = ThreadPool::new(1);
        let calls: [fn(&ThreadPool); 4] = [
            |pool| pool.join(),
            |pool| pool.kill(),
            |pool| pool.set_size(1).expect("it is allowed"),
            |pool| pool.shutdown(),
        ];
        for call in calls {
            let inner = pool.clone();
            let failure = pool.spawn(move || call(&inner)).get().expect_err("it panics");
            assert!(failure.panic_message().is_some_and(|text| text.contains("would wait for itself")));
        }
        assert!(!pool.is_shutdown());
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn greenlets_that_a_job_leaves_behind_run_while_the_thread_rests() {
    within(LIMIT, || {
        let pool = ThreadPool::builder(1).idle_timeout(Some(LIMIT)).build();
        let (tell, told) = channel();
        let leaves = pool.spawn(move || {
            let tells = tell.clone();
            spawn(move || {
                sleep(SHORT);
                tells.send("rested").expect("it is received");
                raise::<SystemExit>(SystemExit(6));
            });
            tell.send("ended").expect("it is received");
        });
        assert_eq!((told.recv(), told.recv()), (Ok("ended"), Ok("rested")));
        leaves.get().expect("it does not fail");
        assert_eq!(pool.spawn(|| 5).get().expect("the thread lives on"), 5);
        assert_eq!(pool.size(), 1);
        pool.kill();
    });
}

#[test]
fn two_pools_that_use_each_other_go_on() {
    within(LIMIT, || {
        let (there, back) = (ThreadPool::new(1), ThreadPool::new(2));
        let (inner, outer) = (back.clone(), there.clone());
        let result = there.spawn(move || {
            // The thread of `there` waits for one of `back`, which asks for one more job of
            // `there`, and does not wait.
            let asked = inner.spawn(move || drop(outer.spawn(|| ())));
            asked.get().expect("it does not fail");
            6
        });
        assert_eq!(result.get().expect("it does not fail"), 6);
        there.join();
    });
}

// --- threads --------------------------------------------------------------------------------------------------------

#[test]
fn one_thread_does_what_comes_one_by_one() {
    within(LIMIT, || {
        let pool = ThreadPool::new(8);
        for i in 0..300 {
            assert_eq!(pool.spawn(move || i).get().expect("it does not fail"), i);
        }
        assert_eq!(pool.size(), 1);
    });
}

#[test]
fn threads_that_have_nothing_to_do_end_after_a_time() {
    within(LIMIT, || {
        let pool = ThreadPool::builder(3).idle_timeout(Some(SHORT * 10)).build();
        pool.set_size(3).expect("it is allowed");
        while pool.size() > 0 {
            sleep(SHORT);
        }
        assert_eq!(pool.spawn(|| 5).get().expect("another one is started"), 5);
        while pool.size() > 0 {
            sleep(SHORT);
        }
        assert_all_room_is_free(&pool);
    });
}

#[test]
fn a_wish_for_fewer_threads_ends_with_who_had_it() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(2), Event::new());
        let jobs = [pool.spawn(held(&free)), pool.spawn(held(&free))];
        assert!(matches!(with_timeout(SHORT, || pool.set_size(1)), Err(TimedOut)));
        let inner = pool.clone();
        let asks = spawn(move || inner.kill());
        yield_now();
        asks.kill();
        free.set();
        jobs.iter().for_each(|job| job.wait());
        sleep(SHORT * 5);
        assert_eq!(pool.size(), 2);
        let asking = [1, 0].map(|size| {
            let pool = pool.clone();
            spawn(move || pool.set_size(size).expect("it is allowed"))
        });
        asking.iter().for_each(|asks| asks.join());
        assert_eq!(pool.size(), 0);
    });
}

#[test]
fn threads_have_names_and_stacks() {
    fn depth(levels: usize) -> usize {
        let block = std::hint::black_box([levels; 1024]);
        if levels == 0 { 0 } else { depth(block[0] - 1) + 1 }
    }
    within(LIMIT, || {
        let name = || thread::current().name().map(str::to_owned);
        let given = ThreadPool::builder(2).name("disk").stack_size(64 << 20).build();
        given.set_size(2).expect("it is allowed");
        given.set_size(1).expect("it is allowed");
        let kept = given.apply(name).expect("it does not fail").expect("it has one");
        given.set_size(2).expect("it is allowed");
        // Neither continues before the other has begun.
        let both = Arc::new(Barrier::new(2));
        let names = [both.clone(), both].map(|both| {
            given.spawn(move || {
                both.wait();
                name()
            })
        });
        let mut names = names.map(|name| name.get().expect("it does not fail").expect("it has one"));
        assert!(names.contains(&kept));
        names.sort_unstable();
        assert_eq!(names, ["disk-1", "disk-2"], "numbers are used again");
        // 16 MiB at the least, and more than std gives a thread.
        assert_eq!(given.spawn(|| depth(2000)).get().expect("the stack is large enough"), 2000);
        let plain = ThreadPool::new(1).apply(name).expect("it does not fail").expect("it has one");
        assert!(plain.starts_with("ramie-pool") && plain.ends_with("-1") && plain.len() <= 15, "{plain}");
    });
}

#[test]
#[should_panic(expected = "zero byte")]
fn a_name_without_an_end_is_refused() {
    let _ = ThreadPool::builder(1).name("di\0sk");
}

#[test]
fn a_maxsize_that_is_lowered_retires_threads_and_loses_nothing() {
    within(LIMIT, || {
        let pool = ThreadPool::new(4);
        let total = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let adds = total.clone();
        let mapping = pool.map_async(0..500, move |x: usize| {
            adds.fetch_add(x, std::sync::atomic::Ordering::Relaxed);
            x
        });
        for maxsize in [1, 3, 0, 2, 0, 5, 1] {
            sleep(SHORT);
            pool.set_maxsize(maxsize);
        }
        assert_eq!(mapping.take().expect("no job fails").len(), 500);
        assert_eq!(total.load(std::sync::atomic::Ordering::Relaxed), 499 * 500 / 2);
        while pool.size() > 1 {
            sleep(SHORT);
        }
        assert_all_room_is_free(&pool);
    });
}
