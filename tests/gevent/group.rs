//! gevent's tests of groups, and of pools as far as they admit greenlets (`test__greenletset.py`,
//! `test__pool.py`), restated. `gevent_pool.rs` has the mapping.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::hub::BlockingSwitchOutError;
use ramie::pool::PoolFull;
use ramie::sync::Event;
use ramie::{
    Builder, Greenlet, GreenletExit, Group, Kill, Mapping, Pool, TimedOut, Timeout, catch, fallible, get_hub,
    getcurrent, killall_nowait, killall_with, sleep, spawn, with_timeout, yield_now,
};

use crate::util::generic_waits::{outer_timeout_is_not_lost, returns_after_its_timeout};
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);
const SIZES: [Option<usize>; 5] = [Some(1), Some(2), Some(3), Some(10), None];

fn pool_of(size: Option<usize>) -> Pool {
    size.map_or_else(Pool::unlimited, Pool::new)
}

fn full(size: usize) -> Pool {
    let pool = Pool::new(size);
    (0..size).for_each(|_| drop(pool.spawn(|| sleep(LONG))));
    pool
}

// --- test__greenletset.py -------------------------------------------------------------------------------------------

/// gevent: `Test::test_basic`.
#[test]
fn members_leave_as_they_end() {
    within(LIMIT, || {
        let group = Group::new();
        assert!(group.is_empty() && !group.full());
        let first = group.spawn(|| sleep(SHORT));
        let second = group.spawn(|| sleep(SHORT * 5));
        assert_eq!(group.greenlets(), [first.as_any().clone(), second.as_any().clone()]);
        first.join();
        assert!(!group.contains(&first) && group.contains(&second) && group.len() == 1);
        second.join();
        assert!(group.is_empty());
        assert_eq!(group.wait_available(), 1);
    });
}

/// gevent: `Test::test_waitall`.
#[test]
fn joining_waits_for_the_longest() {
    within(LIMIT, || {
        let group = Group::new();
        for times in [1, 3, 2] {
            group.spawn(move || sleep(SHORT * times));
        }
        let start = Instant::now();
        assert!(matches!(group.join_raising(), Ok(true)));
        assert!(start.elapsed() >= SHORT * 3);
        assert!(group.is_empty());
    });
}

/// gevent: `Test::test_kill_block`.
#[test]
fn a_kill_empties_the_group() {
    within(LIMIT, || {
        let group = Group::new();
        (0..3).for_each(|_| drop(group.spawn(|| sleep(LONG))));
        yield_now();
        group.spawn(|| panic!("killed before its first turn, it never runs"));
        group.kill();
        assert!(group.is_empty());
    });
}

/// gevent: `Test::test_kill_noblock`.
#[test]
fn a_kill_that_does_not_wait_leaves_the_members_inside() {
    within(LIMIT, || {
        let group = Group::new();
        (0..3).for_each(|_| drop(group.spawn(|| sleep(LONG))));
        yield_now();
        group.kill_nowait();
        assert_eq!(group.len(), 3);
        yield_now();
        yield_now();
        assert_eq!(group.len(), 0);
    });
}

/// gevent: `Test::test_kill_fires_once`.
#[test]
fn each_member_is_killed_once_at_most() {
    within(LIMIT, || {
        let hits = Rc::new(Cell::new(0));
        let stubborn = |hits: &Rc<Cell<u32>>| {
            let hits = hits.clone();
            move || {
                loop {
                    match catch::<GreenletExit, _>(|| sleep(LONG)) {
                        Ok(()) => break,
                        Err(_) => hits.set(hits.get() + 1),
                    }
                }
            }
        };
        let _errors = Log::of_errors();
        let group = Group::new();
        let (a, b) = (group.spawn(stubborn(&hits)), group.spawn(stubborn(&hits)));
        yield_now();
        for _ in 0..3 {
            group.killone_nowait(&a);
            yield_now();
        }
        assert_eq!(hits.get(), 1);
        group.killone(&a);
        assert!(
            !group.killone_with(&a, Kill::default().timeout(LONG)),
            "a member that was killed before is not waited for"
        );
        group.kill_nowait();
        yield_now();
        assert_eq!(hits.get(), 2);
        assert_eq!(with_timeout(SHORT, || group.kill()), Err(TimedOut));
        returns_after_its_timeout(|limit| assert!(!group.kill_with(Kill::default().timeout(limit))));
        assert_eq!((hits.get(), group.len()), (2, 2));
        a.kill_with("the special error");
        b.kill_with("the special error");
        group.join();
        assert!(a.dead() && b.dead() && group.is_empty());
    });
}

