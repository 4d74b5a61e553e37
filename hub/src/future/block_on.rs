//! Driving a future by the running greenlet.

use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::error::TimedOut;
use crate::future::wake_state::Parking;
use crate::future::waker::Owner;
use crate::remote::handle::KeepAlive;
use crate::scheduler::{Core, current};
use crate::task::WakeReason;
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;

const BLOCK_ON: &str = "block_on";

/// Runs a future to completion on the running greenlet, and returns its output.
///
/// While the future is pending, the greenlet waits and other greenlets run. The greenlet polls the
/// future again only when its waker was used, from any thread. The future need not be `Send`: it
/// stays on this stack, and so may borrow from it. Inside the future, calls that wait, such as
/// [`sleep`](crate::sleep) and a nested `block_on`, suspend the whole greenlet.
///
/// Lets other greenlets run if the future is pending or wakes itself, and after a number of futures
/// that were ready at once. Works in the main greenlet, too.
///
/// A pending future keeps the loop alive as long as one of its wakers exists. When the main greenlet
/// waits and nothing is left that could wake a greenlet, [`LoopExit`](crate::LoopExit) names the
/// wait as `block_on`.
///
/// The future must not need a runtime of its own: a future of tokio finds its reactor only under
/// `ramie::tokio`.
///
/// # Cancellation
///
/// A kill or a timeout drops the future, on this stack, while it unwinds. A later use of its wakers
/// does nothing; no wait other than that of this call is ended by them.
///
/// # Panics
///
/// Raises [`BlockingSwitchOutError`](crate::BlockingSwitchOutError) in a callback of the hub. A
/// panic of the future goes to the caller.
///
/// # Examples
///
/// ```
/// use std::future;
/// use std::time::Duration;
///
/// assert_eq!(ramie::block_on(async { 1 + future::ready(1).await }), 2);
///
/// // A future that is never ready, under a timeout.
/// let late = ramie::with_timeout(Duration::from_millis(1), || ramie::block_on(future::pending::<()>()));
/// assert!(late.is_err());
/// ```
#[inline]
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    match drive(pin!(future.into_future()), Limit::Never) {
        Ok(output) => output,
        Err(TimedOut) => unreachable!("a wait without a limit does not time out"),
    }
}

/// Runs a future like [`block_on`], for at most `timeout`.
///
/// A future that was woken by then is polled a last time. Lets other greenlets run as `block_on`
/// does.
///
/// # Errors
///
/// [`TimedOut`] when the limit is reached first. The future has been dropped then.
///
/// # Cancellation
///
/// As for [`block_on`].
///
/// # Panics
///
/// As for [`block_on`].
///
/// # Examples
///
/// ```
/// use std::future;
/// use std::time::Duration;
///
/// assert_eq!(ramie::block_on_timeout(async { 7 }, Duration::from_secs(1)), Ok(7));
/// let late = ramie::block_on_timeout(future::pending::<()>(), Duration::from_millis(1));
/// assert_eq!(late, Err(ramie::TimedOut));
/// ```
pub fn block_on_timeout<F: IntoFuture>(future: F, timeout: impl Into<Limit>) -> Result<F::Output, TimedOut> {
    drive(pin!(future.into_future()), timeout.into())
}

/// Polls the future until it is ready, or the limit is reached.
#[inline]
fn drive<F: Future>(mut future: Pin<&mut F>, limit: Limit) -> Result<F::Output, TimedOut> {
    let core = current::core();
    if core.in_hub() {
        core.refuse_in_hub();
    }
    // Before the first poll, which may wait.
    let deadline = limit.deadline(&core);
    core.renew_io();
    let owner = Owner::new(&core);
    let mut context = Context::from_waker(owner.waker());
    if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
        core.spend_io();
        return Ok(output);
    }
    loop {
        let over = wait(&core, &owner, deadline);
        // At the limit, a future that was not woken has nothing new to say.
        if owner.unpark() {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
        }
        if over {
            return Err(TimedOut);
        }
    }
}

/// Waits until the future is woken, or all its wakers are gone. Returns `true` if the time is up.
fn wait(core: &Core, owner: &Owner<'_>, deadline: Option<u64>) -> bool {
    let token = core.token();
    let keep_alive = match owner.park(token) {
        Parking::Notified => {
            // The future has woken itself: other greenlets have their turn first.
            core.push_resume(token);
            None
        }
        Parking::Parked => {
            core.add_refs(1);
            Some(KeepAlive::counted(core))
        }
        Parking::Alone => None,
    };
    let timer = TimerGuard::limit(core, token, deadline);
    let reason = core.park_with((timer, keep_alive), token, BLOCK_ON);
    // A future that is woken in every turn gets its wake before the limit each time.
    reason == WakeReason::TimedOut || deadline.is_some_and(|deadline| deadline <= core.loop_now())
}
