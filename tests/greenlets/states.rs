//! The reported state of a greenlet at every point, its start and end, and the order of its links.
//!
//! The rules are those of gevent's greenlets; the kills and the timeouts have files of their own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::hub::{BlockingSwitchOutError, ErrorContext};
use ramie::sync::Event;
use ramie::{
    AnyGreenlet, Failure, Greenlet, GreenletExit, LoopExit, catch, fallible, get_hub, getcurrent, joinall,
    raise, sleep, spawn, spawn_later, wait, yield_now,
};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A row of the state table: what of it is true, the value, and what the error says.
#[track_caller]
fn assert_state(g: &Greenlet<i32>, truths: &str, value: Option<i32>, error: Option<&str>) {
    let all =
        [(g.started(), "started"), (g.dead(), "dead"), (g.ready(), "ready"), (g.successful(), "successful")];
    let now: Vec<_> = all.iter().filter(|(truth, _)| *truth).map(|(_, name)| *name).collect();
    assert_eq!(now.join(" "), truths);
    assert_eq!(g.value(), value);
    assert_eq!(g.exception().map(|failure| failure.to_string()).as_deref(), error);
}

/// Returns `true` if it ended by a plain kill, with the exception that `get` returns, as there is
/// no value.
fn ended_by_exit(g: &Greenlet<i32>) -> bool {
    g.try_get().is_err_and(|error| error.failure().is_some_and(Failure::is_exit))
}

// --- the state table ------------------------------------------------------------------------------------------------

#[test]
fn b_05_created() {
    within(LIMIT, || {
        let g = Greenlet::new(|| 5);
        assert_state(&g, "", None, None);
        assert!(g.try_get().is_err_and(|error| error.is_timeout()));
    });
}

#[test]
fn b_05_started_but_not_run() {
    within(LIMIT, || {
        assert_state(&spawn(|| 5), "started", None, None);
        assert_state(&spawn_later(LONG, || 5), "started", None, None);
        let delayed = spawn_later(LONG, || 5);
        sleep(ms(1));
        assert_state(&delayed, "started", None, None);
    });
}

#[test]
fn b_05_running() {
    within(LIMIT, || {
        let g = spawn(|| {
            let this = getcurrent().downcast::<i32>().expect("the body's result is an i32");
            assert_state(&this, "started", None, None);
            5
        });
        assert_eq!(g.get().ok(), Some(5));
    });
}

#[test]
fn b_05_blocked() {
    within(LIMIT, || {
        let g = spawn(|| {
            sleep(LONG);
            5
        });
        yield_now();
        assert_state(&g, "started", None, None);
    });
}

#[test]
fn b_05_returned() {
    within(LIMIT, || {
        let g = spawn(|| 5);
        g.join();
        assert_state(&g, "dead ready successful", Some(5), None);
    });
}

#[test]
fn b_05_raised() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let raised = spawn(|| raise("no luck"));
        let returned = spawn(fallible(|| Err("no luck")));
        joinall(&[raised.clone(), returned.clone()]);
        assert_state(&raised, "dead ready", None, Some("no luck"));
        assert_state(&returned, "dead ready", None, Some("no luck"));
    });
}

#[test]
fn b_05_panicked() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let g = spawn(|| panic!("no luck"));
        g.join();
        assert_state(&g, "dead ready", None, Some("panicked: no luck"));
    });
}

#[test]
fn b_05_left_by_exit() {
    within(LIMIT, || {
        let itself = spawn(|| raise(GreenletExit));
        let killed = spawn(|| {
            sleep(LONG);
            5
        });
        yield_now();
        killed.kill();
        for g in [itself, killed] {
            assert_state(&g, "dead ready successful", None, None);
            assert!(ended_by_exit(&g));
        }
    });
}

#[test]
fn b_05_killed_before_its_first_turn() {
    within(LIMIT, || {
        for g in [Greenlet::new(|| 5), spawn(|| 5), spawn_later(ms(1), || 5)] {
            g.kill();
            assert_state(&g, "dead ready successful", None, None);
            assert!(ended_by_exit(&g));
        }
    });
}

