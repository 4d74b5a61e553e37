//! gevent's tests of greenlets (`test__greenlet.py`), restated; those of links and of kills have
//! files of their own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::{add_spawn_callback, remove_spawn_callback, spawn_raw};
use ramie::{
    Failure, Greenlet, JoinOptions, Limit, Timeout, catch, fallible, getcurrent, joinall, joinall_with,
    raise, sleep, spawn, spawn_later, tree_local, wait_timeout, yield_now,
};

use crate::util::log::Log;
use crate::util::{generic_waits, within};

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sleeper() -> Greenlet<()> {
    spawn(|| sleep(LONG))
}

#[track_caller]
fn assert_finished<T>(g: &Greenlet<T>) {
    assert!(!g.started() && g.dead() && g.ready());
}

const RAISING: JoinOptions = JoinOptions { timeout: Limit::Never, count: None, raise_error: true };

/// gevent: `TestStuff::test_minimal_id`.
#[test]
fn idents_are_the_smallest_that_are_free() {
    within(LIMIT, || {
        let (a, b) = (spawn(|| 1), spawn(|| 2));
        assert_eq!((a.minimal_ident(), b.minimal_ident(), a.minimal_ident()), (0, 1, 0));
        joinall(&[a, b]);
        yield_now();
        assert_eq!(spawn(|| 3).minimal_ident(), 0);
    });
}

/// gevent: `TestStuff::test_wait_noerrors`.
#[test]
fn joinall_that_raises_returns_when_nothing_failed() {
    within(LIMIT, || {
        let greenlets = [spawn(|| 1), spawn(|| 2), spawn(|| 3)];
        let joined = joinall_with(&greenlets, RAISING).expect("none failed");
        assert_eq!(joined.len(), 3);
        assert_eq!(greenlets.each_ref().map(Greenlet::value), [Some(1), Some(2), Some(3)]);
        let log = Log::new();
        let id = greenlets[0].link(log.linker("unlinked"));
        greenlets[0].unlink(id);
        greenlets[0].link(log.linker("linked"));
        yield_now();
        log.expect("linked");
    });
}

/// gevent: `TestStuff::test_wait_error`.
#[test]
fn joinall_raises_the_error_of_the_living_and_of_the_dead() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let slow = spawn(fallible(|| {
            sleep(ms(5));
            Ok::<i32, &str>(1)
        }));
        let failing = spawn(fallible(|| Err::<i32, _>("expected")));
        let error = joinall_with(&[slow.clone(), failing.clone()], RAISING).expect_err("one fails");
        assert_eq!(error.downcast_ref(), Some(&"expected"));
        assert!(!slow.ready(), "the others run on");
        let again = joinall_with(&[failing], RAISING).expect_err("it failed before");
        assert!(again.same(&error));
        // The link that was left is gone: nothing but this join is told.
        assert_eq!(slow.has_links(), 0);
        assert_eq!(slow.get().ok(), Some(1));
    });
}

/// gevent: `TestStuff::test_joinall_exception_order`.
#[test]
fn joinall_raises_the_error_that_came_first() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let late = spawn(fallible(|| {
            sleep(ms(5));
            Err::<(), _>("first in the list")
        }));
        let early = spawn(fallible(|| Err::<(), _>("first in time")));
        let greenlets = [late, early];
        let error = joinall_with(&greenlets, RAISING).expect_err("both fail");
        assert_eq!(error.downcast_ref(), Some(&"first in time"));
        joinall(&greenlets);
    });
}

/// gevent: `TestStuff::test_joinall_count_raise_error`.
#[test]
fn joinall_counts_one_that_failed() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let greenlets = [sleeper(), spawn(|| raise("ignored"))];
        let options = JoinOptions { count: Some(1), ..JoinOptions::default() };
        let joined = joinall_with(&greenlets, options).expect("errors are not asked for");
        assert!(joined.len() == 1 && joined[0].is(&greenlets[1]));
        assert!(greenlets[1].ready() && !greenlets[0].ready());
        greenlets[0].kill();
        assert_finished(&greenlets[0]);
    });
}

