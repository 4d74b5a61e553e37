//! The two sets of tests that gevent runs over every waiting operation.
//!
//! WAIT is its `AbstractGenericWaitTestCase`, for operations that return when their time is over.
//! GET is its `AbstractGenericGetTestCase`, for operations that return an error then. gevent's
//! `timeout` argument may also be a `Timeout` object; here that is a scope around an operation
//! without a limit.

use std::time::{Duration, Instant};

use ramie::{TimedOut, Timeout, catch};

/// The limit of what is to expire.
const SHORT: Duration = Duration::from_millis(10);
/// The limit of what something else is to end.
const LONG: Duration = Duration::from_secs(60);

/// WAIT `test_returns_none_after_timeout`: the operation returns, and not before its time is over.
#[track_caller]
pub(crate) fn returns_after_its_timeout(operation: impl FnOnce(Duration)) {
    let start = Instant::now();
    operation(SHORT);
    assert!(start.elapsed() >= SHORT, "returned after {:?}", start.elapsed());
}

/// WAIT and GET `test_outer_timeout_is_not_lost`: a timeout around the operation fires through its
/// own limit.
#[track_caller]
pub(crate) fn outer_timeout_is_not_lost(operation: impl FnOnce(Duration)) {
    let outer = Timeout::new(Duration::from_millis(1)).keep_alive(false);
    outer.start();
    let caught = catch::<Timeout, _>(|| operation(LONG));
    outer.close();
    assert!(caught.expect_err("the outer timeout is raised").is(&outer));
}

/// GET `test_raises_timeout_number`: the operation, which says whether its time was over, says that
/// it was.
#[track_caller]
pub(crate) fn expires_with_an_error(operation: impl FnOnce(Duration) -> bool) {
    returns_after_its_timeout(|limit| assert!(operation(limit), "ended by something else than its limit"));
}

/// GET `test_raises_timeout_Timeout`: a timeout of the caller's ends the operation, and its scope
/// says so.
#[track_caller]
pub(crate) fn ended_by_a_timeout_of_the_callers(operation: impl FnOnce()) {
    returns_after_its_timeout(|limit| assert_eq!(Timeout::new(limit).scope(operation), Err(TimedOut)));
}

/// GET `test_raises_timeout_Timeout_exc_customized`: such a timeout raises the error that was put
/// into it.
#[track_caller]
pub(crate) fn ended_by_a_timeout_with_an_error_of_its_own(operation: impl FnOnce()) {
    returns_after_its_timeout(|limit| {
        let limit = Timeout::new(limit).exception("too slow");
        let caught = catch::<&str, _>(|| limit.scope(operation));
        assert_eq!(*caught.expect_err("the timeout's own error is raised"), "too slow");
    });
}
