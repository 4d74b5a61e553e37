//! A future that is polled and dropped in the context of a runtime.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::runtime::Handle;

use crate::{Limit, TimedOut};

pin_project! {
    struct InContext<'a, F> {
        // `None` after the drop only.
        #[pin]
        future: Option<F>,
        handle: &'a Handle,
    }

    impl<F> PinnedDrop for InContext<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // Destructors may spawn, and stop timers.
            let _entered = this.handle.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InContext<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.handle.enter();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        }
    }
}

/// Runs a future to completion on the running greenlet, in the context of a tokio runtime.
///
/// The runtime must be driven by another thread: a multi-threaded one, or one of the current thread
/// in whose `block_on` another thread is. Otherwise its sockets and timers never get ready.
///
/// Waits, and lets other greenlets run, as [`ramie::block_on`](crate::block_on) does. The context is
/// entered for each poll and for the drop of the future, and left while the greenlet waits.
///
/// # Cancellation
///
/// A kill or a timeout drops the future, in the context of the runtime.
///
/// # Panics
///
/// As for [`ramie::block_on`](crate::block_on).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
/// let handle = runtime.handle().clone();
/// let task = ramie::spawn(move || {
///     ramie::tokio::block_on_with(&handle, async {
///         tokio::spawn(async { tokio::time::sleep(Duration::from_millis(1)).await; 7 }).await
///     })
/// });
/// assert_eq!(task.take().unwrap()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn block_on_with<F: IntoFuture>(handle: &Handle, future: F) -> F::Output {
    crate::block_on(InContext { future: Some(future.into_future()), handle })
}

/// Runs a future like [`block_on_with`], for at most `timeout`.
///
/// # Errors
///
/// [`TimedOut`] when the limit is reached first. The future has been dropped then.
///
/// # Cancellation
///
/// As for [`block_on_with`].
///
/// # Panics
///
/// As for [`ramie::block_on`](crate::block_on).
pub fn block_on_with_timeout<F: IntoFuture>(
    handle: &Handle,
    future: F,
    timeout: impl Into<Limit>,
) -> Result<F::Output, TimedOut> {
    crate::block_on_timeout(InContext { future: Some(future.into_future()), handle }, timeout)
}
