//! gevent's tests of kills (from `test__greenlet.py`, `test__issue330.py`, `test__issue607.py`),
//! restated.

use std::time::Duration;

use ramie::hub::spawn_raw;
use ramie::{
    Greenlet, GreenletExit, Kill, catch, joinall, killall, killall_nowait, killall_with, sleep, spawn,
    yield_now,
};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[track_caller]
fn assert_finished<T>(g: &Greenlet<T>) {
    assert!(!g.started() && g.dead() && g.ready());
}

/// gevent: `TestKillallRawGreenlet::test_killall_raw`.
#[test]
fn killall_takes_raw_greenlets() {
    within(LIMIT, || {
        let log = Log::new();
        let raw = spawn_raw(log.adder("ran"));
        killall(std::slice::from_ref(&raw));
        assert!(raw.dead());
        log.expect("ran");
    });
}

/// gevent: `TestKill`, `TestKillAfterStart`, `TestKillAfterStartLater` and `TestKillWhileRunning`.
fn kill_in_every_state(waits: bool, well: bool, kill: fn(&Greenlet<()>)) {
    #[derive(Clone, Copy, PartialEq)]
    enum Start {
        Never,
        Started,
        Later,
        Running,
    }
    let _errors = Log::of_errors();
    for start in [Start::Never, Start::Started, Start::Later, Start::Running] {
        let (log, links) = (Log::new(), Log::new());
        let body = log.clone();
        let g = Greenlet::new(move || {
            if start == Start::Running {
                sleep(LONG);
            }
            body.add("ran");
        });
        g.link(links.linker("link"));
        match start {
            Start::Never => {}
            Start::Started => g.start(),
            Start::Later => g.start_later(ms(2)),
            Start::Running => {
                g.start();
                yield_now();
            }
        }
        let assert_killed = || {
            assert_finished(&g);
            assert_eq!(g.successful(), well);
            assert_eq!(g.exception().is_none(), well);
            assert_eq!(g.get().is_err_and(|failure| failure.is_exit()), well);
        };
        kill(&g);
        if !waits {
            yield_now();
        }
        assert_killed();
        // Once round the loop, timers and all: it must not run after all. A second kill must not
        // hurt.
        sleep(ms(3));
        assert_killed();
        kill(&g);
        sleep(ms(1));
        assert_killed();
        log.expect("");
        links.expect("link");
    }
}

/// gevent: `test_block`.
#[test]
fn kill_ends_it_in_every_state() {
    within(LIMIT, || kill_in_every_state(true, true, |g| g.kill()));
}

/// gevent: `test_non_block`.
#[test]
fn kill_without_waiting_ends_it_in_every_state() {
    within(LIMIT, || kill_in_every_state(false, true, |g| g.kill_nowait()));
}

/// gevent: `test_block_killall`.
#[test]
fn killall_ends_it_in_every_state() {
    within(LIMIT, || kill_in_every_state(true, true, |g| killall(std::slice::from_ref(g))));
}

/// gevent: `test_non_block_killal`.
#[test]
fn killall_without_waiting_ends_it_in_every_state() {
    let kill: fn(&Greenlet<()>) = |g| killall_nowait(std::slice::from_ref(g));
    within(LIMIT, move || kill_in_every_state(false, true, kill));
}

/// gevent: `test_non_type_exception`.
#[test]
fn kill_with_an_error_fails_it_in_every_state() {
    let kill: fn(&Greenlet<()>) = |g| assert!(g.kill_with("error"));
    within(LIMIT, move || kill_in_every_state(true, false, kill));
}

/// gevent: `test_non_type_exception_non_block`.
#[test]
fn kill_with_an_error_without_waiting_fails_it_in_every_state() {
    let kill: fn(&Greenlet<()>) = |g| {
        g.kill_with(Kill::new("error").nowait());
    };
    within(LIMIT, move || kill_in_every_state(false, false, kill));
}

/// gevent: `test_non_type_exception_killall`.
#[test]
fn killall_with_an_error_fails_it_in_every_state() {
    let kill: fn(&Greenlet<()>) = |g| killall_with(std::slice::from_ref(g), "error").unwrap();
    within(LIMIT, move || kill_in_every_state(true, false, kill));
}

/// gevent: `test_non_type_exception_killall_non_block`.
#[test]
fn killall_with_an_error_without_waiting_fails_it_in_every_state() {
    let kill: fn(&Greenlet<()>) = |g| {
        killall_with(std::slice::from_ref(g), Kill::new("error").nowait()).unwrap();
    };
    within(LIMIT, move || kill_in_every_state(false, false, kill));
}

/// Ends two started greenlets before their first turn.
fn end_before_their_turn(end: impl Fn(&Greenlet<()>)) {
    let log = Log::new();
    let greenlets = [spawn(log.adder("ran")), spawn(log.adder("ran"))];
    greenlets.iter().for_each(end);
    assert_eq!(joinall(&greenlets).len(), 2);
    for g in greenlets {
        assert_finished(&g);
        assert!(g.successful() && g.exception().is_none());
        assert!(g.get().is_err_and(|failure| failure.is_exit()));
    }
    sleep(ms(1));
    log.expect("");
}

/// gevent: `test__issue330.py`, `test_gevent_kill`.
#[test]
fn killed_without_waiting_before_their_turn_they_never_run() {
    within(LIMIT, || end_before_their_turn(|g| g.kill_nowait()));
}

/// gevent: `test__issue330.py`, `test_greenlet_kill`.
#[test]
fn killed_before_their_turn_they_never_run() {
    within(LIMIT, || end_before_their_turn(|g| g.kill()));
}

/// gevent: `test__issue330.py`, `test_throw`.
#[test]
fn thrown_into_before_their_turn_they_never_run() {
    within(LIMIT, || end_before_their_turn(|g| g.throw(GreenletExit)));
}

/// gevent: `test__issue330.py`, `test_kill_exception`.
#[test]
fn a_looper_that_yields_may_catch_its_kill() {
    within(LIMIT, || {
        let g = spawn(|| {
            let caught = catch::<&str, ()>(|| {
                loop {
                    yield_now();
                }
            });
            caught.is_err_and(|error| *error == "mine")
        });
        yield_now();
        g.kill_with(Kill::new("mine").nowait());
        assert_eq!(g.get().ok(), Some(true));
        assert!(g.exception().is_none());
    });
}
