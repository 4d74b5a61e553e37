//! gevent's tests of running functions in pools (`test__pool.py`), restated. `gevent_group.rs` has
//! the rest.

use std::cell::Cell;
use std::iter;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::pool::IMap;
use ramie::queue::Queue;
use ramie::sync::Event;
use ramie::{
    Failure, GetError, Greenlet, Mapping, Pool, TimedOut, fallible, get_hub, raise, sleep, spawn,
    with_timeout, yield_now,
};

use crate::util::log::Log;
use crate::util::mapped::{all, all_come, come_in_order, sorted, square, squares};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);
const SIZES: [Option<usize>; 5] = [Some(1), Some(2), Some(3), Some(10), None];

/// Runs a test with a pool of each size.
fn each_size(test: fn(Pool, Option<usize>)) {
    within(LIMIT, move || {
        for size in SIZES {
            let pool = size.map_or_else(Pool::unlimited, Pool::new);
            test(pool.clone(), size);
            pool.kill();
            assert_eq!((pool.len(), pool.free_count()), (0, size.unwrap_or(1)));
        }
    });
}

/// A different short time for each item, the same in every run.
fn nap(x: u64) -> u64 {
    sleep(Duration::from_micros(x * 7919 % 300));
    x * x
}

// --- apply ----------------------------------------------------------------------------------------------------------

/// gevent: `TestCoroutinePool::test_apply`, `test_apply_async`, `PoolBasicTests::test_apply`,
/// `TestPool::test_apply`.
#[test]
fn a_function_runs_in_the_pool() {
    each_size(|pool, _| {
        assert_eq!(pool.apply(|| square(5)).expect("it does not fail"), 25);
        assert_eq!(pool.apply_async(|| square(6)).get().expect("it does not fail"), 36);
    });
}

/// gevent: `TestCoroutinePool::test_apply_raises`.
#[test]
fn the_error_of_a_function_reaches_the_caller() {
    each_size(|pool, _| {
        let _errors = Log::of_errors();
        let failure = pool.apply(fallible(|| Err::<(), _>("no luck"))).expect_err("it fails");
        assert_eq!(failure.downcast_ref(), Some(&"no luck"));
    });
}

/// gevent: `TestCoroutinePool::test_multiple_coros`.
#[test]
fn a_consumer_waits_for_a_producer_of_the_pool() {
    within(LIMIT, || {
        let (log, event, pool) = (Log::new(), Event::new(), Pool::new(2));
        let (set, produces, waits, consumes) = (event.clone(), log.clone(), event, log.clone());
        let consumer = pool.spawn(move || {
            consumes.add("cons1");
            waits.wait();
            consumes.add("cons2");
        });
        pool.apply_async(move || {
            produces.add("prod");
            set.set();
        });
        consumer.join();
        log.expect("cons1 prod cons2");
    });
}

/// gevent: `TestCoroutinePool::test_reentrant`.
#[test]
fn a_member_of_a_full_pool_can_apply() {
    within(LIMIT, || {
        let pool = Pool::new(1);
        let inner = pool.clone();
        let result = pool.apply(move || inner.apply(|| 3).expect("it does not fail"));
        assert_eq!(result.expect("it does not fail"), 3);
        assert_eq!(pool.apply(|| 4).expect("the pool can still be used"), 4);
    });
}

/// gevent: `TestCoroutinePool::test_stderr_raising`.
#[test]
fn a_report_that_fails_keeps_no_slot() {
    within(LIMIT, || {
        get_hub().set_error_handler(Some(Rc::new(|_, _| raise("the report fails"))));
        let pool = Pool::new(1);
        let failing = pool.spawn(fallible(|| Err::<(), _>("the job fails")));
        assert_eq!(failing.get().expect_err("it fails").to_string(), "the job fails");
        pool.spawn(|| ()).join();
        get_hub().set_error_handler(None);
    });
}

