//! gevent's tests of the pool of threads (`test__threadpool.py`), restated. `thread_pool.rs` has
//! the rest.

use std::cell::Cell;
use std::iter;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use ramie::pool::SetSizeError;
use ramie::shared::Event;
use ramie::sync::AsyncResult;
use ramie::{
    GetError, Mapping, ThreadPool, Waitable, fallible, get_hub, raise, sleep, spawn, wait, yield_now,
};

use crate::util::log::Log;
use crate::util::mapped::{all, all_come, come_in_order, sorted, square, squares};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);
const SIZES: [usize; 4] = [1, 2, 3, 10];

/// Runs a test with a pool of each size, and kills the pool behind it.
fn each_size(test: fn(ThreadPool, usize)) {
    within(LIMIT, move || {
        for size in SIZES {
            let pool = ThreadPool::new(size);
            test(pool.clone(), size);
            pool.join();
            pool.kill();
            assert_eq!((pool.len(), pool.size()), (0, 0));
        }
    });
}

/// Blocks its thread for a different short time for each item, the same in every run.
fn nap(x: u64) -> u64 {
    thread::sleep(Duration::from_micros(x * 7919 % 300));
    x * x
}

/// A job that blocks its thread until `free` is set.
fn held(free: &Event) -> impl FnOnce() + Send + use<> {
    let free = free.clone();
    move || free.wait()
}

/// Waits until the threads of a pool are so many.
fn until_size(pool: &ThreadPool, size: usize) {
    while pool.size() != size {
        sleep(Duration::from_millis(1));
    }
}

// --- apply and spawn ------------------------------------------------------------------------------------------------

/// gevent: `PoolBasicTests::test_execute_async`.
#[test]
fn starting_never_waits_even_if_the_pool_is_full() {
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        let (tell, told) = channel();
        let job = |word: &'static str, tell: &Sender<&'static str>| {
            let tell = tell.clone();
            move || tell.send(word).expect("it is received")
        };
        let first = pool.spawn(job("a", &tell));
        first.get().expect("it does not fail");
        let jobs = ["b", "c", "d", "e", "f"].map(|word| pool.apply_async(job(word, &tell)));
        assert!(pool.is_empty(), "nothing runs before others do");
        jobs.iter().for_each(|job| job.get().expect("it does not fail"));
        drop(tell);
        let mut words: Vec<_> = told.iter().collect();
        words.sort_unstable();
        assert_eq!(words.concat(), "abcdef");
    });
}

/// gevent: `PoolBasicTests::test_apply`, `TestPool::test_apply`.
#[test]
fn a_function_runs_in_the_pool() {
    each_size(|pool, _| {
        assert_eq!(pool.apply(|| square(5)).expect("it does not fail"), 25);
        let (x, y) = (6, 7);
        assert_eq!(pool.apply(move || x * y).expect("it does not fail"), 42);
    });
}

/// gevent: `PoolBasicTests::test_apply_raises`.
#[test]
fn the_error_of_a_function_reaches_the_caller() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let pool = ThreadPool::new(1);
        let failure = pool.apply(fallible(|| Err::<(), _>("no luck"))).expect_err("it fails");
        assert_eq!(failure.downcast_ref(), Some(&"no luck"));
        errors.expect("no luck");
    });
}

/// gevent: `TestPool::test_async`, `test_async_callback`.
#[test]
fn an_asynchronous_result_comes_in_its_own_time() {
    each_size(|pool, _| {
        let free = Event::new();
        let job = pool.apply_async(held(&free));
        assert!(!job.ready());
        assert!(matches!(job.get_timeout(SHORT), Err(GetError::TimedOut)));
        free.set();
        job.get().expect("it does not fail");

        let log = Log::new();
        let called = log.clone();
        let with = pool.apply_async_cb(|| square(7), move |value| called.add(value));
        assert_eq!(with.get().expect("it does not fail"), 49);
        yield_now();
        log.expect("49");
    });
}

