//! The effects of a timeout, their times, and the order of two things that are due at once, rule by
//! rule.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::spawn_raw;
use ramie::sync::{Event, Semaphore};
use ramie::{
    Greenlet, LoopExit, TimedOut, Timeout, catch, get_hub, joinall, sleep, spawn, spawn_later, wait_timeout,
    with_timeout, yield_now,
};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Blocks the thread, hub and all, so that whatever is due by then is due in one iteration.
fn busy(millis: u64) {
    thread::sleep(ms(millis));
}

fn forever() {
    Event::new().wait();
}

// --- operations -----------------------------------------------------------------------------------------------------

#[test]
#[should_panic(expected = "already pending")]
fn a_pending_timeout_cannot_be_started() {
    within(LIMIT, || {
        let timeout = Timeout::new(LONG);
        timeout.start();
        timeout.start();
    });
}

#[test]
#[should_panic(expected = "closed")]
fn a_closed_timeout_cannot_be_started() {
    within(LIMIT, || {
        let timeout = Timeout::new(LONG);
        timeout.close();
        timeout.start();
    });
}

#[test]
fn a_timeout_is_cancelled_when_its_last_handle_is_dropped() {
    within(LIMIT, || {
        let timers = get_hub().stats().timers;
        let timeout = Timeout::new(ms(1));
        timeout.start();
        let clone = timeout.clone();
        drop(timeout);
        assert!(clone.pending());
        assert_eq!(get_hub().stats().timers, timers + 1);
        drop(clone);
        assert_eq!(get_hub().stats().timers, timers);
        // It would be raised here.
        sleep(ms(5));
    });
}

#[test]
fn a_timeout_that_is_dropped_when_it_is_due_is_not_raised() {
    for own in [false, true] {
        within(LIMIT, move || {
            let timeout = Timeout::new(ms(1));
            let timeout = if own { timeout.exception("too late") } else { timeout };
            let held = Rc::new(Cell::new(Some(timeout)));
            let place = held.clone();
            let g = spawn(move || {
                let timeout = place.take().expect("it was put there");
                timeout.start();
                place.set(Some(timeout));
                sleep(ms(5));
            });
            yield_now();
            // Both are due in one iteration, and the timer of this greenlet comes before the limit.
            let dropper = spawn(move || {
                sleep(ms(2));
                drop(held.take());
            });
            yield_now();
            busy(10);
            joinall(&[g.clone(), dropper]);
            assert!(g.successful());
        });
    }
}

#[test]
fn a_timeout_is_caught_by_its_clone_after_the_exception_is_dropped() {
    within(LIMIT, || {
        let timeout = Timeout::new(ms(1));
        timeout.start();
        let caught = catch::<Timeout, _>(|| sleep(LONG)).unwrap_err();
        assert!(caught.is(&timeout));
        drop(caught);
        timeout.start();
        assert!(timeout.pending());
    });
}

#[test]
#[should_panic(expected = "closed")]
fn a_timeout_serves_one_scope() {
    within(LIMIT, || {
        let timeout = Timeout::new(LONG);
        assert_eq!(timeout.scope(|| 5), Ok(5));
        let _second = timeout.scope(|| 5);
    });
}

#[test]
fn a_cancelled_timeout_may_be_started_again() {
    within(LIMIT, || {
        let timeout = Timeout::new(ms(1));
        timeout.start();
        timeout.cancel();
        timeout.cancel();
        assert!(!timeout.pending());
        timeout.start();
        assert!(timeout.pending());
        assert!(catch::<Timeout, _>(forever).is_err_and(|caught| caught.is(&timeout)));
    });
}

#[test]
fn a_timeout_may_be_closed_and_cancelled_as_often_as_one_likes() {
    within(LIMIT, || {
        let timeout = Timeout::new(LONG);
        timeout.start();
        for _ in 0..2 {
            timeout.close();
            timeout.cancel();
        }
        assert!(!timeout.pending());
        assert_eq!(get_hub().stats().timers, 0);
    });
}

#[test]
fn a_scope_takes_over_a_timeout_that_runs() {
    within(LIMIT, || {
        let timeout = Timeout::new(ms(5));
        let start = Instant::now();
        timeout.start();
        assert_eq!(timeout.scope(forever), Err(TimedOut));
        assert!(start.elapsed() >= ms(5));
    });
}

#[test]
fn a_timeout_that_never_fires_is_never_pending_nor_used_up() {
    within(LIMIT, || {
        let never = Timeout::never();
        for _ in 0..2 {
            never.start();
            assert!(!never.pending());
            assert_eq!(never.scope(|| 5), Ok(5));
        }
        assert_eq!(get_hub().stats().timers, 0);
    });
}

