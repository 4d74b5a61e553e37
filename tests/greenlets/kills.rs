//! The effects of a kill on its target, its killer and every greenlet in between, rule by rule.

use std::time::{Duration, Instant};

use ramie::hub::{BlockingSwitchOutError, spawn_raw};
use ramie::sync::{Event, Semaphore};
use ramie::{
    Greenlet, GreenletExit, Kill, LoopExit, TimedOut, catch, get_hub, getcurrent, joinall, killall,
    killall_with, raise, sleep, spawn, spawn_later, yield_now,
};

use crate::util::log::Log;
use crate::util::sleepers::{asleep, interrupted};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `f` and returns `true` if others ran during the call.
fn yields(f: impl FnOnce()) -> bool {
    let log = Log::new();
    spawn(log.adder("other"));
    f();
    !log.is_empty()
}

// --- where nothing has to be thrown ---------------------------------------------------------------------------------

#[test]
fn a_kill_forbids_every_later_start() {
    within(LIMIT, || {
        let log = Log::new();
        let g = Greenlet::new(log.adder("ran"));
        g.kill();
        g.start();
        g.start_later(Duration::ZERO);
        sleep(ms(1));
        log.expect("");
    });
}

#[test]
fn a_kill_cancels_a_delayed_start() {
    within(LIMIT, || {
        let g = spawn_later(LONG, || ());
        assert_eq!(get_hub().stats().timers, 1);
        g.kill();
        assert_eq!(get_hub().stats().timers, 0);
        get_hub().join();
    });
}

#[test]
fn a_kill_of_what_never_ran_does_not_yield() {
    within(LIMIT, || {
        let (created, started) = (Greenlet::new(|| ()), spawn(|| ()));
        assert!(!yields(|| created.kill()));
        assert!(!yields(|| started.kill()));
        assert!(created.dead() && started.dead());
    });
}

#[test]
fn a_kill_of_what_has_ended_changes_nothing_and_does_not_yield() {
    within(LIMIT, || {
        let g = spawn(|| 5);
        g.join();
        assert!(!yields(|| assert!(g.kill_with("too late"))));
        assert_eq!(g.get().ok(), Some(5));
    });
}

// --- delivery -------------------------------------------------------------------------------------------------------

#[test]
fn what_ends_in_its_extra_turn_is_never_hit() {
    within(LIMIT, || {
        let event = Event::new();
        let waiter = event.clone();
        let g = spawn(move || {
            waiter.wait();
            5
        });
        yield_now();
        event.set();
        g.kill();
        assert_eq!(g.get().ok(), Some(5));
    });
}

#[test]
fn a_waiter_killed_before_the_wake_up_leaves_it_to_the_next() {
    within(LIMIT, || {
        let log = Log::new();
        let semaphore = Semaphore::new(0);
        let waiters = ["first", "second"].map(|name| {
            let (log, semaphore) = (log.clone(), semaphore.clone());
            spawn(move || {
                semaphore.acquire();
                log.add(name);
            })
        });
        yield_now();
        waiters[0].kill_nowait();
        semaphore.release();
        waiters[1].join();
        log.expect("second");
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (0, 0));
    });
}

#[test]
fn a_waiter_killed_after_the_wake_up_has_it_and_is_hit_at_its_next_wait() {
    within(LIMIT, || {
        let log = Log::new();
        let semaphore = Semaphore::new(0);
        let (body, permits) = (log.clone(), semaphore.clone());
        let g = spawn(move || {
            permits.acquire();
            body.add("acquired");
            sleep(LONG);
        });
        yield_now();
        semaphore.release();
        g.kill();
        log.expect("acquired");
        assert_eq!(semaphore.counter(), 0);
        assert!(g.successful());
    });
}

#[test]
fn two_kills_without_waiting_are_delivered_twice() {
    within(LIMIT, || {
        let g = spawn(|| [interrupted(), interrupted()]);
        yield_now();
        g.kill_with(Kill::new("first").nowait());
        g.kill_nowait();
        assert_eq!(g.get().ok(), Some(["first".to_owned(), "greenlet exit".to_owned()]));
    });
}