/// gevent: `PoolBasicTests::test_execute_async`.
#[test]
fn starting_never_waits_even_if_the_pool_is_full() {
    within(LIMIT, || {
        let (pool, log) = (Pool::new(2), Log::new());
        assert_eq!(pool.free_count(), 2);
        let first = pool.spawn(log.adder("a"));
        assert_eq!(pool.free_count(), 1);
        first.join();
        assert_eq!(pool.free_count(), 2);
        let jobs = ["b", "c", "d"].map(|word| pool.apply_async(log.adder(word)));
        log.expect("a");
        assert_eq!((pool.free_count(), pool.contains(&jobs[2])), (0, false));
        jobs.iter().for_each(|job| job.join());
        log.expect("a b c d");
        assert_eq!(pool.free_count(), 2);
    });
}

/// gevent: `TestPool::test_async`, `test_async_callback`, `test_async_timeout`.
#[test]
fn an_asynchronous_result_comes_in_its_own_time() {
    each_size(|pool, size| {
        let start = Instant::now();
        let job = pool.apply_async(|| sleep(SHORT));
        job.join();
        assert!(start.elapsed() >= SHORT);

        let log = Log::new();
        let called = log.clone();
        pool.apply_async_cb(|| 5, move |value| called.add(value)).join();
        log.expect("5");
        let called = log.clone();
        assert_eq!(pool.apply_cb(|| 6, move |value| called.add(value)).expect("it does not fail"), 6);
        yield_now();
        log.expect("5 6");
        for _ in 0..size.unwrap_or(0) {
            pool.spawn(|| sleep(SHORT));
        }
        let called = log.clone();
        let overflow = pool.apply_async_cb(|| 7, move |value| called.add(value));
        assert_eq!(overflow.get().expect("it does not fail"), 7);
        yield_now();
        log.expect("5 6 7");

        let gate = Event::new();
        let opened = gate.clone();
        let late = pool.apply_async(move || opened.wait());
        assert!(matches!(late.get_timeout(SHORT), Err(GetError::TimedOut)));
        gate.set();
        pool.join();
    });
}

// --- map ------------------------------------------------------------------------------------------------------------

/// gevent: `TestPool::test_map`, `test_empty_map`.
#[test]
fn mapping_in_a_pool_is_mapping() {
    each_size(|pool, _| {
        for count in [0, 10, 100] {
            assert_eq!(pool.map(0..count, square).expect("no job fails"), squares(count));
        }
        let seen = Cell::new(0);
        let results = pool.map_cb(0..10, square, |results| seen.set(results.len()));
        assert_eq!((results.expect("no job fails").len(), seen.get()), (10, 10));
        assert_eq!(pool.map_async(0..10, nap).take().expect("no job fails"), squares(10));
    });
}

/// gevent: `TestErrorInHandler::test_map`.
#[test]
fn the_first_error_by_position_is_raised() {
    each_size(|pool, _| {
        let _errors = Log::of_errors();
        let done = Log::new();
        let log = done.clone();
        let failure = pool.try_map([3, 2, 1, 0], move |x: u32| {
            sleep(SHORT * x);
            log.add(x);
            if x == 3 || x == 0 { Ok(x) } else { Err(x) }
        });
        assert_eq!(failure.expect_err("two fail").downcast_ref(), Some(&2_u32));
        pool.join();
        while done.len() < 4 {
            yield_now();
        }
        let panicked = pool.map([1], |_| -> u32 { panic!("in a job") }).expect_err("it panics");
        assert_eq!(panicked.panic_message(), Some("in a job"));
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
            assert_eq!(good, squares(3));
            assert!(results.next().is_none(), "the error was the last item");
        }
        let last = pool.imap(input(), square).last().expect("there are items").expect_err("the input fails");
        assert_eq!(last.to_string(), "bad input");
    });
}