#[test]
fn a_timeouts_text_tells_what_it_does() {
    within(LIMIT, || {
        let texts = [
            Timeout::new(Duration::from_secs(1)),
            Timeout::new(Duration::from_secs(2)),
            Timeout::new(ms(500)),
            Timeout::new(Duration::from_secs(1)).silent(),
            Timeout::new(Duration::from_secs(5)).exception("too slow"),
            Timeout::never(),
        ]
        .map(|timeout| timeout.to_string());
        let expected =
            ["1 second", "2 seconds", "0.5 seconds", "1 second (silent)", "5 seconds: too slow", ""];
        assert_eq!(texts, expected);
    });
}

#[test]
fn a_limit_lets_other_timeouts_through() {
    within(LIMIT, || {
        let outer = Timeout::new(ms(1));
        outer.start();
        let through = catch::<Timeout, _>(|| with_timeout(LONG, forever));
        assert!(through.is_err_and(|caught| caught.is(&outer)));
    });
}

#[test]
fn a_scope_that_is_over_leaves_no_timer() {
    within(LIMIT, || {
        assert_eq!(Timeout::new(LONG).scope(|| 5), Ok(5));
        assert_eq!(Timeout::new(ms(1)).scope(forever), Err(TimedOut));
        let left = catch::<&str, _>(|| Timeout::new(LONG).scope(|| -> () { ramie::raise("left") }));
        assert!(left.is_err());
        assert_eq!(get_hub().stats().timers, 0);
    });
}

// --- when -----------------------------------------------------------------------------------------------------------

#[test]
fn a_block_that_does_not_wait_is_never_interrupted() {
    within(LIMIT, || {
        let result = Timeout::new(ms(1)).scope(|| {
            busy(10);
            5
        });
        assert_eq!(result, Ok(5));
        // And nothing arrives after it.
        sleep(ms(2));
    });
}

#[test]
fn a_call_that_need_not_wait_delivers_no_timeout() {
    within(LIMIT, || {
        let (event, semaphore, g) = (Event::new(), Semaphore::new(1), spawn(|| 5));
        event.set();
        g.join();
        let result = Timeout::new(ms(1)).scope(|| {
            busy(10);
            event.wait();
            semaphore.acquire();
            g.join();
            yield_now();
        });
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn a_timeout_of_zero_lets_everything_queued_run_first() {
    within(LIMIT, || {
        let log = Log::new();
        let looper = log.clone();
        spawn(move || {
            for _ in 0..20 {
                yield_now();
            }
            looper.add("looped");
        });
        get_hub().run_callback(log.adder("callback"));
        assert_eq!(Timeout::new(Duration::ZERO).scope(forever), Err(TimedOut));
        log.expect("callback looped");
    });
}

#[test]
fn a_deadline_in_the_past_fires_like_zero() {
    within(LIMIT, || {
        let past = Instant::now();
        busy(2);
        assert_eq!(Timeout::at(past).scope(forever), Err(TimedOut));
    });
}

// --- nesting --------------------------------------------------------------------------------------------------------

#[test]
fn a_second_timeout_whose_scope_is_left_is_never_seen() {
    within(LIMIT, || {
        let start = Instant::now();
        let (outer, inner) = (Timeout::at(start + ms(1)), Timeout::at(start + ms(2)));
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            let seen = outer.scope(|| inner.scope(forever));
            body.add(format!("{seen:?}"));
            // Waits on, in the very iteration in which both were due.
            sleep(ms(1));
            body.add("slept");
        });
        yield_now();
        busy(10);
        g.join();
        log.expect("Err(TimedOut) slept");
        assert!(g.successful());
    });
}

#[test]
fn a_second_timeout_arrives_when_the_first_was_handled_and_the_owner_waits_on() {
    within(LIMIT, || {
        let g = spawn(|| {
            let start = Instant::now();
            let (outer, inner) = (Timeout::at(start + ms(2)), Timeout::at(start + ms(1)));
            let seen = outer.scope(|| {
                assert_eq!(inner.scope(forever), Err(TimedOut));
                forever();
            });
            seen.is_err()
        });
        yield_now();
        busy(10);
        assert_eq!(g.get().ok(), Some(true));
    });
}

#[test]
fn the_earlier_of_two_timeouts_due_together_comes_first_wherever_it_sits() {
    within(LIMIT, || {
        let (log, start) = (Log::new(), Instant::now());
        let bodies = [(1, 2), (2, 1)].map(|(outer, inner)| {
            let log = log.clone();
            spawn(move || {
                let seen = Timeout::at(start + ms(outer)).scope(|| {
                    let seen = Timeout::at(start + ms(inner)).scope(forever);
                    log.add(if seen.is_err() { "inner" } else { "none" });
                });
                if seen.is_err() {
                    log.add("outer");
                }
            })
        });
        yield_now();
        busy(10);
        joinall(&bodies);
        let mut words = log.words();
        words.sort_unstable();
        assert_eq!(words, ["inner", "outer"]);
    });
}

// --- races with what is waited for ----------------------------------------------------------------------------------

/// Runs `wait` in a greenlet, and `signal` by a timer of the iteration in which the limits of 10 ms
/// are due.
fn both_due(wait: impl FnOnce() -> bool + 'static, signal: impl FnOnce() + 'static) {
    let g = spawn(wait);
    yield_now();
    spawn_later(ms(5), signal);
    busy(30);
    assert_eq!(g.get().ok(), Some(true), "the limit won");
}

// Hazard 6: of all these gevent lets only the sleep win. Here what is satisfied when its time is
// over succeeds.

#[test]
fn a_sleep_beats_a_timeout_of_the_same_iteration() {
    within(LIMIT, || both_due(|| Timeout::new(ms(10)).scope(|| sleep(ms(10))).is_ok(), || ()));
}

#[test]
fn an_event_beats_a_timeout_of_the_same_iteration() {
    within(LIMIT, || {
        let event = Event::new();
        let waiter = event.clone();
        both_due(move || Timeout::new(ms(10)).scope(|| waiter.wait()).is_ok(), move || event.set());
    });
}

#[test]
fn a_permit_beats_a_limit_and_a_timeout_of_the_same_iteration() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let (limited, scoped) = (semaphore.clone(), semaphore.clone());
        let release = || {
            let semaphore = semaphore.clone();
            move || assert_eq!(semaphore.release(), 1)
        };
        both_due(move || limited.acquire_timeout(ms(10)), release());
        both_due(move || Timeout::new(ms(10)).scope(|| scoped.acquire()).is_ok(), release());
        assert_eq!(semaphore.counter(), 0);
    });
}

