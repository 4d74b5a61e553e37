//! Sleeping, idling, waiting for several things, joining the hub, and where errors without a home
//! go.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::hub::{ErrorContext, idle, sleep_unref, spawn_raw};
use ramie::sync::{AsyncResult, Event, Semaphore};
use ramie::{
    Failure, JoinOptions, LoopExit, TimedOut, Timeout, Waitable, catch, get_hub, iwait, joinall,
    joinall_with, raise, sleep, spawn, spawn_later, wait, wait_timeout, yield_now,
};

use crate::util::log::Log;
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

// --- callbacks ------------------------------------------------------------------------------------------------------

#[test]
fn a_callback_is_pending_until_it_begins_and_active_until_it_returns() {
    within(LIMIT, || {
        let log = Log::new();
        let handle = Rc::new(RefCell::new(None::<ramie::hub::Callback>));
        let (own, seen) = (handle.clone(), log.clone());
        let callback = get_hub().run_callback(move || {
            let own = own.borrow();
            let own = own.as_ref().expect("the handle was put there before");
            seen.add(format!("{} {}", own.pending(), own.active()));
        });
        *handle.borrow_mut() = Some(callback.clone());
        assert!(callback.pending() && callback.active());
        yield_now();
        log.expect("false true");
        assert!(!callback.pending() && !callback.active());
    });
}

#[test]
fn a_stopped_callback_never_runs() {
    within(LIMIT, || {
        let log = Log::new();
        let callback = get_hub().run_callback(log.adder("ran"));
        callback.stop();
        assert!(!callback.pending() && !callback.active());
        yield_now();
        log.expect("");
    });
}

#[test]
fn a_callback_that_fails_is_reported_and_the_pass_goes_on() {
    within(LIMIT, || {
        let (log, errors) = (Log::new(), Log::of_errors());
        get_hub().run_callback(|| raise("raised"));
        get_hub().run_callback(|| panic!("panic"));
        get_hub().run_callback(log.adder("next"));
        yield_now();
        log.expect("next");
        errors.expect("raised panicked: panic");
    });
}

#[test]
fn leftovers_of_a_long_pass_keep_their_order() {
    within(LIMIT, || {
        let log = Log::new();
        get_hub().set_switch_interval(ms(1));
        spawn_later(Duration::ZERO, log.adder("timer"));
        for i in 0..120 {
            let log = log.clone();
            get_hub().run_callback(move || {
                thread::sleep(Duration::from_micros(50));
                log.add(i);
            });
        }
        get_hub().join();
        let words = log.words();
        let at = words.iter().position(|word| word == "timer").expect("the timer has fired");
        assert!((1..=50).contains(&at), "the clock is looked at after 50 items at the latest: {at}");
        let numbers = words.iter().filter_map(|word| word.parse::<i32>().ok());
        assert!(numbers.eq(0..120));
    });
}

// --- sleep and idle -------------------------------------------------------------------------------------------------

#[test]
fn a_sleep_of_zero_is_a_yield_and_does_not_poll() {
    within(LIMIT, || {
        sleep(ms(1));
        let before = get_hub().stats().iterations;
        for _ in 0..40 {
            sleep(Duration::ZERO);
        }
        assert_eq!(get_hub().stats().iterations, before);
        assert!(yields(|| sleep(Duration::ZERO)));
    });
}

#[test]
fn a_sleeper_without_reference_is_no_reason_to_wait() {
    within(LIMIT, || {
        assert!(catch::<LoopExit, _>(|| sleep_unref(LONG)).is_err());
        spawn(|| sleep_unref(LONG));
        get_hub().join();
        assert_eq!(get_hub().stats().greenlets, 1);
    });
}

#[test]
fn idle_waits_for_callbacks_and_due_timers() {
    within(LIMIT, || {
        let log = Log::new();
        let queued = log.clone();
        get_hub().run_callback(move || {
            queued.add("callback");
            get_hub().run_callback(queued.adder("nested"));
        });
        spawn_later(Duration::ZERO, log.adder("timer"));
        idle();
        log.add("idle");
        log.expect("callback nested timer idle");
    });
}

// --- wait, iwait, joinall -------------------------------------------------------------------------------------------

#[test]
fn nothing_is_linked_before_the_first_next_and_then_everything() {
    within(LIMIT, || {
        let semaphores = [Semaphore::new(1), Semaphore::new(0)];
        let mut ready = iwait(&semaphores).take(1);
        assert!(!yields(|| assert_eq!(semaphores[1].linkcount(), 0)));
        assert!(ready.next().is_some());
        assert_eq!(semaphores[1].linkcount(), 1);
        assert!(ready.next().is_none());
        drop(ready);
        assert_eq!(semaphores[1].linkcount(), 0);
    });
}

#[test]
fn what_is_ready_takes_one_turn_and_is_not_taken() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(1);
        assert!(yields(|| assert_eq!(wait(std::slice::from_ref(&semaphore)).len(), 1)));
        assert_eq!(semaphore.counter(), 1);
    });
}