/// gevent: `TestPool::test_terminate`.
#[test]
fn a_kill_ends_a_map() {
    each_size(|pool, size| {
        let jobs = 2 * size.unwrap_or(10);
        let mapping = pool.map_async(0..jobs, |_| sleep(LONG));
        yield_now();
        yield_now();
        assert!(!pool.is_empty());
        mapping.kill();
        pool.join();
        assert!(mapping.take().expect_err("it has no results").is_exit(), "hazard 5");
        let mapping = pool.map_async(0..jobs, |_| sleep(SHORT));
        yield_now();
        yield_now();
        pool.kill();
        // Hazard 9: a killed member's result is a failure; a greenlet that waited for a slot enters
        // afterwards, hazard 7.
        assert!(mapping.take().expect_err("a member was killed").is_exit());
        pool.join();
    });
}

/// Appendix A: `map`.
#[test]
fn an_interrupted_map_runs_on() {
    each_size(|pool, _| {
        let log = Log::new();
        let ends = log.clone();
        let mapped = with_timeout(SHORT, || {
            pool.map(0..4, move |x| {
                sleep(SHORT * 3);
                ends.add(x);
            })
        });
        assert!(matches!(mapped, Err(TimedOut)));
        while log.len() < 4 {
            yield_now();
        }
        log.expect("0 1 2 3");
        pool.join();
    });
}

// --- imap -----------------------------------------------------------------------------------------------------------

/// gevent: `TestPool::test_imap_list_small`, `test_imap_it_small`, `test_imap_it_large`,
/// `test_imap_random`, `test_empty_imap`.
#[test]
fn ordered_results_come_in_order() {
    each_size(|pool, _| come_in_order(&pool, nap));
}

/// gevent: `TestPool::test_imap_unordered`, `test_imap_unordered_random`,
/// `test_empty_imap_unordered`.
#[test]
fn unordered_results_all_come() {
    each_size(|pool, _| all_come(&pool, nap));
}

/// gevent: `TestPool::test_imap_unordered_sleep`.
#[test]
fn unordered_results_come_as_the_jobs_end() {
    each_size(|pool, size| {
        let results = pool.imap_unordered([10, 1, 2], |x| {
            sleep(Duration::from_millis(x * 5));
            x
        });
        let expected: &[u64] = match size {
            Some(1) => &[10, 1, 2],
            _ => &[1, 2, 10],
        };
        assert_eq!(all(results), expected);
    });
}

/// gevent: `TestPool::test_imap_no_stop`, `test_imap_unordered_no_stop`, `test_imap_final_sleep`,
/// `test_imap_unordered_final_sleep`.
#[test]
fn an_input_that_ends_late_ends_the_results() {
    each_size(|pool, _| {
        for ordered in [true, false] {
            let map = |input: Box<dyn Iterator<Item = u64>>| {
                sorted(all(if ordered {
                    pool.imap(input, square)
                } else {
                    pool.imap_unordered(input, square)
                }))
            };
            let queue = Queue::unbounded();
            let (putting, getting) = (queue.clone(), queue);
            spawn(move || {
                for item in [Some(0), Some(1), Some(2), None] {
                    sleep(SHORT);
                    assert!(putting.put(item).is_ok());
                }
            });
            let input = iter::from_fn(move || getting.get().ok().flatten());
            assert_eq!(map(Box::new(input)), squares(3));
            let final_sleep = iter::once_with(|| sleep(SHORT)).flat_map(|()| None);
            assert_eq!(map(Box::new((0..3).chain(final_sleep))), squares(3));
        }
    });
}

/// gevent: `TestPool::test_imap_unordered_bounded_queue`.
#[test]
fn a_limited_imap_is_never_far_ahead_of_its_reader() {
    each_size(|pool, _| {
        for ordered in [true, false] {
            let started = Rc::new(Cell::new(0));
            let count = started.clone();
            let add = move |(x, y): (u64, u64)| {
                count.set(count.get() + 1);
                x + y
            };
            let input = (0..10).zip(0..20);
            let results = if ordered { pool.imap(input, add) } else { pool.imap_unordered(input, add) };
            let mut read = 0;
            for (x, result) in (0..).zip(results.maxsize(1)) {
                assert_eq!(result.expect("no job fails"), 2 * x);
                read += 1;
                (0..5).for_each(|_| yield_now());
                assert!(started.get() <= read + 2, "{} started, {read} read", started.get());
            }
            assert_eq!((started.get(), read), (10, 10));
        }
    });
}