/// gevent: `TestJoin`, battery `WAIT`.
#[test]
fn join_returns_after_its_timeout() {
    within(LIMIT, || {
        generic_waits::returns_after_its_timeout(|limit| assert!(!sleeper().join_timeout(limit)))
    });
}

/// gevent: `TestJoin`, battery `WAIT`.
#[test]
fn a_timeout_around_join_is_not_lost() {
    within(LIMIT, || {
        let g = sleeper();
        generic_waits::outer_timeout_is_not_lost(|limit| assert!(!g.join_timeout(limit)));
        assert!(!g.ready() && g.has_links() == 0);
    });
}

/// gevent: `TestGet::test_raises_timeout_number`.
#[test]
fn get_expires_with_an_error() {
    within(LIMIT, || {
        generic_waits::expires_with_an_error(|limit| {
            sleeper().get_timeout(limit).is_err_and(|error| error.is_timeout())
        });
    });
}

/// gevent: `TestGet::test_raises_timeout_Timeout`.
#[test]
fn get_is_ended_by_a_timeout_of_the_callers() {
    within(LIMIT, || generic_waits::ended_by_a_timeout_of_the_callers(|| drop(sleeper().get())));
}

/// gevent: `TestGet::test_raises_timeout_Timeout_exc_customized`.
#[test]
fn get_is_ended_by_a_timeout_with_an_error_of_its_own() {
    within(LIMIT, || generic_waits::ended_by_a_timeout_with_an_error_of_its_own(|| drop(sleeper().get())));
}

/// gevent: `TestGet::test_outer_timeout_is_not_lost`.
#[test]
fn a_timeout_around_get_is_not_lost() {
    within(LIMIT, || generic_waits::outer_timeout_is_not_lost(|limit| drop(sleeper().get_timeout(limit))));
}

/// gevent: `TestJoinAll0`, battery `WAIT`.
#[test]
fn joinall_of_a_greenlet_never_started_expires() {
    within(LIMIT, || {
        let greenlets = [Greenlet::new(|| ())];
        generic_waits::returns_after_its_timeout(|limit| assert!(wait_timeout(&greenlets, limit).is_empty()));
        generic_waits::outer_timeout_is_not_lost(|limit| drop(wait_timeout(&greenlets, limit)));
        assert_eq!(greenlets[0].has_links(), 0);
    });
}

/// gevent: `TestJoinAll`, battery `WAIT`.
#[test]
fn joinall_expires() {
    within(LIMIT, || {
        let greenlets = [sleeper()];
        let join = |limit| {
            let options = JoinOptions { timeout: Limit::After(limit), ..JoinOptions::default() };
            joinall_with(&greenlets, options).map(|joined| joined.len())
        };
        generic_waits::returns_after_its_timeout(|limit| assert!(matches!(join(limit), Ok(0))));
        generic_waits::outer_timeout_is_not_lost(|limit| drop(join(limit)));
        assert_eq!(greenlets[0].has_links(), 0);
    });
}

/// gevent: `TestBasic::test_spawn_raw_kwargs`.
#[test]
fn a_raw_greenlet_runs_its_closure_with_what_it_captured() {
    within(LIMIT, || {
        let log = Log::new();
        let (to, words) = (log.clone(), ["1", "name=value"]);
        let raw = spawn_raw(move || words.iter().for_each(|word| to.add(word)));
        yield_now();
        assert!(!raw.started() && raw.dead());
        log.expect("1 name=value");
    });
}

/// gevent: `TestBasic::test_simple_exit`.
#[test]
fn a_greenlet_that_returns_goes_through_every_state() {
    within(LIMIT, || {
        let log = Log::new();
        let g = Greenlet::new(|| {
            sleep(ms(1));
            5
        });
        g.rawlink(log.linker("link"));
        let state = |g: &Greenlet<i32>| (g.started(), g.dead(), g.ready(), g.successful(), g.value());
        assert_eq!(state(&g), (false, false, false, false, None));
        g.start();
        assert_eq!(state(&g), (true, false, false, false, None));
        yield_now();
        assert_eq!(state(&g), (true, false, false, false, None));
        assert!(log.is_empty() && g.exception().is_none());
        g.join();
        assert_eq!(state(&g), (false, true, true, true, Some(5)));
        assert!(g.exception().is_none());
        log.expect("link");
    });
}