#[test]
fn duplicates_are_yielded_once_each() {
    within(LIMIT, || {
        let g = spawn(|| 1);
        let twice = [g.clone(), g];
        assert_eq!(iwait(&twice).count(), 2);
        // Also when they have ended before.
        assert_eq!(iwait(&twice).count(), 2);
    });
}

#[test]
fn wait_returns_in_the_order_of_readiness() {
    within(LIMIT, || {
        let events = [Event::new(), Event::new(), Event::new()];
        let setters = events.clone();
        spawn(move || {
            for i in [2, 0, 1] {
                setters[i].set();
                yield_now();
            }
        });
        let mut ready = iwait(&events);
        let order: Vec<_> =
            std::iter::from_fn(|| ready.next().is_some().then(|| ready.last_index())).collect();
        assert_eq!(order, [Some(2), Some(0), Some(1)]);
    });
}

#[test]
fn wait_for_nothing_returns_at_once() {
    within(LIMIT, || {
        assert!(!yields(|| assert!(wait(&[] as &[Event]).is_empty())));
        let none = JoinOptions { count: Some(0), ..JoinOptions::default() };
        let greenlets = [spawn(|| sleep(LONG))];
        assert!(!yields(|| assert!(joinall_with(&greenlets, none).is_ok_and(|joined| joined.is_empty()))));
    });
}

#[test]
fn a_count_beyond_the_number_is_all() {
    within(LIMIT, || {
        let greenlets = [spawn(|| 1), spawn(|| 2)];
        let options = JoinOptions { count: Some(5), ..JoinOptions::default() };
        assert_eq!(joinall_with(&greenlets, options).map(|joined| joined.len()).ok(), Some(2));
    });
}

#[test]
fn a_limit_gives_a_partial_list_and_leaves_no_links() {
    within(LIMIT, || {
        let (fast, slow) = (spawn(|| 1), spawn(|| sleep(LONG)));
        let both: [&dyn Waitable; 2] = [&slow, &fast];
        assert_eq!(wait_timeout(&both, ms(2)).len(), 1);
        assert_eq!(slow.has_links(), 0);
    });
}

#[test]
fn a_limit_of_zero_still_goes_round_once() {
    within(LIMIT, || {
        let event = Event::new();
        event.set();
        assert_eq!(wait_timeout(&[event, Event::new()], Duration::ZERO).len(), 1);
    });
}

#[test]
fn a_timeout_around_wait_unlinks_everything() {
    within(LIMIT, || {
        let (event, semaphore, g) = (Event::new(), Semaphore::new(0), spawn(|| sleep(LONG)));
        let all: [&dyn Waitable; 3] = [&event, &semaphore, &g];
        assert_eq!(Timeout::new(ms(1)).scope(|| wait(&all).len()), Err(TimedOut));
        assert_eq!((semaphore.linkcount(), g.has_links()), (0, 0));
        assert!(format!("{event:?}").contains("links: 0"), "{event:?}");
    });
}

#[test]
fn an_interrupted_iteration_goes_on_where_it_was() {
    within(LIMIT, || {
        let events = [Event::new(), Event::new()];
        events[1].set();
        let mut ready = iwait(&events);
        assert!(ready.next().is_some());
        assert_eq!(Timeout::new(ms(1)).scope(|| ready.next().is_some()), Err(TimedOut));
        events[0].set();
        assert!(ready.next().is_some());
        assert_eq!(ready.last_index(), Some(0));
        assert!(ready.next().is_none() && ready.next().is_none());
    });
}

#[test]
fn a_killed_greenlet_is_no_error_of_joinall() {
    within(LIMIT, || {
        let g = spawn(|| sleep(LONG));
        g.kill();
        let options = JoinOptions { raise_error: true, ..JoinOptions::default() };
        assert!(joinall_with(&[g], options).is_ok());
    });
}

#[test]
fn joinall_with_a_limit_raises_for_what_failed_before() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let g = spawn(|| -> () { raise("no luck") });
        g.join();
        let options = JoinOptions { timeout: ms(5).into(), raise_error: true, ..JoinOptions::default() };
        assert!(joinall_with(&[g], options).is_err_and(|failure| failure.is::<&str>()));
    });
}

// --- the end of the loop --------------------------------------------------------------------------------------------

#[test]
fn joining_the_hub_ends_although_greenlets_are_suspended_for_ever() {
    within(LIMIT, || {
        let event = Event::new();
        let waiter = event.clone();
        let g = spawn(move || waiter.wait());
        get_hub().join();
        assert!(!g.ready());
        event.set();
        get_hub().join();
        assert!(g.dead());
    });
}

#[test]
#[should_panic(expected = "main greenlet")]
fn only_main_joins_the_hub() {
    within(LIMIT, || {
        let failure = spawn(|| get_hub().join()).get().expect_err("it panicked");
        panic!("{}", failure.panic_message().unwrap_or_default());
    });
}