/// gevent: `Test::test_killall_subclass`.
#[test]
fn a_kill_reaches_those_that_never_ran() {
    within(LIMIT, || {
        let group = Group::new();
        let never_run: Greenlet<()> = Greenlet::new(|| panic!("it never runs"));
        group.add(&never_run);
        let sleeper = group.spawn(|| sleep(LONG));
        let _errors = Log::of_errors();
        group.kill_with("reason");
        assert!(never_run.exception().is_some_and(|failure| failure.is::<&str>()) && sleeper.dead());
        assert!(group.is_empty());
        let stranger = spawn(|| sleep(SHORT));
        group.killone(&stranger);
        assert!(stranger.get().is_ok());
    });
}

/// gevent: `Test::test_killall_iterable_argument_non_block`, `..._timeout_not_started`,
/// `..._timeout_started`.
#[test]
fn the_members_can_be_killed_from_a_list() {
    within(LIMIT, || {
        let group = Group::new();
        (0..3).for_each(|_| drop(group.spawn(|| sleep(LONG))));
        yield_now();
        killall_nowait(group.greenlets());
        yield_now();
        yield_now();
        assert!(group.is_empty());
        let stubborn = || loop {
            let _ = catch::<GreenletExit, _>(|| sleep(LONG));
        };
        (0..3).for_each(|_| drop(group.spawn(stubborn)));
        let members = group.greenlets();
        assert_eq!(
            killall_with(&members, Kill::default().timeout(LONG)),
            Ok(()),
            "those that never ran cannot resist"
        );
        assert!(members.iter().all(|member| member.dead()));
        group.join();
        (0..3).for_each(|_| drop(group.spawn(stubborn)));
        yield_now();
        let members = group.greenlets();
        assert_eq!(killall_with(&members, Kill::default().timeout(SHORT)), Err(TimedOut));
        assert!(members.iter().all(|member| !member.dead()));
    });
}

#[test]
fn a_member_that_kills_its_group_is_killed_in_the_call() {
    within(LIMIT, || {
        let group = Group::new();
        let killer = group.clone();
        let other = group.spawn(|| sleep(LONG));
        let member = group.spawn(move || killer.kill());
        member.join();
        assert!(member.get().expect_err("it has no value").is_exit());
        group.join();
        assert!(other.dead() && group.is_empty());
    });
}

#[test]
fn a_group_makes_its_greenlets_with_its_builder() {
    within(LIMIT, || {
        let group = Group::with_builder(Builder::new().name("worker").stack_size(1 << 16));
        assert_eq!(group.spawn(|| ()).name(), "worker");
        group.join();
    });
}

#[test]
fn joining_raises_what_has_failed_by_the_end_of_its_time() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let group = Group::new();
        let sleeper = group.spawn(|| sleep(LONG));
        assert!(matches!(group.join_raising_timeout(SHORT), Ok(false)));
        group.spawn(fallible(|| Err::<(), _>("no luck")));
        assert_eq!(group.join_raising_timeout(SHORT).expect_err("one failed").to_string(), "no luck");
        sleeper.kill();
        assert!(matches!(group.join_raising(), Ok(true)), "a plain kill is no failure");
    });
}

// --- test__pool.py: PoolBasicTests, TestPool0, TestJoin*, TestSpawn -------------------------------------------------

/// gevent: `PoolBasicTests::test_discard`.
#[test]
fn a_discarded_member_frees_its_slot_once() {
    within(LIMIT, || {
        let pool = Pool::new(1);
        let first = pool.spawn(|| sleep(SHORT));
        pool.discard(&first);
        assert_eq!((pool.free_count(), pool.len()), (1, 0));
        let second = pool.spawn(|| sleep(LONG));
        first.join();
        assert_eq!(pool.free_count(), 0);
        second.kill();
        pool.join();
        assert_eq!(pool.free_count(), 1);
    });
}

