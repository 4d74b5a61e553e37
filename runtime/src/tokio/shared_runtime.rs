//! The runtime that all hubs of the process share.

use std::future::IntoFuture;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use super::context::{block_on_with, block_on_with_timeout};
use crate::{Limit, TimedOut};

static SHARED: OnceLock<Runtime> = OnceLock::new();

/// Returns the handle of the runtime that [`block_on`] uses. The first call starts it.
///
/// It has one worker thread, named `ramie-tokio`, with tokio's reactor and timers. It lives until
/// the process ends; its tasks are not waited for then. Does not let other greenlets run.
///
/// # Panics
///
/// Panics if the system has no thread or no descriptor left for the runtime.
///
/// # Examples
///
/// ```
/// let task = ramie::tokio::handle().spawn(async { 7 });
/// assert_eq!(ramie::block_on(task).unwrap(), 7);
/// ```
pub fn handle() -> &'static Handle {
    let start = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("ramie-tokio")
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("the shared runtime of tokio cannot start: {error}"))
    };
    SHARED.get_or_init(start).handle()
}

/// Returns the runtime whose context this thread is in, or the shared one.
fn current_or_shared() -> Handle {
    Handle::try_current().unwrap_or_else(|_| handle().clone())
}

/// Runs a future to completion on the running greenlet, with the reactor and the timers of tokio.
///
/// The future itself is polled on this thread, so it need not be `Send` and may borrow. Tasks that
/// it spawns run on the thread `ramie-tokio`, which all hubs share. In the context of another
/// runtime of tokio, for example in [`run`](fn@super::run), the future uses that one.
///
/// Waits, and lets other greenlets run, as [`ramie::block_on`](crate::block_on) does.
///
/// # Cancellation
///
/// A kill or a timeout drops the future, in the context of the runtime. Tasks that it has spawned
/// continue.
///
/// # Panics
///
/// As for [`ramie::block_on`](crate::block_on) and [`handle`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokio::time::timeout;
///
/// let late = ramie::tokio::block_on(async {
///     timeout(Duration::from_millis(1), std::future::pending::<()>()).await
/// });
/// assert!(late.is_err());
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    block_on_with(&current_or_shared(), future)
}

/// Runs a future like [`block_on`], for at most `timeout`.
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
/// use std::time::Duration;
///
/// let hour = async { tokio::time::sleep(Duration::from_secs(3600)).await };
/// assert!(ramie::tokio::block_on_timeout(hour, Duration::from_millis(1)).is_err());
/// ```
pub fn block_on_timeout<F: IntoFuture>(future: F, timeout: impl Into<Limit>) -> Result<F::Output, TimedOut> {
    block_on_with_timeout(&current_or_shared(), future, timeout)
}