/// gevent: `TestPool::test_async_timeout`.
#[test]
fn who_stops_waiting_does_not_stop_the_job() {
    each_size(|pool, _| {
        let free = Event::new();
        let job = pool.spawn(held(&free));
        assert!(matches!(job.get_timeout(SHORT), Err(GetError::TimedOut)));
        assert_eq!(pool.len(), 1);
        free.set();
        pool.join();
        assert!(job.successful());
    });
}

// --- map and imap ---------------------------------------------------------------------------------------------------

/// gevent: `_AbstractPoolTest::test_map`.
#[test]
fn mapping_on_threads_is_mapping() {
    each_size(|pool, _| {
        for count in [0, 10, 100] {
            assert_eq!(pool.map(0..count, square).expect("no job fails"), squares(count));
        }
        assert_eq!(pool.map_async(0..50, nap).take().expect("no job fails"), squares(50));
    });
}

/// gevent: `TestPool::test_imap_list_small`, `test_imap_it_small`, `test_imap_it_large`,
/// `test_imap_random`.
#[test]
fn ordered_results_come_in_order() {
    each_size(|pool, _| come_in_order(&pool, nap));
}

/// gevent: `TestPool::test_imap_unordered`, `test_imap_unordered_random`.
#[test]
fn unordered_results_all_come() {
    each_size(|pool, _| all_come(&pool, nap));
}

/// gevent: `TestPool::test_imap_unordered_sleep`.
#[test]
fn unordered_results_come_as_the_jobs_end() {
    each_size(|pool, size| {
        let free = Event::new();
        let holds = free.clone();
        // The first runs until it is told that the others have come, unless there is but one
        // thread.
        let results = pool.imap_unordered([10, 1, 2], move |x| {
            if x == 10 && size > 1 {
                holds.wait();
            }
            x
        });
        let mut order = Vec::new();
        for result in results {
            order.push(result.expect("no job fails"));
            if order.len() == 2 {
                free.set();
            }
        }
        if size == 1 {
            assert_eq!(order, [10, 1, 2]);
        } else {
            assert_eq!((order.len(), order[2]), (3, 10));
        }
    });
}

/// gevent: `TestPool::test_terminate`.
#[test]
fn a_kill_waits_for_what_runs_and_for_what_is_queued() {
    each_size(|pool, size| {
        let free = Event::new();
        let holds = free.clone();
        let mapping = pool.map_async(0..2 * size as u64 + 3, move |x| {
            holds.wait();
            nap(x)
        });
        yield_now();
        yield_now();
        assert!(!pool.is_empty());
        let opener = thread::spawn(move || {
            thread::sleep(SHORT);
            free.set();
        });
        pool.kill();
        opener.join().expect("it sleeps and sets");
        // The mapping greenlet continues, and starts new threads for the jobs that it has not
        // spawned yet.
        assert_eq!(mapping.take().expect("no job fails"), squares(2 * size as u64 + 3));
    });
}

/// gevent: `TestErrorInIterator::test`, `test_unordered`.
#[test]
fn the_error_of_the_input_is_raised() {
    each_size(|pool, _| {
        let _errors = Log::of_errors();
        let input = || (0..3).chain(iter::once_with(|| raise("bad input")));
        assert_eq!(pool.map(input(), square).expect_err("the input fails").to_string(), "bad input");
        for mut results in [pool.imap(input(), square), pool.imap_unordered(input(), square)] {
            let good: Vec<u64> = results.by_ref().map_while(Result::ok).collect();
            assert_eq!(sorted(good), squares(3));
            assert!(results.next().is_none(), "the error was the last item");
        }
    });
}

// --- the pool itself ------------------------------------------------------------------------------------------------

/// gevent: `TestPool2::test_recursive_apply`.
#[test]
fn a_job_applies_to_its_own_pool_and_uses_its_own_hub() {
    within(LIMIT, || {
        for size in SIZES {
            let pool = ThreadPool::new(size);
            let inner = pool.clone();
            let result = pool.apply(move || {
                let outside = thread::current().id();
                let nested = inner.apply(move || {
                    sleep(SHORT);
                    let greenlets = [1, 2].map(|x| spawn(move || square(x)));
                    (thread::current().id() == outside, greenlets.map(|g| g.get().expect("it does not fail")))
                });
                nested.expect("it does not fail")
            });
            assert_eq!(result.expect("it does not fail"), (true, [1, 4]));
        }
    });
}