#[test]
fn b_05_killed_with_an_error_before_its_first_turn() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        for g in [Greenlet::new(|| 5), spawn(|| 5), spawn_later(ms(1), || 5)] {
            g.kill_with("no luck");
            assert_state(&g, "dead ready", None, Some("no luck"));
        }
        // A kill with anything but the plain exception is reported.
        errors.expect("no luck no luck no luck");
    });
}

// --- starting and ending --------------------------------------------------------------------------------------------

#[test]
fn a_delay_of_zero_is_over_after_everything_spawned_in_the_turn() {
    within(LIMIT, || {
        let log = Log::new();
        let delayed = spawn_later(Duration::ZERO, log.adder("later"));
        spawn(log.adder("now"));
        spawn(log.adder("too"));
        delayed.join();
        log.expect("now too later");
    });
}

#[test]
fn a_start_does_not_shorten_a_delay() {
    within(LIMIT, || {
        let start = Instant::now();
        let g = spawn_later(ms(5), || ());
        g.start();
        g.join();
        assert!(start.elapsed() >= ms(5));
    });
}

#[test]
fn a_delayed_start_keeps_the_loop_alive() {
    within(LIMIT, || {
        let g = spawn_later(ms(1), || ());
        get_hub().join();
        assert!(g.dead());
    });
}

#[test]
fn joining_what_was_never_started_is_a_loop_exit() {
    within(LIMIT, || {
        let g = Greenlet::new(|| ());
        assert!(catch::<LoopExit, _>(|| g.join()).is_err());
        assert_eq!(g.has_links(), 0);
    });
}

#[test]
fn a_failure_is_reported_at_death_before_the_links() {
    within(LIMIT, || {
        let log = Log::new();
        let handler = log.clone();
        get_hub().set_error_handler(Some(Rc::new(move |context: &ErrorContext, failure: &Failure| {
            assert!(matches!(context, ErrorContext::Greenlet(g) if g.ready()));
            handler.add(format!("report:{failure}"));
        })));
        let g = spawn(fallible(|| Err::<(), _>("no-luck")));
        g.rawlink(log.linker("link"));
        // Reported although a waiter gets it and handles it.
        assert!(g.get().is_err());
        log.expect("report:no-luck link");
    });
}

#[test]
fn a_plain_kill_is_not_reported() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        spawn(|| raise(GreenletExit)).join();
        let g = spawn(|| sleep(LONG));
        yield_now();
        g.kill();
        errors.expect("");
    });
}

#[test]
fn a_body_is_dropped_at_the_end_although_handles_live() {
    within(LIMIT, || {
        let token = Rc::new(());
        let held = token.clone();
        let g = spawn(move || Rc::strong_count(&held));
        assert_eq!(g.get().ok(), Some(2));
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

#[test]
fn everybody_gets_the_same_failure() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let g = spawn(|| panic!("no luck"));
        let getters = [g.clone(), g.clone()].map(|g: Greenlet<()>| spawn(move || g.get()));
        let failures =
            getters.map(|getter| getter.take().expect("getting does not fail").expect_err("it panicked"));
        assert!(failures[0].same(&failures[1]));
        assert!(g.exception().is_some_and(|failure| failure.same(&failures[0])));
    });
}

#[test]
fn get_that_expires_leaves_the_target_alone() {
    within(LIMIT, || {
        let event = Event::new();
        let may_end = event.clone();
        let g = spawn(move || {
            may_end.wait();
            5
        });
        assert!(g.get_timeout(ms(1)).is_err_and(|error| error.is_timeout()));
        assert_eq!(g.has_links(), 0);
        event.set();
        assert_eq!(g.get().ok(), Some(5));
    });
}

// --- links ----------------------------------------------------------------------------------------------------------