#[test]
fn the_target_gets_the_very_exception() {
    within(LIMIT, || {
        let exception = ramie::Exception::new("mine");
        let g = spawn(|| catch::<&str, _>(|| sleep(LONG)).map_err(|caught| caught.into_exception()));
        yield_now();
        g.kill_with(exception.clone());
        let caught = g.take().expect("it returned").expect_err("it was hit");
        assert!(caught.same(&exception));
    });
}

// --- what the target makes of it ------------------------------------------------------------------------------------

#[test]
fn a_kill_that_is_caught_waits_for_the_natural_end() {
    within(LIMIT, || {
        let g = spawn(|| {
            let what = interrupted();
            sleep(ms(5));
            what
        });
        yield_now();
        let start = Instant::now();
        g.kill();
        assert!(g.dead() && start.elapsed() >= ms(5));
        // A value returned after all is the result.
        assert_eq!(g.get().ok().as_deref(), Some("greenlet exit"));
        assert!(g.successful());
    });
}

#[test]
fn another_error_raised_instead_is_the_failure() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = spawn(|| {
            interrupted();
            raise::<&str>("replaced")
        });
        g.link_exception(|_: &Greenlet<()>| ());
        yield_now();
        g.kill();
        assert!(!g.successful());
        assert!(g.exception().is_some_and(|failure| failure.downcast_ref() == Some(&"replaced")));
        errors.expect("replaced");
    });
}

#[test]
fn a_kill_with_an_error_fails_the_target_and_not_the_killer() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = asleep();
        g.kill_with("no luck");
        assert!(g.dead() && !g.successful());
        assert!(g.get().is_err_and(|failure| failure.downcast_ref() == Some(&"no luck")));
        errors.expect("no luck");
    });
}

// --- killers --------------------------------------------------------------------------------------------------------

#[test]
fn killing_oneself_raises_out_of_the_call() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            body.add("before");
            let caught = catch::<GreenletExit, _>(|| getcurrent().kill());
            body.add(caught.is_err());
            getcurrent().kill_with("for good");
            body.add("after");
        });
        let _errors = Log::of_errors();
        g.join();
        log.expect("before true");
        assert!(g.exception().is_some_and(|failure| failure.downcast_ref() == Some(&"for good")));
    });
}

#[test]
fn killing_oneself_without_waiting_raises_at_the_next_wait() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            getcurrent().kill_nowait();
            body.add("continues");
            yield_now();
            body.add("after");
        });
        g.join();
        log.expect("continues");
        assert!(g.successful());
    });
}

#[test]
fn a_link_may_kill() {
    within(LIMIT, || {
        let log = Log::new();
        let victim = asleep();
        let g = spawn(|| ());
        let (of, linked) = (victim.clone(), log.clone());
        g.link(move |_| {
            of.kill();
            linked.add(of.dead());
        });
        victim.join();
        yield_now();
        log.expect("true");
    });
}

#[test]
fn a_kill_from_the_hub_is_an_error_but_the_target_dies() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = asleep();
        let victim = g.clone();
        get_hub().run_callback(move || victim.kill());
        g.join();
        assert!(g.dead() && g.successful());
        errors.expect(&BlockingSwitchOutError.to_string());
    });
}

#[test]
fn a_kill_from_the_hub_without_waiting_is_fine() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = asleep();
        let victim = g.clone();
        get_hub().run_callback(move || victim.kill_nowait());
        g.join();
        assert!(g.successful());
        errors.expect("");
    });
}

#[test]
fn main_can_be_killed_and_nobody_waits_for_that() {
    within(LIMIT, || {
        let (log, main) = (Log::new(), getcurrent());
        let killer = log.clone();
        spawn(move || {
            main.kill_with("enough");
            killer.add("returned");
        });
        let caught = catch::<&str, _>(|| sleep(LONG)).expect_err("main is hit at its wait");
        assert_eq!(*caught, "enough");
        log.expect("returned");
        yield_now();
    });
}

#[test]
fn main_that_kills_itself_raises_out_of_the_call() {
    within(LIMIT, || {
        assert!(catch::<GreenletExit, _>(|| getcurrent().kill()).is_err());
    });
}