/// gevent: `TestJoinEmpty::test`.
#[test]
fn joining_an_idle_pool_does_not_switch() {
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        let log = Log::new();
        spawn(log.adder("ran"));
        pool.join();
        assert!(pool.join_timeout(SHORT));
        assert!(log.is_empty());
        yield_now();
        log.expect("ran");
    });
}

/// gevent: `TestSpawn::test_basics`.
#[test]
fn one_job_more_than_can_run_is_accepted() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        assert!(pool.is_empty());
        let (tell, told) = channel();
        let gates = [Event::new(), Event::new()];
        let jobs = [0, 1].map(|i| {
            let (gate, tell) = (gates[i].clone(), tell.clone());
            let job = pool.spawn(move || {
                gate.wait();
                tell.send(i).expect("it is received");
            });
            assert_eq!(pool.len(), i + 1);
            job
        });
        // The second gate is open, the thread is the first's.
        gates[1].set();
        assert!(!jobs[1].wait_timeout(SHORT));
        assert!(pool.try_spawn(|| ()).is_err());
        gates[0].set();
        jobs[0].wait();
        jobs[1].wait();
        assert_eq!(pool.len(), 0);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(pool.size(), 1);
    });
}

/// gevent: `TestSpawn::test_cannot_spawn_from_other_thread`, turned round: any thread can.
#[test]
fn a_job_of_another_pool_can_spawn() {
    within(LIMIT, || {
        let (pool, other) = (ThreadPool::new(1), ThreadPool::new(1));
        let inner = pool.clone();
        let nested = other.spawn(move || {
            let ids = inner.spawn(|| thread::current().id()).get().expect("it does not fail");
            ids != thread::current().id()
        });
        assert!(nested.get().expect("it does not fail"));
    });
}

/// gevent: `TestMaxsize::test_inc`.
#[test]
fn jobs_wait_for_the_first_thread() {
    within(LIMIT, || {
        let pool = ThreadPool::new(0);
        let (tell, told) = channel();
        let spawners = [1, 2].map(|i| {
            let (pool, tell) = (pool.clone(), tell.clone());
            spawn(move || pool.spawn(move || tell.send(i).expect("it is received")))
        });
        sleep(SHORT);
        assert_eq!((pool.len(), pool.size(), spawners[1].ready()), (1, 0, false));
        assert!(told.try_recv().is_err());
        pool.set_maxsize(1);
        for spawner in spawners {
            spawner.get().expect("there is room").get().expect("it does not fail");
        }
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(pool.size(), 1);
    });
}

/// gevent: `TestMaxsize::test_setzero`.
#[test]
fn busy_threads_end_when_they_are_not_wanted_any_more() {
    within(LIMIT, || {
        let pool = ThreadPool::new(3);
        let gates = [Event::new(), Event::new(), Event::new()];
        let (begin, begun) = channel();
        let jobs = gates.each_ref().map(|gate| {
            let (begin, holds) = (begin.clone(), held(gate));
            pool.spawn(move || {
                begin.send(()).expect("it is received");
                holds();
            })
        });
        (0..3).for_each(|_| begun.recv().expect("there is a thread for each"));
        assert_eq!(pool.size(), 3);
        gates[0].set();
        jobs[0].wait();
        pool.set_maxsize(0);
        until_size(&pool, 2);
        gates[1].set();
        until_size(&pool, 1);
        gates[2].set();
        until_size(&pool, 0);
        jobs.iter().for_each(|job| job.get().expect("it does not fail"));
    });
}

/// gevent: `TestSize::test`.
#[test]
fn the_size_follows_what_is_asked() {
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        for (ask, maxsize) in [(1, 2), (2, 2), (1, 2), (0, 2), (2, 2), (2, 3), (3, 3), (0, 3)] {
            pool.set_maxsize(maxsize);
            pool.set_size(ask).expect("it is allowed");
            assert_eq!((pool.size(), pool.maxsize()), (ask, maxsize));
        }
        pool.set_maxsize(2);
        assert!(matches!(pool.set_size(4), Err(SetSizeError::AboveMaxsize { maxsize: 2 })));
        assert_eq!((pool.size(), pool.maxsize()), (0, 2));
        pool.set_size(2).expect("it is allowed");
        pool.set_maxsize(1);
        until_size(&pool, 1);
    });
}