/// gevent: `TestErrorInHandler::test_imap`, `test_imap_unordered`.
#[test]
fn the_iteration_goes_on_after_an_error() {
    each_size(|pool, _| {
        let _errors = Log::of_errors();
        let divide = |x: i32| 10_i32.checked_div(x).ok_or("division by zero");
        let values = |results: IMap<i32>| {
            results
                .map(|result: Result<i32, Failure>| result.map_err(|error| error.to_string()))
                .collect::<Vec<_>>()
        };
        let expected = [Ok(10), Err("division by zero".to_owned()), Ok(5)];
        assert_eq!(values(pool.try_imap([1, 0, 2], divide)), expected);
        assert_eq!(values(pool.try_imap_unordered([1, 0, 2], divide)), expected);
    });
}

#[test]
fn a_limit_that_is_raised_late_still_counts() {
    within(LIMIT, || {
        let results = Pool::unlimited().imap(0..10, square).maxsize(1);
        (0..3).for_each(|_| yield_now());
        assert_eq!(all(results.maxsize(0)), squares(10));
    });
}

#[test]
fn an_interrupted_read_loses_nothing() {
    each_size(|pool, _| {
        let event = Event::new();
        let waits = event.clone();
        let mut results = pool
            .imap(0..3, move |x| {
                waits.wait();
                x
            })
            .maxsize(1);
        assert!(matches!(results.next_timeout(SHORT), Err(TimedOut)));
        assert!(matches!(with_timeout(SHORT, || results.next()), Err(TimedOut)));
        event.set();
        assert_eq!(all(results), [0, 1, 2]);
    });
}

#[test]
fn dropping_the_iterator_stops_everything() {
    each_size(|pool, _| {
        let asked = Rc::new(Cell::new(0));
        let count = asked.clone();
        let input = iter::from_fn(move || {
            count.set(count.get() + 1);
            Some(())
        });
        let results = pool.imap_unordered(input.take(100), |()| sleep(LONG));
        (0..5).for_each(|_| yield_now());
        assert!(!pool.is_empty());
        drop(results);
        pool.join();
        let before = asked.get();
        (0..5).for_each(|_| yield_now());
        assert_eq!((asked.get(), pool.len()), (before, 0));
        assert_eq!(Rc::strong_count(&asked), 1, "the input is dropped");
        drop(pool.imap(0..3, square));
        yield_now();
        assert!(pool.is_empty());
    });
}

#[test]
fn a_killed_member_is_one_failed_item() {
    within(LIMIT, || {
        let pool = Pool::new(1);
        let mut results = pool.imap(0..3, |x| {
            sleep(SHORT);
            x
        });
        yield_now();
        yield_now();
        pool.kill();
        assert!(results.next().expect("there are items").expect_err("it was killed").is_exit());
        assert_eq!(all(results), [1, 2]);
    });
}

// --- mappings of members --------------------------------------------------------------------------------------------

type Summing = Box<dyn Fn() -> u64>;

