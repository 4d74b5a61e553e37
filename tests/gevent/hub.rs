//! gevent's tests of the hub (`test__hub_join.py`, `test__hub_join_timeout.py`, `test__joinall.py`,
//! `test__iwait.py`, `test__sleep0.py`, `test__loop_callback.py`, `test__api.py`,
//! `test__GreenletExit.py`), restated.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::idle;
use ramie::sync::{Event, Semaphore};
use ramie::{
    SystemExit, TimedOut, Timeout, catch, get_hub, iwait, joinall, raise, sleep, spawn, spawn_later, wait,
    with_timeout, yield_now,
};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `f` twice beside a timer that must not keep the loop alive, as a signal handler does not in
/// gevent.
fn twice_beside_an_unreferenced_timer(f: impl Fn()) {
    let timer = get_hub().timer(LONG, Duration::ZERO);
    timer.set_ref(false);
    timer.start(|| ()).expect("a timer needs no descriptor");
    f();
    f();
    assert!(timer.active());
}

/// gevent: `test__hub_join.py`, `TestJoin::test_join_many_times`.
#[test]
fn the_hub_can_be_joined_many_times_and_used_afterwards() {
    within(LIMIT, || {
        let hub = get_hub();
        hub.join();
        assert!(hub.join_timeout(LONG));
        sleep(ms(1));
        assert!(hub.join_timeout(LONG));
    });
}

/// gevent: `test__hub_join.py`, `TestJoin::test_join_in_new_thread_doesnt_leak_hub_or_greenlet`.
#[test]
fn a_thread_that_joined_its_hub_leaves_nothing_behind() {
    within(LIMIT, || {
        for _ in 0..10 {
            let thread = thread::spawn(|| {
                spawn(|| 0).join();
                get_hub().join();
                assert_eq!(get_hub().stats().greenlets, 0);
                get_hub().remote()
            });
            let remote = thread.join().expect("nothing in the thread panics");
            assert!(remote.is_closed());
        }
    });
}

/// gevent: `test__hub_join_timeout.py`, `Test::test_callback`.
#[test]
fn joining_the_hub_ends_with_the_last_greenlet() {
    within(LIMIT, || {
        twice_beside_an_unreferenced_timer(|| {
            let g = spawn(|| 5);
            assert!(get_hub().join_timeout(LONG));
            assert!(g.dead());
            assert_eq!(g.value(), Some(5));
        });
    });
}

/// gevent: `test__hub_join_timeout.py`, `Test::test_later`.
#[test]
fn joining_the_hub_waits_for_a_delayed_greenlet() {
    within(LIMIT, || {
        twice_beside_an_unreferenced_timer(|| {
            let start = Instant::now();
            let g = spawn_later(ms(5), || 5);
            assert!(get_hub().join_timeout(LONG));
            assert!(g.dead() && start.elapsed() >= ms(5));
        });
    });
}

/// gevent: `test__hub_join_timeout.py`, `Test::test_timeout`.
#[test]
fn joining_the_hub_gives_up_after_its_timeout() {
    within(LIMIT, || {
        twice_beside_an_unreferenced_timer(|| {
            let g = spawn_later(LONG, || 5);
            let start = Instant::now();
            assert!(!get_hub().join_timeout(ms(5)));
            assert!(!g.dead() && start.elapsed() >= ms(5));
            g.kill();
            get_hub().join();
        });
    });
}

/// gevent: `test__hub_join_timeout.py`, `Test::test_event`.
#[test]
fn waiting_for_an_event_ends_when_it_is_set_whatever_is_pending() {
    within(LIMIT, || {
        twice_beside_an_unreferenced_timer(|| {
            let pending = spawn_later(LONG, || 5);
            let event = Event::new();
            let setter = event.clone();
            let set = spawn_later(ms(5), move || setter.set());
            assert_eq!(wait(std::slice::from_ref(&event)).len(), 1);
            assert!(!pending.dead() && set.dead() && event.is_set());
            pending.kill();
            get_hub().join();
        });
    });
}

/// gevent: `test__hub_join_timeout.py`, `Test::test_ref_arg`.
#[test]
fn a_timer_without_reference_does_not_hold_the_hub() {
    within(LIMIT, || twice_beside_an_unreferenced_timer(|| get_hub().join()));
}

