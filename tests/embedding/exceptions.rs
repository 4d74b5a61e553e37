//! Exceptions for the main greenlet while it runs an iteration: raised by the call, and nothing else
//! is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::Next;
use ramie::{
    GreenletExit, SystemExit, TimedOut, catch, get_hub, raise, sleep, spawn, with_timeout, yield_now,
};

use crate::driver::Driver;
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(2);

/// Runs iterations until nothing is left. Returns the codes of the exits that they raise.
fn exits() -> Vec<i32> {
    let mut codes = Vec::new();
    loop {
        match catch::<SystemExit, _>(|| get_hub().poll_once()) {
            Ok(Next::Now) => {}
            Ok(Next::At(deadline)) => thread::sleep(deadline.saturating_duration_since(Instant::now())),
            Ok(Next::Idle) => return codes,
            Err(exit) => codes.push(exit.0),
        }
    }
}

#[test]
fn a_system_exit_of_a_callback_goes_to_main_and_the_rest_of_the_queue_stays() {
    within(LIMIT, || {
        let log = Log::new();
        Log::of_errors();
        spawn(log.adder("before"));
        spawn(|| raise(SystemExit(3)));
        spawn(log.adder("between"));
        spawn(|| raise(SystemExit(4)));
        spawn(log.adder("after"));
        let first = catch::<SystemExit, _>(|| get_hub().poll_once()).unwrap_err();
        assert_eq!(first.0, 3);
        assert_eq!(log.take(), ["before"]);
        assert_eq!(exits(), [4]);
        assert_eq!(log.take(), ["between", "after"]);
    });
}

#[test]
fn a_system_exit_among_the_events_leaves_the_others_to_the_next_iteration() {
    within(LIMIT, || {
        let log = Log::new();
        Log::of_errors();
        for number in 0..6 {
            let log = log.clone();
            spawn(move || {
                sleep(SHORT);
                if number % 2 == 1 {
                    raise(SystemExit(number));
                }
                log.add(number);
            });
        }
        assert_eq!(exits(), [1, 3, 5]);
        assert_eq!(log.take(), ["0", "2", "4"]);
        assert!(get_hub().greenlets().is_empty());
    });
}

#[test]
fn a_kill_of_main_ends_the_call() {
    within(LIMIT, || {
        let log = Log::new();
        let after = log.clone();
        spawn(move || {
            get_hub().main().kill_nowait();
            after.add("killer");
            yield_now();
            after.add("killer goes on");
        });
        spawn(log.adder("other"));
        assert_eq!(get_hub().poll_once(), Next::Now);
        let killed = catch::<GreenletExit, _>(|| get_hub().poll_once());
        assert!(killed.is_err());
        while get_hub().poll_once() != Next::Idle {}
        assert_eq!(log.take(), ["killer", "other", "killer goes on"]);
    });
}

#[test]
fn an_exception_thrown_between_two_iterations_is_raised_by_the_next() {
    within(LIMIT, || {
        let g = spawn(|| 5);
        get_hub().main().kill_with(ramie::Kill::new("stop").nowait());
        let stopped = catch::<&str, _>(|| get_hub().poll_once()).unwrap_err();
        assert_eq!(*stopped, "stop");
        assert_eq!(get_hub().poll_once(), Next::Idle);
        assert_eq!(g.get().unwrap(), 5);
    });
}

#[test]
fn a_timeout_around_iterations_ends_them() {
    within(LIMIT, || {
        let g = spawn(|| {
            loop {
                sleep(SHORT);
            }
        });
        let late = with_timeout(5 * SHORT, || -> () {
            loop {
                let next = get_hub().poll_once();
                thread::sleep(next.timeout(Instant::now()).expect("two timers are running"));
            }
        });
        assert_eq!(late, Err(TimedOut));
        assert!(!g.dead());
        g.kill();
        assert_eq!(get_hub().poll_once(), Next::Idle);
    });
}

#[test]
fn an_exception_that_is_swallowed_is_raised_once_more() {
    within(LIMIT, || {
        get_hub().main().kill_nowait();
        // Code that catches every panic and looks at none.
        assert!(catch_unwind(AssertUnwindSafe(|| get_hub().poll_once())).is_err());
        assert!(catch::<GreenletExit, _>(|| get_hub().poll_once()).is_err());
        assert_eq!(get_hub().poll_once(), Next::Idle);
    });
}

#[test]
fn the_driver_is_told_of_what_an_exception_leaves() {
    within(LIMIT, || {
        Log::of_errors();
        let log = Log::new();
        let driver = Driver::set();
        assert_eq!(get_hub().poll_once(), Next::Idle);
        spawn(|| raise(SystemExit(1)));
        spawn(log.adder("after"));
        assert_eq!(driver.take(), 1);
        assert!(catch::<SystemExit, _>(|| get_hub().poll_once()).is_err());
        assert_eq!(driver.take(), 1, "a greenlet is still queued");
        while get_hub().poll_once() != Next::Idle {}
        assert_eq!(log.take(), ["after"]);
        // An exception that leaves nothing behind is nothing to tell.
        get_hub().main().kill_nowait();
        assert_eq!(driver.take(), 1);
        assert!(catch::<GreenletExit, _>(|| get_hub().poll_once()).is_err());
        while get_hub().poll_once() != Next::Idle {}
        driver.take();
        spawn(|| {});
        assert_eq!(driver.take(), 1, "armed again");
    });
}
