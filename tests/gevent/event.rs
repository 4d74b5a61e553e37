//! gevent's tests of events and results (`test__event.py`), restated.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::idle;
use ramie::sync::{AsyncResult, Event};
use ramie::{
    GetError, Greenlet, Timeout, Waitable, catch, fallible, get_hub, iwait, sleep, spawn, wait, wait_timeout,
    with_timeout, yield_now,
};

use crate::util::generic_waits::{
    ended_by_a_timeout_of_the_callers, ended_by_a_timeout_with_an_error_of_its_own, expires_with_an_error,
    outer_timeout_is_not_lost, returns_after_its_timeout,
};
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// The action of a greenlet on an event, and its log entry.
type Move = (&'static str, fn(&Event));

/// gevent's WAIT battery.
fn wait_battery(operation: impl Fn(Duration)) {
    returns_after_its_timeout(&operation);
    outer_timeout_is_not_lost(&operation);
}

// --- Event --------------------------------------------------------------------------------------------------------

/// gevent: `TestEventWait`, WAIT.
#[test]
fn waiting_for_an_event_passes_the_wait_battery() {
    within(LIMIT, || wait_battery(|limit| assert!(!Event::new().wait_timeout(limit))));
}

/// gevent: `TestGeventWaitOnEvent`, WAIT.
#[test]
fn waiting_for_a_list_with_an_event_passes_the_wait_battery() {
    within(LIMIT, || wait_battery(|limit| assert!(wait_timeout(&[Event::new()], limit).is_empty())));
}

/// gevent: `TestGeventWaitOnEvent::test_set_during_wait`.
#[test]
fn an_event_cleared_by_who_was_told_is_not_reported_again() {
    within(LIMIT, || {
        let event = Event::new();
        let g = spawn({
            let event = event.clone();
            move || {
                assert_eq!(wait(std::slice::from_ref(&event)).len(), 1);
                event.clear();
                (wait_timeout(std::slice::from_ref(&event), SHORT).len(), event.wait_timeout(SHORT))
            }
        });
        yield_now();
        event.set();
        // It may be the very object that the pass still runs for.
        assert!(event.wait_timeout(LONG));
        assert_eq!(g.get().unwrap(), (0, false));
        assert_eq!(event.linkcount(), 0);
    });
}

/// The same for a waiter that comes between the clearing and the pass that the setting has queued.
#[test]
fn who_waits_after_an_event_was_cleared_is_not_told_of_the_setting_before() {
    within(LIMIT, || {
        let event = Event::new();
        let waiter = spawn({
            let event = event.clone();
            move || event.wait_timeout(LONG)
        });
        yield_now();
        event.set();
        event.clear();
        assert!(!event.wait_timeout(SHORT));
        assert!(waiter.ready() && waiter.get().unwrap());
        assert_eq!(event.linkcount(), 0);
    });
}

/// A waiter that finds the event set and yet waits, because a notification is running, is woken as
/// well, whatever the other waiters do.
#[test]
fn who_waits_on_a_set_event_is_told_although_others_clear_it() {
    within(LIMIT, || {
        let log = Log::new();
        let event = Event::new();
        let (first, notes) = (event.clone(), log.clone());
        spawn(move || {
            first.wait();
            notes.add("first");
        });
        yield_now();
        let setter = event.clone();
        spawn(move || setter.set());
        // Both are late; the first of them is late a second time, before the second one clears the
        // event.
        let (again, notes) = (event.clone(), log.clone());
        let again = spawn(move || {
            again.wait();
            notes.add("late");
            again.wait();
            notes.add("late-again");
        });
        let (clears, notes) = (event.clone(), log.clone());
        spawn(move || {
            clears.wait();
            clears.clear();
            notes.add("cleared");
        });
        assert!(again.join_timeout(Duration::from_secs(1)), "{:?}", log.words());
        log.expect("first late cleared late-again");
    });
}

/// A waiter that comes during the notification of an earlier setting is woken by the next setting,
/// however short that is.
#[test]
fn an_event_set_for_a_moment_while_others_are_told_is_not_missed() {
    within(LIMIT, || {
        let log = Log::new();
        let event = Event::new();
        let moves: [Move; 3] = [
            ("cleared", |event| event.clear()),
            ("waited", |event| event.wait()),
            ("pulsed", |event| {
                event.set();
                event.clear();
            }),
        ];
        let greenlets = moves.map(|(word, action)| {
            let (log, event) = (log.clone(), event.clone());
            spawn(move || {
                event.wait();
                action(&event);
                log.add(word);
            })
        });
        yield_now();
        event.set();
        for greenlet in greenlets {
            assert!(greenlet.join_timeout(Duration::from_secs(1)), "{:?}", log.words());
        }
        log.expect("cleared pulsed waited");
    });
}

/// gevent: `TestEvent_SetThenClear` (1, 100 and 1000 waiters).
#[test]
fn an_event_set_and_cleared_at_once_releases_everybody() {
    within(LIMIT, || {
        for count in [1, 100, 1000] {
            let event = Event::new();
            let waiters: Vec<Greenlet<bool>> = (0..count)
                .map(|_| {
                    let event = event.clone();
                    spawn(move || event.wait_timeout(LONG))
                })
                .collect();
            yield_now();
            assert_eq!(event.linkcount(), count);
            event.set();
            event.clear();
            yield_now();
            assert!(waiters.iter().all(|waiter| waiter.ready() && waiter.get().unwrap()));
            assert_eq!(event.linkcount(), 0);
        }
    });
}

/// gevent: `TestEventBasics::test_wait_while_notifying`.
#[test]
fn who_waits_while_others_are_told_comes_after_them_and_in_the_same_iteration() {
    within(LIMIT, || {
        // A slow machine polls in between otherwise, as it may. Takes effect at a poll.
        get_hub().set_switch_interval(LIMIT);
        idle();
        let log = Log::new();
        let polled = Rc::new(Cell::new(false));
        let check = get_hub().check();
        let seen = polled.clone();
        check.start(move || seen.set(true)).unwrap();
        let event = Event::new();
        for i in 0..3 {
            let (log, event) = (log.clone(), event.clone());
            spawn(move || {
                event.wait();
                log.add(i);
            });
        }
        yield_now();
        polled.set(false);
        event.set();
        event.wait();
        log.add("main");
        assert!(!polled.get());
        log.expect("0 1 2 main");
    });
}

/// gevent: `TestEventBasics::test_gevent_wait_twice_when_already_set`.
#[test]
fn a_set_event_is_waited_for_as_often_as_one_likes() {
    within(LIMIT, || {
        let event = Event::new();
        event.set();
        for _ in 0..2 {
            assert_eq!(wait(std::slice::from_ref(&event)).len(), 1);
            assert_eq!(iwait(std::slice::from_ref(&event)).count(), 1);
            event.wait();
        }
    });
}

// --- AsyncResult --------------------------------------------------------------------------------------------------

/// gevent: `TestAsyncResultWait` and `TestWaitAsyncResult`, WAIT.
#[test]
fn waiting_for_a_result_passes_the_wait_battery() {
    within(LIMIT, || {
        wait_battery(|limit| assert!(!AsyncResult::<()>::new().wait_timeout(limit)));
        wait_battery(|limit| assert!(wait_timeout(&[AsyncResult::<()>::new()], limit).is_empty()));
    });
}

/// gevent: `TestAsyncResultGet`, GET.
#[test]
fn getting_a_result_passes_the_get_battery() {
    within(LIMIT, || {
        let result = AsyncResult::<()>::new();
        expires_with_an_error(|limit| matches!(result.get_timeout(limit), Err(GetError::TimedOut)));
        ended_by_a_timeout_of_the_callers(|| result.get().unwrap());
        ended_by_a_timeout_with_an_error_of_its_own(|| result.get().unwrap());
        outer_timeout_is_not_lost(|limit| assert!(result.get_timeout(limit).is_err()));
        assert_eq!(result.linkcount(), 0);
    });
}

/// gevent: `TestAsyncResult::test_link`.
#[test]
fn unlinking_what_is_not_linked_is_no_error() {
    within(LIMIT, || {
        let (result, other) = (AsyncResult::<()>::new(), AsyncResult::<()>::new());
        let link = result.rawlink(Box::new(|| ()));
        other.unlink(link);
        result.unlink(link);
        result.unlink(link);
        assert_eq!(result.linkcount(), 0);
    });
}

/// gevent: `TestAsyncResult::test_set_exc`.
#[test]
fn everybody_gets_the_very_same_failure() {
    within(LIMIT, || {
        let result = AsyncResult::<()>::new();
        assert!(result.exception().is_none());
        let waiters = [(); 2].map(|()| {
            let result = result.clone();
            spawn(move || result.get().unwrap_err())
        });
        yield_now();
        result.set_exception("no luck");
        let [first, second] = waiters.map(|waiter| waiter.get().unwrap());
        assert_eq!(first.downcast_ref(), Some(&"no luck"));
        assert!(first.same(&second) && first.same(&result.exception().unwrap()));
        assert!(result.ready() && !result.successful());
    });
}

/// gevent: `TestAsyncResult::test_set`.
#[test]
fn a_timeout_with_an_error_comes_before_a_later_value() {
    within(LIMIT, || {
        let result = AsyncResult::new();
        let setter = result.clone();
        ramie::spawn_later(Duration::from_millis(20), move || setter.set(1));
        let limit = Timeout::new(Duration::ZERO).exception("too late");
        let caught = catch::<&str, _>(|| limit.scope(|| result.get()));
        assert_eq!(*caught.expect_err("the timeout is due first"), "too late");
        assert_eq!(result.get().unwrap(), 1);
    });
}

/// gevent: `TestAsyncResult::test_set_with_timeout`.
#[test]
fn a_result_never_set_can_be_given_up() {
    within(LIMIT, || {
        let result = AsyncResult::<&str>::new();
        let got = with_timeout(SHORT, || result.get().unwrap()).unwrap_or("given up");
        assert_eq!(got, "given up");
    });
}

/// gevent: `TestAsyncResult::test_nonblocking_get`.
#[test]
fn a_result_can_be_asked_for_without_waiting() {
    within(LIMIT, || {
        let result = AsyncResult::new();
        assert!(result.try_get().unwrap_err().is_timeout());
        assert_eq!((result.value(), result.ready(), result.successful()), (None, false, false));
        result.set(5);
        assert_eq!(result.try_get().unwrap(), 5);
        assert_eq!((result.value(), result.ready(), result.successful()), (Some(5), true, true));
    });
}

/// A second value replaces the first, and a value outdoes a failure, whichever was set first.
#[test]
fn a_value_counts_before_a_failure_and_the_last_one_at_that() {
    within(LIMIT, || {
        let result = AsyncResult::new();
        result.set_exception("no luck");
        assert!(result.get().is_err());
        result.set(1);
        result.set(2);
        assert_eq!(result.get().unwrap(), 2);
        result.set_exception("too late");
        assert_eq!(result.get().unwrap(), 2);
        assert!(result.successful() && result.exception().is_none());
    });
}

/// gevent: `TestAsyncResultAsLinkTarget::test_set`.
#[test]
fn a_result_as_a_link_takes_over_the_value() {
    within(LIMIT, || {
        let g = spawn(|| 1);
        let results = [(); 3].map(|()| AsyncResult::new());
        g.link(results[0].link_target());
        g.link_value(results[1].link_target());
        g.link_exception(results[2].link_target());
        assert_eq!(results[0].get().unwrap(), 1);
        assert_eq!(results[1].get().unwrap(), 1);
        sleep(SHORT);
        assert!(results[2].try_get().unwrap_err().is_timeout());
    });
}

/// gevent: `TestAsyncResultAsLinkTarget::test_set_exception`.
#[test]
fn a_result_as_a_link_takes_over_the_failure() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = spawn(fallible(|| Err::<(), _>("no luck")));
        let results = [(); 3].map(|()| AsyncResult::new());
        g.link(results[0].link_target());
        g.link_value(results[1].link_target());
        g.link_exception(results[2].link_target());
        for result in [&results[0], &results[2]] {
            assert!(result.get().unwrap_err().same(&g.get().unwrap_err()));
        }
        sleep(SHORT);
        assert!(results[1].try_get().unwrap_err().is_timeout());
        errors.expect("no luck");
    });
}

