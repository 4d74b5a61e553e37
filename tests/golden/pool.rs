//! The golden traces of groups and pools; see `golden.rs` for the others and the rules.

use std::time::Duration;

use ramie::{
    GreenletExit, Group, Mapping, Pool, catch, fallible, joinall, raise, sleep, spawn, spawn_later, yield_now,
};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn b_41_a_member_leaves_at_its_place_among_the_links() {
    within(LIMIT, || {
        let log = Log::new();
        let pool = Pool::new(1);
        let g = ramie::Greenlet::new(|| ());
        for place in ["before", "after"] {
            let (seen, seeing) = (log.clone(), pool.clone());
            g.rawlink(move |_| {
                seen.add(format!("{place}: len {}, free {}", seeing.len(), seeing.free_count()));
            });
            if place == "before" {
                pool.add(&g);
            }
        }
        g.start();
        g.join();
        log.expect("before: len 1, free 0 after: len 0, free 1");
    });
}

#[test]
fn b_42_joining_raises_after_all_have_ended() {
    within(LIMIT, || {
        let log = Log::new();
        let errors = Log::of_errors();
        let group = Group::new();
        let (late, ended) = (spawn_later(ms(30), || ()), log.clone());
        group.add(&late);
        late.rawlink(move |_| ended.add("other"));
        // Hazard 8: the first in time, not just any, and not the first that was added.
        for (after, error) in [(20, "second"), (10, "first")] {
            group.spawn(fallible(move || {
                sleep(ms(after));
                Err::<(), _>(error)
            }));
        }
        let failure = group.join_raising().expect_err("two have failed");
        log.add(failure);
        log.expect("other first");
        errors.expect("first second");
        assert!(group.is_empty());
    });
}

#[test]
fn b_43_joining_does_not_count_who_waits_for_a_slot() {
    within(LIMIT, || {
        let log = Log::new();
        let pool = Pool::new(1);
        let job = |number: u32, log: &Log| {
            let log = log.clone();
            move || {
                sleep(ms(5));
                log.add(format!("end{number}"));
            }
        };
        pool.spawn(job(1, &log));
        let (spawner, second, spawned) = (pool.clone(), job(2, &log), log.clone());
        spawn(move || {
            spawner.spawn(second);
            spawned.add("spawned2");
        });
        yield_now();
        pool.join();
        log.add(format!("join(len {})", pool.len()));
        yield_now();
        pool.join();
        log.expect("end1 join(len 0) spawned2 end2");
    });
}

#[test]
fn b_44_who_comes_during_a_kill_is_killed_too() {
    fn member(group: &Group, log: &Log, number: u32) {
        let (group, log) = (group.clone(), log.clone());
        group.clone().spawn(move || {
            let exit = catch::<GreenletExit, _>(|| sleep(LONG)).expect_err("it is killed");
            log.add(format!("exit{number}"));
            if number < 3 {
                member(&group, &log, number + 1);
            }
            raise(exit.into_exception())
        });
    }
    within(LIMIT, || {
        let log = Log::new();
        let group = Group::new();
        member(&group, &log, 0);
        yield_now();
        group.kill();
        log.add(format!("len {}", group.len()));
        log.expect("exit0 exit1 exit2 exit3 len 0");
    });
}

#[test]
fn b_45_who_waits_for_a_slot_is_served_in_order() {
    within(LIMIT, || {
        let log = Log::new();
        let pool = Pool::new(1);
        let spawners = [0, 1, 2, 3].map(|number| {
            let (pool, log) = (pool.clone(), log.clone());
            spawn(move || {
                let start = log.clone();
                pool.spawn(move || {
                    start.add(format!("start{number}"));
                    sleep(ms(1));
                });
                log.add(format!("spawned{number}"));
            })
        });
        joinall(&spawners);
        pool.join();
        log.expect("spawned0 start0 spawned1 start1 spawned2 start2 spawned3 start3");
    });
}

#[test]
fn b_46_who_asks_before_the_waiter_is_told_gets_the_slot() {
    within(LIMIT, || {
        let log = Log::new();
        let pool = Pool::new(1);
        let member = pool.spawn(|| sleep(ms(1)));
        let (waiting, waiter) = (pool.clone(), log.adder("waiter"));
        let spawner = spawn(move || {
            waiting.spawn(waiter);
        });
        yield_now();
        let (barging, barger) = (pool.clone(), log.adder("barger"));
        member.link(move |_| {
            barging.try_spawn(barger).expect("the member's slot is free");
        });
        spawner.join();
        pool.join();
        log.expect("barger waiter");
        assert_eq!(pool.free_count(), 1);
    });
}

#[test]
fn b_67_joining_a_group_of_given_greenlets_waits_for_them() {
    // Hazard 2: in gevent this returns at once, with a member inside: "True 1".
    within(LIMIT, || {
        let log = Log::new();
        let group = Group::from_greenlets([spawn(|| sleep(ms(10)))]);
        assert!(!group.join_timeout(ms(1)));
        log.add(group.join_timeout(LONG));
        log.add(group.len());
        log.expect("true 0");
    });
}

#[test]
fn b_68_discarding_a_stranger_gains_nothing() {
    // Hazard 3: in gevent a slot is gained: "2 3".
    within(LIMIT, || {
        let log = Log::new();
        let pool = Pool::new(2);
        log.add(pool.wait_available());
        pool.discard(&spawn(|| ()));
        log.add(pool.wait_available());
        let member = pool.spawn(|| ());
        pool.discard(&member);
        pool.discard(&member);
        log.add(pool.wait_available());
        log.expect("2 2 2");
    });
}

#[test]
fn b_47_results_come_in_the_order_of_the_input_or_of_the_ends() {
    within(LIMIT, || {
        let log = Log::new();
        let pool = Pool::new(3);
        let nap = |times: u64| {
            sleep(ms(10 * times));
            times
        };
        pool.map([4, 3, 2, 1], nap).expect("no job fails").into_iter().for_each(|times| log.add(times));
        pool.imap([1, 2, 3], move |x| nap(4 - x)).for_each(|x| log.add(4 - x.expect("no job fails")));
        pool.imap_unordered([1, 2, 3], move |x| 4 - nap(4 - x))
            .for_each(|x| log.add(x.expect("no job fails")));
        log.expect("4 3 2 1 1 2 3 3 2 1");
    });
}

#[test]
fn b_48_the_reader_sets_the_pace_of_a_limited_imap() {
    within(LIMIT, || {
        let log = Log::new();
        let pool = Pool::unlimited();
        let started = log.clone();
        let mut results = pool.imap(0..10, move |x| started.add(x)).maxsize(2);
        let settle = || {
            (0..10).for_each(|_| yield_now());
            log.add("|");
        };
        settle();
        for _ in 0..2 {
            results.next().expect("there is more").expect("no job fails");
            settle();
        }
        log.expect("0 1 | 2 | 3 |");
    });
}

#[test]
fn b_49_an_error_is_one_item_and_the_next_one_follows() {
    within(LIMIT, || {
        let log = Log::new();
        let errors = Log::of_errors();
        let mut results =
            Pool::new(1).try_imap([1, 0, 2], |x: i32| 10_i32.checked_div(x).ok_or("division by zero"));
        for result in results.by_ref() {
            match result {
                Ok(value) => log.add(value),
                Err(failure) => log.add(format!("({failure})")),
            }
        }
        // Hazard 4: in gevent this would wait forever.
        assert!(results.next().is_none() && results.next().is_none());
        log.expect("10 (division by zero) 5");
        errors.expect("division by zero");
    });
}
