//! Sleeping, yielding, and waiting until the loop is idle.

use std::time::Duration;

use crate::scheduler::TimerAction;
use crate::scheduler::current;
use crate::task::WaitToken;
use crate::wait::guard::TimerGuard;

/// Suspends the greenlet for at least the duration. Lets other greenlets run. A zero duration
/// yields, as [`yield_now`] does.
///
/// # Cancellation
///
/// A kill or a timeout leaves nothing behind.
///
/// # Panics
///
/// Raises [`BlockingSwitchOutError`](crate::BlockingSwitchOutError) in a callback of the hub, as
/// every call that waits does.
pub fn sleep(duration: Duration) {
    sleep_with(duration, true);
}

/// Sleeps like [`sleep`], but does not by itself keep the loop alive: gevent's `ref=False`.
pub fn sleep_unref(duration: Duration) {
    sleep_with(duration, false);
}

fn sleep_with(duration: Duration, keeps: bool) {
    let core = current::core();
    if duration.is_zero() {
        core.yield_now();
        return;
    }
    let token = core.token();
    let timer = TimerGuard::of(core.start_timer(core.deadline(duration), || TimerAction::Wake(token), keeps));
    core.park_with(timer, token, "sleep");
}

/// Lets everything run that is queued already, and then continues: gevent's `sleep(0)`. Does not
/// poll.
pub fn yield_now() {
    current::core().yield_now();
}

/// Counts an operation that did not have to wait, and yields when that is due: for layers that
/// serve operations from a buffer of their own, such as TLS. Must be called before the operation.
#[doc(hidden)]
pub fn count_operation() {
    let core = current::core();
    core.renew_io();
    core.spend_io();
}

/// Waits until the loop is idle: a poll has found no due timer and no ready source. Lets other
/// greenlets run.
///
/// Greenlets that always yield do not delay it further than to the next poll, which is due after the
/// [switch interval](crate::Hub::set_switch_interval). Timers and sources that are due in each
/// iteration do, as in gevent. [`Hub::poll_once`](crate::Hub::poll_once) ends in any case.
pub fn idle() {
    let core = current::core();
    let token = core.token();
    core.add_idler(token);
    struct Leave(WaitToken);
    impl Drop for Leave {
        fn drop(&mut self) {
            if let Some(core) = current::try_core() {
                core.remove_idler(self.0);
            }
        }
    }
    let _leave = Leave(token);
    core.park(token, "idle");
}