/// The later link of a member that was added twice and discarded changes no other member.
#[test]
fn a_member_that_was_added_twice_leaves_once() {
    within(LIMIT, || {
        let pool = Pool::new(4);
        let first = spawn(|| sleep(SHORT));
        pool.add(&first);
        pool.add(&first);
        assert_eq!((pool.free_count(), pool.len()), (2, 1));
        pool.discard(&first);
        assert_eq!((pool.free_count(), pool.len()), (4, 0));
        let others: Vec<_> = (0..3).map(|_| pool.spawn(|| sleep(LONG))).collect();
        first.join();
        yield_now();
        assert_eq!((pool.free_count(), pool.len()), (1, 3));
        pool.discard(&others[1]);
        let last = pool.spawn(|| ());
        let order = [&others[0], &others[2]].map(|other| other.as_any().clone());
        assert_eq!(pool.greenlets()[..2], order, "in the order of addition");
        last.join();
        pool.kill();
        assert_eq!((pool.free_count(), pool.len()), (4, 0));
        others[1].kill();
    });
}

/// gevent: `PoolBasicTests::test_add_method`, `..._non_blocking`, `..._timeout`,
/// `test_start_method_timeout`.
#[test]
fn a_full_pool_admits_nobody() {
    within(LIMIT, || {
        for size in [0, 1, 2, 3, 10] {
            let pool = full(size);
            let g = Greenlet::new(|| ());
            assert_eq!(Timeout::new(SHORT).scope(|| pool.add(&g)), Err(TimedOut));
            assert_eq!(Timeout::new(SHORT).scope(|| drop(pool.spawn(|| ()))), Err(TimedOut));
            assert_eq!(pool.try_add(&g), Err(PoolFull(())));
            assert_eq!(pool.try_start(&g), Err(PoolFull(())));
            returns_after_its_timeout(|limit| assert!(pool.add_timeout(&g, limit).is_err()));
            returns_after_its_timeout(|limit| assert!(pool.add_timeout(&g, Instant::now() + limit).is_err()));
            returns_after_its_timeout(|limit| assert!(pool.start_timeout(&g, limit).is_err()));
            returns_after_its_timeout(|limit| {
                assert!(pool.start_timeout(&g, Instant::now() + limit).is_err())
            });
            assert_eq!(pool.try_spawn(|| 5).map(drop).expect_err("it is full").into_inner()(), 5);
            assert_eq!(pool.spawn_timeout(|| 5, SHORT).map(drop).expect_err("it is full").0(), 5);
            assert!(pool.spawn_timeout(|| (), Instant::now()).is_err());
            assert!(!g.started() && !g.ready() && pool.len() == size && !pool.contains(&g));
            pool.kill();
            assert_eq!((pool.free_count(), pool.len()), (size, 0));
        }
    });
}

/// gevent: `TestPool0::test_wait_full`.
#[test]
fn nothing_enters_a_pool_without_slots() {
    within(LIMIT, || {
        let pool = Pool::new(0);
        assert!(pool.full() && pool.free_count() == 0);
        returns_after_its_timeout(|limit| assert_eq!(pool.wait_available_timeout(limit), 0));
        returns_after_its_timeout(|limit| assert_eq!(pool.wait_available_timeout(Instant::now() + limit), 0));
        outer_timeout_is_not_lost(|limit| assert_eq!(pool.wait_available_timeout(limit), 0));
    });
}