#[test]
fn a_handle_for_other_threads_does_not_keep_the_loop_alive() {
    within(LIMIT, || {
        let remote = get_hub().remote();
        assert!(catch::<LoopExit, _>(|| Event::new().wait()).is_err());
        // With a guard main waits, and what arrives in time ends the wait.
        let _alive = get_hub().keep_alive();
        let (waiter, waker) = get_hub().waiter();
        let woken = thread::spawn(move || remote.post(|| ()).is_ok() && waker.wake());
        waiter.wait();
        assert!(woken.join().is_ok_and(|woken| woken));
    });
}

#[test]
fn the_hub_of_a_second_thread_tells_that_threads_main() {
    within(LIMIT, || {
        let thread = thread::spawn(|| catch::<LoopExit, _>(|| Event::new().wait()).is_err());
        assert!(thread.join().is_ok_and(|told| told));
    });
}

// --- errors ---------------------------------------------------------------------------------------------------------

#[test]
fn every_error_is_reported_with_its_context() {
    within(LIMIT, || {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = seen.clone();
        get_hub().set_error_handler(Some(Rc::new(move |context: &ErrorContext, failure: &Failure| {
            let kind = match context {
                ErrorContext::Greenlet(_) => "greenlet",
                ErrorContext::Raw(_) => "raw",
                ErrorContext::Callback => "callback",
                ErrorContext::Watcher(kind) => kind,
                ErrorContext::Link(Some(_)) => "link",
                ErrorContext::ObjectLink(kind) => kind,
                _ => "?",
            };
            log.borrow_mut().push(format!("{kind}:{failure}"));
        })));
        spawn(|| -> () { raise("1") });
        get_hub().run_callback(|| raise("2"));
        spawn_raw(|| raise("3"));
        let g = spawn(|| ());
        g.rawlink(|_| raise("4"));
        let event = Event::new();
        event.rawlink(Box::new(|| raise("5")));
        event.set();
        let timer = get_hub().timer(Duration::ZERO, Duration::ZERO);
        timer.start(|| raise("6")).expect("a timer needs no descriptor");
        get_hub().join();
        let mut seen = seen.take();
        seen.sort_unstable_by_key(|entry| entry.split(':').next_back().map(str::to_owned));
        assert_eq!(seen, ["greenlet:1", "callback:2", "raw:3", "link:4", "event:5", "timer:6"]);
    });
}

#[test]
fn an_error_handler_that_fails_changes_nothing() {
    within(LIMIT, || {
        get_hub().set_error_handler(Some(Rc::new(|_: &ErrorContext, _: &Failure| raise("handler"))));
        let g = spawn(|| -> () { raise("body") });
        assert!(g.get().is_err_and(|failure| failure.downcast_ref() == Some(&"body")));
        joinall(&[g]);
    });
}

// --- taking a result ------------------------------------------------------------------------------------------------

#[test]
fn one_of_those_who_take_a_result_gets_it() {
    struct Unique(u32);
    within(LIMIT, || {
        let result = AsyncResult::new();
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let result = result.clone();
                spawn(move || result.take().map(|unique: Unique| unique.0))
            })
            .collect();
        yield_now();
        assert_eq!(result.linkcount(), 3);
        result.set(Unique(5));
        let taken: Vec<_> = takers.iter().map(|taker| taker.take().expect("it ends well")).collect();
        assert!(matches!(taken[0], Ok(5)));
        assert!(taken[1..].iter().all(|other| other.as_ref().is_err_and(|failure| failure.is_taken())));
        assert!(result.ready() && result.successful() && result.exception().is_none());
        assert!(!yields(|| result.wait()), "it stays ready");
        result.set(Unique(6));
        assert!(result.take().is_ok_and(|unique| unique.0 == 6));
    });
}

#[test]
fn a_failure_is_there_for_all_who_take() {
    within(LIMIT, || {
        let result = AsyncResult::<u32>::new();
        result.set_exception("no luck");
        let failures = [(); 2].map(|()| result.take().expect_err("it failed"));
        assert!(failures[0].same(&failures[1]) && failures[0].is::<&str>());
        // A value counts even if a failure was set before, also once it is gone.
        result.set(5);
        assert_eq!(result.take().expect("there is a value"), 5);
        assert!(
            result.try_get().is_err_and(|error| error.failure().is_some_and(|failure| failure.is_taken()))
        );
        assert!(result.value().is_none());
    });
}

#[test]
fn a_value_that_is_being_cloned_is_not_to_be_had() {
    #[derive(Debug)]
    struct Slow(u32);
    impl Clone for Slow {
        fn clone(&self) -> Self {
            yield_now();
            Slow(self.0)
        }
    }
    within(LIMIT, || {
        let result = AsyncResult::new();
        result.set(Slow(5));
        let clones = result.clone();
        let clone = spawn(move || clones.get().expect("there is a value").0);
        yield_now();
        assert!(result.take().expect_err("it is in use").is_taken());
        assert_eq!(clone.get().expect("it ends well"), 5);
        assert_eq!(result.take().expect("it is still there").0, 5);
    });
}