/// gevent: `test__hub_join_timeout.py`, `Test::test_ref_attribute`.
#[test]
fn a_running_timer_may_give_up_its_reference() {
    within(LIMIT, || {
        twice_beside_an_unreferenced_timer(|| {
            let timer = get_hub().timer(LONG, Duration::ZERO);
            timer.start(|| ()).expect("a timer needs no descriptor");
            assert!(!get_hub().join_timeout(ms(1)));
            timer.set_ref(false);
            get_hub().join();
        });
    });
}

/// gevent: `test__joinall.py`, `Test::test`.
#[test]
fn joinall_takes_a_greenlet_twice() {
    within(LIMIT, || {
        let (a, b) = (spawn(|| ()), spawn(|| ()));
        assert_eq!(joinall(&[a.clone(), b, a]).len(), 3);
    });
}

/// Two locked semaphores, the first of which will be released.
fn one_to_be_released() -> [Semaphore; 2] {
    let semaphores = [Semaphore::new(0), Semaphore::new(0)];
    let first = semaphores[0].clone();
    spawn(move || first.release());
    semaphores
}

/// gevent: `test__iwait.py`, `Testiwait::test_noiter`.
#[test]
fn iwait_can_be_asked_for_the_next_at_once() {
    within(LIMIT, || {
        let semaphores = one_to_be_released();
        let mut ready = iwait(&semaphores);
        assert!(ready.next().is_some_and(|semaphore| std::ptr::eq(semaphore, &raw const semaphores[0])));
        assert_eq!(ready.last_index(), Some(0));
    });
}

/// gevent: `test__iwait.py`, `Testiwait::test_iwait_partial`.
#[test]
fn iwait_takes_nothing_from_what_it_yields() {
    within(LIMIT, || {
        let semaphores = one_to_be_released();
        assert!(iwait(&semaphores[..1]).timeout(LONG).next().is_some());
        assert_eq!(semaphores[0].counter(), 1);
    });
}

/// gevent: `test__iwait.py`, `Testiwait::test_iwait_nogarbage`.
#[test]
fn iwait_dropped_half_way_leaves_no_link() {
    within(LIMIT, || {
        let semaphores = one_to_be_released();
        let mut ready = iwait(&semaphores);
        assert!(ready.next().is_some());
        assert_eq!(semaphores[1].linkcount(), 1);
        drop(ready);
        assert_eq!(semaphores[1].linkcount(), 0);
    });
}

/// gevent: `test__issue467.py`.
#[test]
fn iwait_keeps_what_comes_while_its_consumer_sleeps() {
    within(LIMIT, || {
        let greenlets = [1, 2, 3].map(|i| spawn_later(ms(i), move || i));
        let mut seen = Vec::new();
        for g in iwait(&greenlets) {
            seen.push(g.value());
            sleep(ms(5));
        }
        assert_eq!(seen, [Some(1), Some(2), Some(3)]);
    });
}

/// gevent: `test__sleep0.py`.
#[test]
fn a_loop_of_yields_cannot_starve_a_timeout() {
    within(LIMIT, || {
        let result = Timeout::new(ms(10)).silent().scope(|| -> () {
            loop {
                sleep(Duration::ZERO);
            }
        });
        assert_eq!(result, Err(TimedOut));
    });
}

/// gevent: `test__loop_callback.py`.
#[test]
fn a_queued_callback_runs_once_and_the_loop_ends() {
    within(LIMIT, || {
        let count = Rc::new(Cell::new(0));
        let counter = count.clone();
        let callback = get_hub().run_callback(move || counter.set(counter.get() + 1));
        assert!(callback.pending());
        get_hub().join();
        assert_eq!(count.get(), 1);
        assert!(!callback.pending() && !callback.active());
    });
}

/// gevent: `test__api.py`, `Test::test_killing_dormant`.
#[test]
fn kill_returns_when_the_targets_handler_and_all_after_it_have_run() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            body.add("start");
            if catch::<ramie::GreenletExit, _>(|| sleep(LONG)).is_err() {
                body.add("except");
            }
            body.add("finished");
        });
        yield_now();
        log.expect("start");
        g.kill();
        log.expect("start except finished");
    });
}