/// gevent: `TestJoinSleep`, `TestJoinSleep_raise_error`, `TestJoinEmpty::test`.
#[test]
fn joining_passes_the_wait_battery() {
    within(LIMIT, || {
        for size in SIZES {
            let pool = pool_of(size);
            assert!(pool.join_timeout(Duration::ZERO));
            pool.spawn(|| sleep(LONG));
            returns_after_its_timeout(|limit| assert!(!pool.join_timeout(limit)));
            returns_after_its_timeout(|limit| assert!(!pool.join_timeout(Instant::now() + limit)));
            returns_after_its_timeout(|limit| assert!(matches!(pool.join_raising_timeout(limit), Ok(false))));
            outer_timeout_is_not_lost(|limit| assert!(!pool.join_timeout(limit)));
            outer_timeout_is_not_lost(|limit| drop(pool.join_raising_timeout(limit)));
            pool.kill();
            let other = spawn(|| ());
            pool.join();
            assert!(!other.ready(), "an empty pool is joined without a switch");
        }
    });
}

/// gevent: `TestSpawn::test`, `TestSpawn::testSpawnAndWait`.
#[test]
fn spawning_waits_for_a_slot() {
    within(LIMIT, || {
        let pool = Pool::new(1);
        let log = Log::new();
        for number in 1..=2 {
            let log = log.clone();
            pool.spawn(move || {
                sleep(SHORT);
                log.add(number);
            });
            assert_eq!(pool.len(), 1);
        }
        log.expect("1");
        assert!(!pool.join_timeout(Duration::ZERO));
        assert!(pool.join_timeout(LONG));
        assert_eq!(pool.len(), 0);
        log.expect("1 2");
    });
}

#[test]
fn no_slot_is_lost_by_a_kill() {
    within(LIMIT, || {
        let pool = full(1);
        let entered = Log::new();
        let waiters = [1, 2, 3].map(|number| {
            let (pool, job) = (pool.clone(), entered.adder(number));
            spawn(move || drop(pool.spawn(job)))
        });
        yield_now();
        // One in line is killed before the slot is free, the next one in the very turn in which it
        // is told.
        waiters[0].kill();
        pool.kill_nowait();
        yield_now();
        waiters[1].kill_nowait();
        waiters[2].join();
        pool.join();
        assert_eq!((pool.free_count(), pool.len()), (1, 0));
        assert!(entered.words().ends_with(&["3".to_owned()]));
    });
}

#[test]
fn a_member_added_twice_holds_two_slots() {
    within(LIMIT, || {
        let pool = Pool::new(3);
        let event = Event::new();
        let waits = event.clone();
        let g = pool.spawn(move || waits.wait());
        pool.add(&g);
        assert_eq!((pool.len(), pool.free_count()), (1, 1));
        event.set();
        pool.join();
        assert_eq!((pool.len(), pool.free_count()), (0, 3));
    });
}

#[test]
fn each_of_many_members_is_found_while_others_come_and_go() {
    within(LIMIT, || {
        let pool = Pool::new(40);
        for _ in 0..2 {
            let mut inside: Vec<_> = (0..20).map(|_| pool.spawn(|| sleep(LONG))).collect();
            assert!(inside.iter().all(|g| pool.contains(g)));
            let others: Vec<_> = inside.iter().step_by(2).cloned().collect();
            others.iter().for_each(|g| pool.discard(g));
            assert!(others.iter().all(|g| !pool.contains(g)));
            inside.retain(|g| !others.contains(g));
            inside.extend((0..15).map(|_| pool.spawn(|| sleep(LONG))));
            pool.add(&inside[3]);
            assert_eq!((pool.len(), pool.free_count()), (25, 14));
            assert!(pool.iter().eq(inside.iter().map(|g| g.as_any().clone())));
            yield_now();
            inside.iter().rev().for_each(|g| pool.killone(g));
            // The last has ended; its link's turn is to come.
            pool.join();
            assert_eq!((pool.len(), pool.free_count()), (0, 40));
            killall_nowait(&others);
        }
    });
}

#[test]
fn a_full_pool_cannot_be_waited_for_in_the_hub() {
    within(LIMIT, || {
        let pool = full(1);
        let seen = Log::new();
        let (blocked, log) = (pool.clone(), seen.clone());
        get_hub().run_callback(move || {
            let error = catch::<BlockingSwitchOutError, _>(|| drop(blocked.spawn(|| ())));
            log.add(error.is_err());
        });
        yield_now();
        seen.expect("true");
        pool.kill();
        assert_eq!(pool.free_count(), 1);
    });
}