/// gevent: `TestBasic::test_error_exit`.
#[test]
fn a_greenlet_that_fails_keeps_its_error_and_has_no_value() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let log = Log::new();
        let g = Greenlet::new(|| -> i32 {
            sleep(ms(1));
            raise("expected")
        });
        g.rawlink(log.linker("link"));
        g.start();
        g.join();
        assert_finished(&g);
        assert!(!g.successful() && g.value().is_none());
        assert!(g.exception().is_some_and(|failure| failure.downcast_ref() == Some(&"expected")));
        log.expect("link");
    });
}

/// gevent: `TestBasic::test_exc_info_no_error`.
#[test]
fn there_is_no_error_before_the_end_nor_after_a_good_one() {
    within(LIMIT, || {
        let g = Greenlet::new(yield_now);
        assert!(g.exception().is_none());
        g.start();
        g.join();
        assert!(g.exception().is_none());
    });
}

/// gevent: `TestBasic::test_recursion_error`; the error deep down is a panic here, as the end of a
/// stack is fatal.
#[test]
fn a_panic_deep_down_is_one_greenlets_failure_reported_once() {
    fn dive(depth: usize) -> usize {
        if depth == 0 { panic!("deep enough") } else { dive(depth - 1) + 1 }
    }
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = spawn(|| dive(100));
        let joiner = spawn({
            let g = g.clone();
            move || joinall(&[g]).len()
        });
        assert_eq!(joiner.get().ok(), Some(1));
        let failure = g.get().expect_err("it panicked");
        assert_eq!(failure.panic_message(), Some("deep enough"));
        assert!(!g.successful() && g.dead());
        errors.expect("panicked: deep enough");
    });
}

/// gevent: `TestBasic::test_tree_locals`.
#[test]
fn a_child_shares_the_tree_of_its_spawner() {
    tree_local! {
        static TREE: Cell<u32> = Cell::new(0);
    }
    /// Counts in this tree and in that of a child; returns what both saw.
    fn count() -> [u32; 2] {
        let count = || TREE.with(|tree| tree.replace(tree.get() + 1));
        let (parent, own) = (getcurrent(), count());
        let child = spawn(count);
        assert!(child.spawning_greenlet().is_some_and(|spawner| spawner.is(&parent)));
        [own, child.get().expect("counting does not fail")]
    }
    within(LIMIT, || {
        assert_eq!([spawn(count), spawn(count)].map(|g| g.get().ok()), [Some([0, 1]); 2]);
        let seen = Rc::new(Cell::new([9; 2]));
        let sight = seen.clone();
        let raw = spawn_raw(move || sight.set(count()));
        assert!(raw.spawning_greenlet().is_some_and(|spawner| spawner.is_main()));
        raw.join();
        assert_eq!(seen.get(), [0, 1]);
    });
}

/// gevent: `TestBasic::test_add_spawn_callback`.
#[test]
fn spawn_callbacks_are_told_of_every_start() {
    within(LIMIT, || {
        let told = Rc::new(Cell::new(0));
        let teller = told.clone();
        let id = add_spawn_callback(move |g| {
            assert!(g.started());
            teller.set(teller.get() + 1);
        });
        spawn(|| ()).join();
        assert_eq!(told.get(), 1);
        spawn_later(Duration::from_nanos(10), || ()).join();
        assert_eq!(told.get(), 2);
        let g = Greenlet::new(|| ());
        assert_eq!(told.get(), 2);
        g.start();
        g.join();
        assert_eq!(told.get(), 3);
        assert!(remove_spawn_callback(id));
        spawn(|| ()).join();
        assert_eq!(told.get(), 3);
        assert!(!remove_spawn_callback(id));
    });
}

/// gevent: `TestContextManager::test_simple`.
#[test]
fn a_greenlet_has_ended_when_its_scope_is_left() {
    within(LIMIT, || {
        let g = spawn(|| sleep(ms(1)));
        g.scope(|g| assert!(g.started()));
        assert_finished(&g);
        assert!(g.get().is_ok(), "it was joined, not killed");
    });
}