/// gevent: `test__api.py`, `Test::test_nested_with_timeout`.
#[test]
fn the_default_of_an_inner_limit_does_not_swallow_the_outer_one() {
    within(LIMIT, || {
        let result = with_timeout(ms(5), || with_timeout(LONG, || sleep(LONG)).is_err());
        assert_eq!(result, Err(TimedOut));
    });
}

/// gevent: `test__api.py`, `Test::test_sleep_invalid_switch` and `test_invalid_switch_None`, `_0`
/// and `_1`: waking a greenlet from outside its wait is an error there. Here it is impossible: a
/// late wake-up has no effect.
#[test]
fn a_wake_up_that_comes_too_late_ends_no_other_wait() {
    within(LIMIT, || {
        let (waiter, waker) = get_hub().waiter();
        let (event, asleep) = (Event::new(), Event::new());
        let (late, sleeps) = (event.clone(), asleep.clone());
        let g = spawn(move || {
            assert!(!waiter.wait_timeout(ms(1)));
            assert!(!late.wait_timeout(ms(1)));
            sleeps.set();
            let start = Instant::now();
            sleep(ms(20));
            start.elapsed()
        });
        asleep.wait();
        waker.wake();
        event.set();
        assert!(g.get().is_ok_and(|slept| slept >= ms(20)));
    });
}

/// gevent: `test__api.py`, `TestTimers::test_timer_fired`.
#[test]
fn a_delayed_greenlet_runs_while_its_spawner_sleeps() {
    within(LIMIT, || {
        let log = Log::new();
        let delayed = log.clone();
        let g = spawn(move || {
            spawn_later(ms(1), delayed.adder("fired"));
            sleep(ms(5));
            delayed.add("awake");
        });
        log.expect("");
        yield_now();
        log.expect("");
        g.join();
        log.expect("fired awake");
    });
}

/// gevent: `test__api.py`, `TestTimers::test_spawn_is_not_cancelled`.
#[test]
fn a_child_runs_although_its_spawner_has_ended() {
    within(LIMIT, || {
        let log = Log::new();
        let child = log.adder("child");
        let g = spawn(move || drop(spawn(child)));
        g.join();
        yield_now();
        log.expect("child");
    });
}

/// gevent: `test__GreenletExit.py`.
#[test]
fn a_kill_is_not_caught_with_other_errors() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            let caught = catch::<&str, _>(|| catch::<Timeout, _>(|| sleep(LONG)).is_err()).is_err();
            body.add(format!("swallowed: {caught}"));
        });
        yield_now();
        g.kill();
        log.expect("");
        assert!(g.successful());
    });
}

/// Runs `fail`, and says whether main was interrupted in its sleep, and how.
fn main_while(fail: impl FnOnce()) -> Option<i32> {
    let _errors = Log::of_errors();
    fail();
    catch::<SystemExit, _>(|| sleep(ms(5))).err().map(|exit| exit.0)
}

/// gevent: `test__systemerror.py`, the cases of `SystemExit`.
#[test]
fn a_system_exit_reaches_main_from_a_callback_and_from_a_greenlet() {
    within(LIMIT, || {
        let callback = main_while(|| drop(get_hub().run_callback(|| raise(SystemExit(1)))));
        let greenlet = main_while(|| drop(spawn(|| -> () { raise(SystemExit(2)) })));
        assert_eq!((callback, greenlet), (Some(1), Some(2)));
        sleep(ms(1));
    });
}

/// gevent: `test__systemerror.py`, the case of an ordinary error.
#[test]
fn an_ordinary_error_does_not_reach_main() {
    within(LIMIT, || {
        let callback = main_while(|| drop(get_hub().run_callback(|| raise("no luck"))));
        let greenlet = main_while(|| drop(spawn(|| -> () { raise("no luck") })));
        assert_eq!((callback, greenlet), (None, None));
    });
}

/// gevent: `test__issue639.py`.
#[test]
fn idle_after_a_sleep_returns() {
    within(LIMIT, || {
        sleep(ms(1));
        idle();
    });
}