#[test]
fn the_end_of_a_greenlet_beats_a_limit_and_a_timeout_of_the_same_iteration() {
    within(LIMIT, || {
        let waits: [fn(Greenlet<i32>) -> bool; 4] = [
            |g| g.join_timeout(ms(10)),
            |g| g.get_timeout(ms(10)).is_ok(),
            |g| wait_timeout(&[g], ms(10)).len() == 1,
            |g| Timeout::new(ms(10)).scope(|| g.get()).is_ok(),
        ];
        for wait in waits {
            let g = spawn(|| {
                sleep(ms(5));
                5
            });
            both_due(move || wait(g), || ());
        }
    });
}

#[test]
fn a_greenlet_that_has_ended_beats_a_limit_although_its_links_are_still_queued() {
    within(LIMIT, || {
        let waits: [fn(Greenlet<i32>) -> bool; 3] = [
            |g| g.join_timeout(ms(10)),
            |g| g.get_timeout(ms(10)).is_ok(),
            |g| wait_timeout(&[g], ms(10)).len() == 1,
        ];
        for wait in waits {
            let event = Event::new();
            let waiter = event.clone();
            let g = spawn(move || {
                waiter.wait();
                5
            });
            // The event's pass is queued before the limit, and the greenlet's behind it.
            both_due(move || wait(g), move || event.set());
        }
    });
}

#[test]
fn a_wait_whose_limit_is_over_loses_nothing() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        assert!(!semaphore.acquire_timeout(ms(1)));
        assert_eq!((semaphore.release(), semaphore.linkcount()), (1, 0));
        let event = Event::new();
        assert!(!event.wait_timeout(ms(1)));
        event.set();
        assert!(event.wait_timeout(Duration::ZERO));
    });
}

// --- strays ---------------------------------------------------------------------------------------------------------

#[test]
fn a_timeout_whose_owner_has_ended_does_nothing() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        spawn(|| Timeout::new(ms(1)).start()).join();
        get_hub().join();
        errors.expect("");
    });
}

#[test]
fn a_timeout_whose_raw_owner_has_ended_is_reported() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let timeout = Timeout::new(ms(1));
        let clone = timeout.clone();
        let handle = spawn_raw(move || clone.start());
        get_hub().join();
        assert!(handle.dead());
        errors.expect("0.001 seconds");
    });
}

#[test]
fn a_timeout_never_cancelled_hits_whatever_its_owner_does_later() {
    within(LIMIT, || {
        let g = spawn(|| {
            let timeout = Timeout::new(ms(2));
            timeout.start();
            yield_now();
            catch::<Timeout, _>(|| sleep(LONG)).is_err()
        });
        assert_eq!(g.get().ok(), Some(true));
    });
}

#[test]
fn a_timeout_that_escapes_is_an_ordinary_failure() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = spawn(|| {
            let timeout = Timeout::new(ms(1));
            timeout.start();
            forever();
        });
        assert!(g.get().is_err_and(|failure| failure.is::<Timeout>()));
        assert!(!g.successful());
        errors.expect("0.001 seconds");
    });
}

#[test]
fn a_timeout_without_reference_does_not_keep_the_loop_alive() {
    within(LIMIT, || {
        let timeout = Timeout::new(LONG).keep_alive(false);
        timeout.start();
        assert!(catch::<LoopExit, _>(forever).is_err());
        timeout.close();
    });
}