/// The counterpart of `__init__` in a subclass of `Greenlet`: a group does it to every member, and
/// a panic in it takes no slot.
#[test]
fn members_are_prepared() {
    within(LIMIT, || {
        let made = Rc::new(Cell::new(0));
        let count = made.clone();
        let builder = Builder::new().prepare(move |greenlet| {
            assert!(!greenlet.started());
            count.set(count.get() + 1);
            greenlet.set_name(format!("member {}", count.get()));
            assert_ne!(count.get(), 3, "the third is not made");
        });
        let pool = Pool::with_builder(Some(2), builder);
        assert_eq!(pool.spawn(|| getcurrent().name()).take().unwrap(), "member 1");
        assert_eq!(pool.try_spawn(|| getcurrent().name()).unwrap().take().unwrap(), "member 2");
        assert!(catch_unwind(AssertUnwindSafe(|| pool.try_spawn(|| ()))).is_err());
        assert_eq!((pool.free_count(), pool.len()), (2, 0));
        assert_eq!(pool.map([4], |_| getcurrent().name()).unwrap(), ["member 4"]);
        pool.join();
    });
}

/// `Builder::prepare` may use the pool: the slot is asked for afterwards, whichever call makes the
/// member.
#[test]
fn what_prepares_a_member_may_use_the_pool() {
    /// A pool with one slot, which is taken while its first greenlet is prepared.
    fn pool() -> Pool {
        let cell: Rc<RefCell<Option<Pool>>> = Rc::default();
        let shared = cell.clone();
        let builder = Builder::new().prepare(move |_| {
            if let Some(pool) = shared.take() {
                pool.spawn(yield_now);
            }
        });
        let pool = Pool::with_builder(Some(1), builder);
        *cell.borrow_mut() = Some(pool.clone());
        pool
    }
    within(LIMIT, || {
        let others = Log::new();
        let log = others.clone();
        spawn(move || log.add("ran"));
        let job = pool().apply_async(|| 5);
        others.expect("");
        assert_eq!(job.get().unwrap(), 5);
        others.expect("ran");

        let full = pool();
        let refused = full.try_spawn(|| 6).unwrap_err();
        assert_eq!((refused.0(), full.len()), (6, 1));
        assert_eq!(full.spawn_timeout(|| 7, LIMIT).unwrap().get().unwrap(), 7);
        assert_eq!(pool().spawn(|| 8).get().unwrap(), 8);
        assert_eq!(pool().map([9], |x| x).unwrap(), [9]);
    });
}

/// The limit counts from the call, ahead of limits that are set while the exceptions arrive.
#[test]
fn the_limit_of_a_killall_is_over_before_those_of_what_it_hits() {
    within(LIMIT, || {
        let log = Log::new();
        let own = log.clone();
        let stubborn = spawn(move || {
            own.add(if catch::<GreenletExit, _>(|| Event::new().wait()).is_err() {
                "caught"
            } else {
                "woken"
            });
            own.add(if Event::new().wait_timeout(Duration::ZERO) { "set" } else { "over" });
        });
        yield_now();
        log.add(if killall_with([&stubborn], Kill::default().timeout(Duration::ZERO)).is_err() {
            "late"
        } else {
            "dead"
        });
        stubborn.join();
        log.expect("caught late over");
    });
}

/// A member may end at the moment at which the time is over, with its link still to be served: the
/// kill then returns, as in gevent, and does not look again and again.
#[test]
fn a_kill_of_a_group_ends_with_a_member_that_ends_when_its_time_is_over() {
    within(LIMIT, || {
        let group = Group::new();
        let stubborn = group.spawn(|| {
            assert!(catch::<GreenletExit, _>(|| Event::new().wait()).is_err());
            assert!(!Event::new().wait_timeout(Duration::ZERO));
        });
        yield_now();
        group.kill_nowait();
        yield_now();
        assert!(!group.kill_with(Kill::default().timeout(Duration::ZERO)));
        assert!(stubborn.dead());
        yield_now();
        assert!(group.is_empty());
    });
}