/// gevent: `TestContextManager::test_wait_in_suite`.
#[test]
fn get_inside_a_scope_gives_the_greenlets_error() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let g = spawn(fallible(|| Err::<(), _>("expected")));
        let failure = g.scope(Greenlet::get).expect_err("it fails");
        assert!(failure.is::<&str>());
        assert_finished(&g);
    });
}

/// gevent: `TestContextManager::test_greenlet_raises`.
#[test]
fn leaving_a_scope_does_not_raise_the_greenlets_error() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let g = spawn(fallible(|| Err::<(), _>("expected")));
        g.scope(|_| ());
        assert_finished(&g);
        assert!(g.get().is_err_and(|failure| failure.is::<&str>()));
    });
}

/// gevent: `TestContextManager::test_join_raises`; what interrupts the join is a timeout here.
#[test]
fn a_greenlet_is_killed_when_the_join_of_its_scope_is_interrupted() {
    within(LIMIT, || {
        let g = sleeper();
        let limit = Timeout::new(ms(1));
        assert!(limit.scope(|| g.scope(|g| assert!(g.started()))).is_err());
        assert_finished(&g);
        assert!(g.successful(), "a plain kill");
    });
}

/// Leaves the scope of `g` by an exception, having run `inside` in it.
fn leave_by_exception(g: &Greenlet<()>, inside: impl FnOnce()) -> Failure {
    let _errors = Log::of_errors();
    let left = catch::<&str, ()>(|| {
        g.scope(|_| {
            inside();
            raise("suite")
        })
    });
    let suite = left.expect_err("the exception passes through").into_exception();
    assert_finished(g);
    assert!(!g.successful());
    let failure = g.get().expect_err("it was killed with the exception");
    assert!(failure.exception().is_some_and(|exception| exception.same(&suite)));
    failure
}

/// gevent: `TestContextManager::test_suite_body_raises`.
#[test]
fn a_scope_left_by_an_exception_kills_with_it() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(log.adder("BODY"));
        assert_eq!(leave_by_exception(&g, || ()).to_string(), "suite");
        log.expect("");
    });
}

/// gevent: `TestContextManager::test_suite_body_raises_with_delay`.
#[test]
fn a_scope_left_by_an_exception_kills_the_running_too() {
    within(LIMIT, || {
        let g = sleeper();
        assert_eq!(leave_by_exception(&g, yield_now).to_string(), "suite");
    });
}

/// gevent: `TestStart::test_start`.
#[test]
fn a_second_start_does_nothing() {
    within(LIMIT, || {
        let log = Log::new();
        let body = log.clone();
        let g = spawn(move || {
            body.add("ran");
            sleep(ms(1));
        });
        g.start();
        g.start_later(Duration::ZERO);
        assert!(g.started() && !g.ready());
        g.join();
        assert_finished(&g);
        g.start();
        yield_now();
        assert_finished(&g);
        log.expect("ran");
    });
}

/// gevent: `TestRef::test_kill_scheduled` and `test_kill_started`.
#[test]
fn a_killed_greenlet_holds_nothing_any_more() {
    within(LIMIT, || {
        let token = Rc::new(());
        for started in [false, true] {
            let held = token.clone();
            let g = spawn(move || {
                sleep(LONG);
                drop(held);
            });
            if started {
                yield_now();
            }
            assert_eq!(Rc::strong_count(&token), 2);
            g.kill();
            assert_eq!(Rc::strong_count(&token), 1);
        }
    });
}

/// gevent: `TestDeadPropertyDuringSwitch::test_dead_is_false_for_current_greenlet_during_switch`.
#[test]
fn a_greenlet_is_not_dead_to_itself() {
    within(LIMIT, || {
        let log = Log::new();
        let inside = log.clone();
        let g = spawn(move || {
            let this = getcurrent();
            assert!(this.started() && !this.dead() && !this.ready());
            // A link to what is not over must not be called early.
            this.rawlink(inside.linker("link"));
            yield_now();
            inside.add("end");
            assert!(!this.dead() && !this.ready());
        });
        assert!(g.get().is_ok());
        yield_now();
        log.expect("end link");
    });
}