/// gevent: `TestRef::test`, the part that carries over.
#[test]
fn jobs_and_results_are_let_go_of_at_once() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let token = Arc::new(());
        let (captured, returned) = (token.clone(), token.clone());
        let result = pool.spawn(move || {
            let _captured = captured;
            returned
        });
        result.wait();
        // The pass that woke this greenlet holds the result too.
        yield_now();
        assert_eq!(Arc::strong_count(&token), 2, "the result has one");
        drop(result);
        assert_eq!(Arc::strong_count(&token), 1);
        // And one that no greenlet waits for.
        let returned = token.clone();
        drop(pool.spawn(move || returned));
        pool.join();
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

/// gevent: `TestRefCount::test`.
#[test]
fn a_kill_right_after_a_spawn_waits_for_the_job() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let job = pool.spawn(|| 5);
        pool.kill();
        assert_eq!(pool.size(), 0);
        assert_eq!(job.get().expect("it does not fail"), 5);
        assert_eq!(pool.spawn(|| 6).get().expect("the pool can be used again"), 6);
    });
}

// --- results --------------------------------------------------------------------------------------------------------

/// gevent: `TestTPE::test_map`: the executor's is a lazy one.
#[test]
fn the_lazy_map_is_imap() {
    within(LIMIT, || {
        let pool = ThreadPool::new(1);
        let asked = Rc::new(Cell::new(0));
        let input = asked.clone();
        let mut results = pool.imap((1..=3).inspect(move |x| input.set(*x)), square);
        assert_eq!(asked.get(), 0);
        assert_eq!(results.next().and_then(Result::ok), Some(1));
        assert_eq!(all(results), [4, 9]);
    });
}

/// gevent: `TestTPE::test_future`: an `AsyncResult` with its links is the future.
#[test]
fn a_result_calls_back() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let (pool, free, log) = (ThreadPool::new(1), Event::new(), Log::new());
        let holds = free.clone();
        let result = pool.spawn(move || {
            holds.wait();
            42
        });
        assert!(matches!(result.get_timeout(SHORT), Err(GetError::TimedOut)));
        result.rawlink(Box::new(log.adder("first")));
        result.rawlink(Box::new(|| raise("a callback fails")));
        result.rawlink(Box::new(log.adder("second")));
        assert!(!result.ready());
        free.set();
        assert_eq!(result.get().expect("it does not fail"), 42);
        log.expect("first second");
        errors.expect("a callback fails");
        // The pass that woke this greenlet continues first.
        yield_now();
        result.rawlink(Box::new(log.adder("late")));
        yield_now();
        log.expect("first second late");
        assert_eq!(result.get_timeout(SHORT).expect("it is there"), 42);
        result.wait();
    });
}

/// gevent: `TestTPE::test_future_wait_gevent_function`.
#[test]
fn results_are_waited_for_while_others_run() {
    within(LIMIT, || {
        let (pool, free) = (ThreadPool::new(2), Event::new());
        let results: Vec<AsyncResult<()>> = (0..2).map(|_| pool.spawn(held(&free))).collect();
        let opens = spawn(move || free.set());
        assert_eq!(wait(&results).len(), 2);
        assert!(opens.ready());
    });
}

/// gevent: `TestThreadResult::test_exception_in_on_async_doesnt_crash`.
#[test]
fn a_report_that_fails_keeps_nothing_from_arriving() {
    within(LIMIT, || {
        get_hub().set_error_handler(Some(Rc::new(|_, _| raise("the report fails"))));
        let pool = ThreadPool::new(1);
        for _ in 0..4 {
            let failing = pool.spawn(fallible(|| Err::<(), _>("the job fails")));
            assert_eq!(failing.get().expect_err("it fails").to_string(), "the job fails");
        }
        assert!(pool.is_empty());
        get_hub().set_error_handler(None);
    });
}
