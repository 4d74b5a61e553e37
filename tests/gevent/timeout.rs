//! gevent's tests of timeouts (`test__timeout.py` and `test__api_timeout.py`), restated.

use std::fmt;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::sync::Event;
use ramie::{TimedOut, Timeout, catch, raise, sleep, with_timeout};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// Waits for what never comes: gevent's bare `hub.switch()`.
fn forever() {
    Event::new().wait();
}

/// Starts the timeout and waits until it is raised, twice.
fn check_expires(timeout: &Timeout) {
    for _ in 0..2 {
        timeout.start();
        assert!(timeout.pending());
        let caught = catch::<Timeout, _>(forever).expect_err("the timeout is raised");
        assert!(caught.is(timeout) && !timeout.pending());
    }
    timeout.close();
}

/// gevent: `TestDirectRaise::test_direct_raise_class`.
#[test]
fn a_timeout_never_started_can_be_raised() {
    within(LIMIT, || {
        let caught = catch::<Timeout, ()>(|| raise(Timeout::never()));
        assert!(!caught.expect_err("it was raised").pending());
    });
}

/// gevent: `TestDirectRaise::test_direct_raise_instance`.
#[test]
fn a_timeout_raised_by_hand_keeps_its_identity() {
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT);
        let caught = catch::<Timeout, ()>(|| raise(timeout.clone())).expect_err("it was raised");
        assert!(caught.is(&timeout) && !caught.pending());
    });
}

/// gevent: `Test::test_expires`.
#[test]
fn a_timeout_fires_and_may_be_started_again() {
    within(LIMIT, || check_expires(&Timeout::new(SHORT)));
}

/// gevent: `Test::test_expires_false`.
#[test]
fn a_silent_timeout_is_raised_all_the_same() {
    within(LIMIT, || check_expires(&Timeout::new(SHORT).silent()));
}

/// gevent: `Test::test_expires_str`; a string is an exception like any other here, and is itself
/// raised.
#[test]
fn a_string_is_raised_and_ends_the_text() {
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT).exception("XXX");
        timeout.start();
        let caught = catch::<&str, _>(forever).expect_err("the string is raised");
        assert_eq!(*caught, "XXX");
        assert!(timeout.to_string().ends_with(": XXX"), "{timeout}");
    });
}

/// gevent: `Test::test_context_manager`.
#[test]
fn a_scope_reports_its_own_timeout() {
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT);
        assert_eq!(timeout.scope(forever), Err(TimedOut));
        assert!(!timeout.pending());
    });
}

/// gevent: `Test::test_context_manager_false`.
#[test]
fn a_silent_timeouts_text_says_so() {
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT).silent();
        assert_eq!(timeout.scope(forever), Err(TimedOut));
        assert!(timeout.to_string().ends_with("(silent)"), "{timeout}");
    });
}

/// gevent: `Test::test_context_manager_str`.
#[test]
fn a_scope_lets_the_timeouts_own_error_through() {
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT).exception("XXX");
        let caught = catch::<&str, _>(|| timeout.scope(forever)).expect_err("the error goes through");
        assert_eq!(*caught, "XXX");
        assert!(timeout.to_string().ends_with(": XXX"), "{timeout}");
    });
}

/// gevent: `Test::test_cancel`.
#[test]
fn a_cancelled_timeout_never_fires() {
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT);
        timeout.start();
        timeout.cancel();
        sleep(SHORT * 2);
        assert!(!timeout.pending());
        timeout.close();
    });
}

/// gevent: `Test::test_with_timeout`.
#[test]
fn with_timeout_gives_the_result_or_an_error() {
    within(LIMIT, || {
        assert_eq!(with_timeout(SHORT, || sleep(LONG)), Err(TimedOut));
        let late = with_timeout(SHORT, || {
            sleep(LONG);
            "result"
        });
        assert_eq!(late.unwrap_or("default"), "default");
        let early = with_timeout(LONG, || {
            sleep(SHORT);
            "result"
        });
        assert_eq!(early.unwrap_or("default"), "result");
    });
}

/// Blocks the thread so long that a time counted from its beginning would be over.
fn blocked_thread_does_not_count(wait: impl FnOnce()) {
    // The hub has polled, and knows the time of that.
    sleep(Duration::from_millis(1));
    thread::sleep(SHORT * 2);
    let start = Instant::now();
    wait();
    assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
}

/// gevent: `Test::test_timeout_calls_update_now`.
#[test]
fn a_timeout_counts_from_its_start() {
    within(LIMIT, || {
        blocked_thread_does_not_count(|| assert!(Timeout::new(SHORT).scope(forever).is_err()));
    });
}