/// Every mapping that is waited for, by name; each returns the sum of the squares of 1 to 3.
fn nested(pool: &Pool) -> Vec<(&'static str, Summing)> {
    fn fine(x: u64) -> Result<u64, &'static str> {
        Ok(square(x))
    }
    macro_rules! each {
        ($($name:literal => |$pool:ident| $sum:expr),* $(,)?) => {
            vec![$(($name, {
                let $pool = pool.clone();
                Box::new(move || $sum) as Summing
            })),*]
        };
    }
    each! {
        "map" => |pool| pool.map(1..=3, square).unwrap().into_iter().sum(),
        "try_map" => |pool| pool.try_map(1..=3, fine).unwrap().into_iter().sum(),
        "map_cb" => |pool| pool.map_cb(1..=3, square, |_| ()).unwrap().into_iter().sum(),
        "try_map_cb" => |pool| pool.try_map_cb(1..=3, fine, |_| ()).unwrap().into_iter().sum(),
        "imap" => |pool| pool.imap(1..=3, square).map(Result::unwrap).sum(),
        "try_imap" => |pool| pool.try_imap(1..=3, fine).map(Result::unwrap).sum(),
        "imap_unordered" => |pool| pool.imap_unordered(1..=3, square).map(Result::unwrap).sum(),
        "try_imap_unordered" => |pool| pool.try_imap_unordered(1..=3, fine).map(Result::unwrap).sum(),
        "imap with maxsize" => |pool| pool.imap(1..=3, square).maxsize(1).map(Result::unwrap).sum(),
        "two in one" => |pool| {
            let inner = pool.clone();
            pool.map([1, 2], move |_| inner.map(1..=3, square).unwrap().into_iter().sum::<u64>()).unwrap()[1]
        },
    }
}

/// In gevent these wait without end: all slots are held by members that wait for the same pool.
#[test]
fn mappings_of_members_go_on_in_a_full_pool() {
    within(LIMIT, || {
        for size in 1..=3 {
            let pool = Pool::new(size);
            for at in 0..nested(&pool).len() {
                let inner = pool.clone();
                let sums = pool.map(0..5, move |_| {
                    let (name, run) = &nested(&inner)[at];
                    (*name, run())
                });
                for (name, sum) in sums.unwrap() {
                    assert_eq!(sum, 14, "{name} in a pool of {size}");
                }
                pool.join();
                assert_eq!(pool.free_count(), size, "{} in a pool of {size}", nested(&pool)[at].0);
            }
        }
    });
}

/// As many calls run at once as the pool has slots, however deep mappings are nested.
#[test]
fn nested_mappings_keep_the_limit() {
    within(LIMIT, || {
        let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let pool = Pool::new(2);
        let inner = pool.clone();
        let (now, peak) = (running.clone(), most.clone());
        let results = pool.map(0..4, move |_| {
            let (now, peak) = (now.clone(), peak.clone());
            let counted = move |x| {
                now.set(now.get() + 1);
                peak.set(peak.get().max(now.get()));
                yield_now();
                now.set(now.get() - 1);
                x
            };
            inner.map(0..3, counted).unwrap().len()
        });
        assert_eq!(results.unwrap(), [3; 4]);
        assert!((1..=2).contains(&most.get()), "{} at once", most.get());
    });
}

/// A member may be killed, discarded or run out of time while it waits for a mapping: the number of
/// slots stays.
#[test]
fn a_nested_mapping_that_is_not_waited_for_to_its_end_takes_no_slot() {
    within(LIMIT, || {
        let endings: [fn(&Pool, &Greenlet<()>); 3] = [
            |_, member| member.kill(),
            |pool, member| {
                pool.discard(member);
                member.kill();
            },
            |_, member| member.join(),
        ];
        for (at, end) in endings.into_iter().enumerate() {
            let pool = Pool::new(1);
            let gate = Event::new();
            let (inner, shut) = (pool.clone(), gate.clone());
            let member = pool.spawn(move || {
                let waited = with_timeout(SHORT * 5, || inner.map(0..3, move |_| shut.wait()).is_ok());
                assert!(waited.is_err() && at == 2, "only the third comes so far");
            });
            yield_now();
            yield_now();
            end(&pool, &member);
            gate.set();
            sleep(SHORT);
            pool.join();
            assert_eq!((pool.free_count(), pool.len()), (1, 0), "ending {at}");
            assert_eq!(pool.map([4], |x| x).unwrap(), [4]);
        }
    });
}