#[test]
fn a_raw_link_must_not_wait_and_its_error_stops_no_other() {
    within(LIMIT, || {
        let log = Log::new();
        let contexts = Rc::new(RefCell::new(Vec::new()));
        let seen = contexts.clone();
        get_hub().set_error_handler(Some(Rc::new(move |context: &ErrorContext, failure: &Failure| {
            seen.borrow_mut().push((context.clone(), failure.clone()));
        })));
        let g = spawn(|| 1);
        g.rawlink(|_| sleep(ms(1)));
        g.rawlink(|_| raise("second"));
        g.rawlink(log.linker("third"));
        g.join();
        log.expect("third");
        let contexts = contexts.take();
        assert!(contexts[0].1.is::<BlockingSwitchOutError>());
        assert!(contexts[1].1.is::<&str>());
        assert_eq!(contexts.len(), 2);
        assert!(
            contexts.iter().all(|(context, _)| matches!(context, ErrorContext::Link(Some(of)) if of.is(&g)))
        );
    });
}

#[test]
fn a_link_runs_in_a_raw_greenlet_of_its_own() {
    within(LIMIT, || {
        let log = Log::new();
        let linked = log.clone();
        let g = spawn(|| 1);
        g.link(move |g| {
            let this = getcurrent();
            linked.add(this.is_raw() && !this.is(g));
        });
        g.join();
        log.expect("true");
    });
}

#[test]
fn links_for_values_and_for_exceptions_share_the_order() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let all = |g: &AnyGreenlet| {
            let log = Log::new();
            g.link_exception(log.linker("exception"));
            g.link(log.linker("any"));
            g.link_value(log.linker("value"));
            g.rawlink(log.linker("raw"));
            g.join();
            log.words().join(" ")
        };
        assert_eq!(all(&spawn(|| 1)), "any value raw");
        assert_eq!(all(&spawn(|| -> () { raise("no luck") })), "exception any raw");
        assert_eq!(all(&spawn(|| -> () { raise(GreenletExit) })), "any value raw");
    });
}

#[test]
fn a_link_added_twice_is_called_twice() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(|| 1);
        g.link(log.linker("again"));
        g.link(log.linker("again"));
        assert_eq!(g.has_links(), 2);
        g.join();
        log.expect("again again");
        assert_eq!(g.has_links(), 0);
    });
}

#[test]
fn waiters_count_as_links() {
    within(LIMIT, || {
        let g = spawn(|| sleep(ms(2)));
        let waiters = [g.clone(), g.clone()].map(|g| spawn(move || g.join()));
        g.link(|_| ());
        yield_now();
        assert_eq!(g.has_links(), 3);
        joinall(&waiters);
        assert_eq!(g.has_links(), 0);
    });
}

#[test]
fn unlink_all_calls_off_everything() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(|| sleep(ms(1)));
        g.link(log.linker("link"));
        g.rawlink(log.linker("raw"));
        let (of, waiter) = (g.clone(), log.clone());
        let waiter = spawn(move || waiter.add(of.join_timeout(ms(5))));
        yield_now();
        g.unlink_all();
        assert_eq!(g.has_links(), 0);
        waiter.join();
        // The waiter was woken by its limit, and then saw that the greenlet had ended.
        log.expect("true");
    });
}

#[test]
fn a_link_may_remove_all_that_follow() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(|| 1);
        let first = log.clone();
        g.rawlink(move |g| {
            first.add("first");
            g.unlink_all();
        });
        g.link(log.linker("second"));
        g.rawlink(log.linker("third"));
        get_hub().join();
        log.expect("first");
    });
}

#[test]
fn a_link_added_by_main_in_the_midst_of_a_pass_runs_before_what_is_queued() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(|| 1);
        g.join();
        // Main was resumed by the pass, which is not over yet.
        get_hub().run_callback(log.adder("callback"));
        g.link(log.linker("link"));
        log.add("main");
        yield_now();
        log.expect("main link callback");
    });
}

#[test]
fn waiting_for_what_has_ended_takes_one_turn() {
    within(LIMIT, || {
        let g = spawn(|| 1);
        g.join();
        sleep(ms(1));
        let log = Log::new();
        spawn(log.adder("other"));
        assert_eq!(wait(std::slice::from_ref(&g)).len(), 1);
        log.expect("other");
    });
}

#[test]
fn forgetting_a_greenlet_does_not_stop_it_nor_its_links() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            sleep(ms(1));
            body.add("body");
        });
        g.link(log.linker("link"));
        drop(g);
        get_hub().join();
        log.expect("body link");
    });
}