// --- limits ---------------------------------------------------------------------------------------------------------

#[test]
fn a_limit_of_zero_still_delivers() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            body.add(interrupted());
            sleep(LONG);
        });
        yield_now();
        assert!(!g.kill_with(Kill::default().timeout(Duration::ZERO)));
        log.expect("greenlet exit");
        assert!(!g.dead());
        assert!(g.kill_with(Kill::default().timeout(Duration::ZERO)));
    });
}

#[test]
fn killall_reports_that_its_time_is_over() {
    within(LIMIT, || {
        let survivor = spawn(|| {
            interrupted();
            sleep(LONG);
        });
        let greenlets = [asleep(), survivor];
        assert_eq!(killall_with(&greenlets, Kill::new(GreenletExit).timeout(ms(2))), Err(TimedOut));
        assert!(greenlets[0].dead() && !greenlets[1].dead());
        assert_eq!(killall_with(&greenlets, Kill::new(GreenletExit).timeout(LONG)), Ok(()));
    });
}

#[test]
fn killall_of_what_never_ran_neither_waits_nor_expires() {
    within(LIMIT, || {
        let (log, _errors) = (Log::new(), Log::of_errors());
        let greenlets = [spawn(log.adder("ran")), spawn(log.adder("ran"))];
        assert!(!yields(|| assert_eq!(
            killall_with(&greenlets, Kill::new("error").timeout(Duration::ZERO)),
            Ok(())
        )));
        assert!(greenlets.iter().all(|g| g.dead()));
        yield_now();
        log.expect("");
        assert!(!yields(|| killall(&[] as &[Greenlet<()>])));
    });
}

#[test]
fn killall_hits_one_after_another_in_a_single_turn() {
    within(LIMIT, || {
        let log = Log::new();
        let greenlets = ["a", "b"].map(|name| {
            let log = log.clone();
            spawn(move || {
                interrupted();
                log.add(format!("{name}-hit"));
                yield_now();
                log.add(format!("{name}-end"));
            })
        });
        yield_now();
        get_hub().run_callback(log.adder("before"));
        killall_with(&greenlets, Kill::new("error").nowait()).unwrap();
        get_hub().run_callback(log.adder("behind"));
        joinall(&greenlets);
        log.expect("before a-hit b-hit behind a-end b-end");
    });
}

#[test]
fn killall_may_include_the_caller() {
    within(LIMIT, || {
        let other = asleep();
        let of = other.clone();
        let g = spawn(move || {
            let both = [getcurrent(), of.as_any().clone()];
            catch::<&str, _>(|| killall_with(&both, "all")).is_err()
        });
        let _errors = Log::of_errors();
        assert_eq!(g.get().ok(), Some(true));
        other.join();
        assert!(!other.successful(), "the caller's interruption does not take the other's kill back");
    });
}

// --- throw ----------------------------------------------------------------------------------------------------------

#[test]
fn a_throw_goes_before_everything_queued() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || body.add(interrupted()));
        yield_now();
        spawn(log.adder("queued"));
        g.throw("now");
        log.add("main");
        yield_now();
        log.expect("now main queued");
    });
}

#[test]
fn a_throw_from_the_hub_is_delivered_at_once() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || body.add(interrupted()));
        yield_now();
        let victim = g.clone();
        get_hub().run_callback(move || victim.throw("now"));
        spawn(log.adder("queued"));
        yield_now();
        log.expect("now queued");
    });
}

#[test]
fn a_raw_greenlet_can_be_killed_where_it_waits() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let raw = spawn_raw(move || body.add(interrupted()));
        yield_now();
        raw.kill();
        log.expect("greenlet exit");
        assert!(raw.dead());
    });
}

#[test]
fn a_kill_interrupts_a_wait_that_nobody_could_end() {
    within(LIMIT, || {
        let g = spawn(|| Event::new().wait());
        assert!(catch::<LoopExit, _>(|| g.join()).is_err());
        g.kill();
        assert!(g.dead());
    });
}