/// gevent gives the `GreenletExit` as a value; here the failure says that it is an exit.
#[test]
fn a_result_linked_to_a_killed_greenlet_is_an_exit() {
    within(LIMIT, || {
        let g = spawn(|| sleep(LONG));
        let result = AsyncResult::new();
        g.link(result.link_target());
        yield_now();
        g.kill();
        assert!(result.get().unwrap_err().is_exit());
    });
}

// --- both -----------------------------------------------------------------------------------------------------------

/// Sets five events and five results one after another and returns them all.
fn to_be_set() -> (Vec<Rc<dyn Waitable>>, Greenlet<()>) {
    let events: Vec<Event> = (0..5).map(|_| Event::new()).collect();
    let results: Vec<AsyncResult<usize>> = (0..5).map(|_| AsyncResult::new()).collect();
    let mut all: Vec<Rc<dyn Waitable>> = Vec::new();
    all.extend(events.iter().cloned().map(|event| Rc::new(event) as Rc<dyn Waitable>));
    all.extend(results.iter().cloned().map(|result| Rc::new(result) as Rc<dyn Waitable>));
    let sender = spawn(move || {
        for (i, (event, result)) in events.into_iter().zip(results).enumerate() {
            event.set();
            sleep(Duration::from_millis(1));
            result.set(i);
            sleep(Duration::from_millis(1));
        }
    });
    (all, sender)
}

/// gevent: `TestWait`, `TestWait_notimeout`.
#[test]
fn everything_that_is_set_is_returned() {
    within(LIMIT, || {
        let (all, sender) = to_be_set();
        assert_eq!(wait_timeout(&all, LONG).len(), 10);
        sender.join();
        let (all, _sender) = to_be_set();
        assert_eq!(wait(&all).len(), 10);
    });
}

/// gevent: `TestWait_count1`, `TestWait_count2`.
#[test]
fn waiting_may_end_before_everything_is_set() {
    within(LIMIT, || {
        for count in [1, 2] {
            let (all, sender) = to_be_set();
            assert_eq!(iwait(&all).timeout(LONG).take(count).count(), count);
            assert!(!sender.ready());
            sender.join();
        }
    });
}