/// gevent: `Test::test_sleep_calls_update_now`.
#[test]
fn a_sleep_counts_from_its_start() {
    within(LIMIT, || blocked_thread_does_not_count(|| sleep(SHORT)));
}

/// gevent: `Test::test_api`, first part.
#[test]
fn nothing_happens_to_a_block_that_is_fast_enough() {
    within(LIMIT, || {
        let timeout = Timeout::new(Duration::from_millis(500));
        assert!(!timeout.pending());
        let result = timeout.scope(|| {
            assert!(timeout.pending());
            sleep(SHORT);
        });
        assert!(result.is_ok() && !timeout.pending());
    });
}

/// gevent: `Test::test_api`, the part about instances and classes.
#[test]
fn a_timeout_raises_any_error_that_it_was_given() {
    #[derive(Debug, PartialEq)]
    struct TooLong(u32);
    impl fmt::Display for TooLong {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("operation takes way too long")
        }
    }
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT).exception(TooLong(5));
        let caught = catch::<TooLong, _>(|| timeout.scope(forever)).expect_err("the error is raised");
        assert_eq!(*caught, TooLong(5));
    });
}

/// gevent: `Test::test_api`, the part about cancelling.
#[test]
fn a_timeout_can_be_cancelled_inside_its_block() {
    within(LIMIT, || {
        let timeout = Timeout::new(SHORT);
        let result = timeout.scope(|| {
            timeout.cancel();
            sleep(SHORT * 2);
        });
        assert_eq!(result, Ok(()));
    });
}

/// gevent: `Test::test_api`, the part about `False`: code that ignores the result continues after
/// the block.
#[test]
fn a_scope_whose_result_is_ignored_is_silent() {
    within(LIMIT, || {
        let start = Instant::now();
        let _ignored = Timeout::new(SHORT).silent().scope(|| sleep(LONG));
        assert!(start.elapsed() >= SHORT && start.elapsed() < LONG);
    });
}

/// gevent: `Test::test_api`, the part about `None`.
#[test]
fn a_timeout_that_never_fires_disables_the_limit() {
    within(LIMIT, || {
        let timeout = Timeout::maybe(None);
        for _ in 0..2 {
            assert_eq!(timeout.scope(|| sleep(SHORT)), Ok(()));
            assert!(!timeout.pending());
        }
    });
}

/// gevent: `Test::test_ref`.
#[test]
fn a_timeout_gone_keeps_its_error_no_longer() {
    #[derive(Debug)]
    struct Error(Rc<()>);
    impl fmt::Display for Error {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "held by {}", Rc::strong_count(&self.0))
        }
    }
    within(LIMIT, || {
        let token = Rc::new(());
        let error = Error(token.clone());
        assert_eq!(Timeout::new(LONG).exception(error).scope(|| sleep(SHORT)), Ok(()));
        assert_eq!(Rc::strong_count(&token), 1);
    });
}

/// gevent: `Test::test_nested_timeout`, first part.
#[test]
fn an_inner_scope_does_not_swallow_the_outer_timeout() {
    within(LIMIT, || {
        let outer = Timeout::new(SHORT).silent().scope(|| {
            let inner = Timeout::new(LONG).silent().scope(|| sleep(LONG));
            unreachable!("the inner scope returned {inner:?}");
        });
        assert_eq!(outer, Err(TimedOut));
    });
}

/// gevent: `Test::test_nested_timeout`, second part.
#[test]
fn of_two_limits_the_outer_shorter_one_fires_alone() {
    within(LIMIT, || {
        let (outer, inner) = (Timeout::new(SHORT), Timeout::new(LONG));
        let result = outer.scope(|| {
            inner.scope(|| {
                let caught = catch::<Timeout, _>(forever).expect_err("a timeout is raised");
                assert!(caught.is(&outer));
                assert!(!outer.pending() && inner.pending());
            })
        });
        // It was caught inside, so neither scope saw it.
        assert_eq!(result, Ok(Ok(())));
        assert!(!inner.pending());
    });
}

/// gevent: `Test::test_nested_timeout`, third part.
#[test]
fn of_two_limits_the_inner_shorter_one_fires_alone() {
    within(LIMIT, || {
        let (outer, inner) = (Timeout::new(LONG), Timeout::new(SHORT));
        let result = outer.scope(|| {
            inner.scope(|| {
                let caught = catch::<Timeout, _>(forever).expect_err("a timeout is raised");
                assert!(caught.is(&inner));
                assert!(outer.pending() && !inner.pending());
            })
        });
        assert_eq!(result, Ok(Ok(())));
        assert!(!outer.pending());
    });
}
