//! A hub as a task of a tokio runtime on the same thread.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tokio::task::{LocalSet, unconstrained};
use tokio::time::sleep;

use crate::hub::{Hub, Next};
use crate::{Exception, Run, get_hub, raise, scope};

/// Runs `body` in a greenlet, with the hub of this thread as a task of the runtime. Ends every other
/// greenlet of the thread, and returns the value of `body`.
///
/// The reactor, the timers and the tasks of tokio are those of `runtime`, and run on this thread if
/// it is a runtime of the current thread. Greenlets and tasks share the thread: neither runs while
/// the other one does. All greenlets are in the context of the runtime and of a `LocalSet`, so
/// [`ramie::block_on`](crate::block_on) is enough for tokio's futures, and `spawn_local` works.
///
/// The main greenlet runs tokio's loop meanwhile, in place of the hub's. So a wait that nothing can
/// end any more is no [`LoopExit`](crate::LoopExit), as it is none in tokio.
///
/// The end is that of [`ramie::run`](fn@crate::run): greenlets that are left are killed, and Ctrl-C
/// raises [`KeyboardInterrupt`](crate::KeyboardInterrupt), which ends the program. tokio's tasks do
/// not run any more by then; tasks that were spawned by `spawn_local` are dropped.
///
/// # Panics
///
/// Panics if it is called from a greenlet, a callback, or inside another runtime of tokio, if the
/// runtime has no reactor or no timers (`enable_all`), and if the system has no descriptor left.
/// Raises the exception or the panic that `body` ends with.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let value = ramie::tokio::run(&runtime, || {
///     let task = tokio::task::spawn_local(async {
///         tokio::time::sleep(Duration::from_millis(1)).await;
///         7
///     });
///     let other = ramie::spawn(|| ramie::sleep(Duration::from_millis(1)));
///     other.join();
///     ramie::block_on(task).unwrap()
/// });
/// assert_eq!(value, 7);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn run<R>(runtime: &Runtime, body: impl FnOnce() -> R) -> R {
    // For the destructors of futures in greenlets that are killed at the end.
    let _entered = runtime.enter();
    Run::new().run(|| {
        let outcome = scope(|scope| {
            let body = scope.spawn(body);
            let driven = LocalSet::new().block_on(runtime, drive(get_hub(), || body.ready()));
            driven.unwrap_or_else(|error| panic!("tokio cannot wait for the hub: {error}"));
            body.join()
        });
        outcome.unwrap_or_else(|failure| raise(Exception::new(failure)))
    })
}

/// Removes the hub's driver.
struct Driven<'a>(&'a Hub);

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        self.0.set_driver(None);
    }
}

/// Runs the iterations of the hub until `over` returns `true`, which is asked after each of them.
async fn drive(hub: Hub, over: impl Fn() -> bool) -> io::Result<()> {
    // A descriptor of its own for the same poll, so that its life does not depend on the hub's.
    let descriptor = watch(hub.as_fd().try_clone_to_owned()?)?;
    let mut timer = pin!(sleep(Duration::ZERO));
    let driven = Driven(&hub);
    let iterations = poll_fn(|context| {
        driven.0.set_driver(Some(context.waker().clone()));
        loop {
            let next = driven.0.poll_once();
            if over() {
                return Poll::Ready(Ok(()));
            }
            match next {
                // The other tasks have a turn first.
                Next::Now => context.waker().wake_by_ref(),
                Next::At(deadline) => {
                    timer.as_mut().reset(deadline.into());
                    if timer.as_mut().poll(context).is_ready() {
                        context.waker().wake_by_ref();
                    }
                }
                Next::Idle => {}
            }
            match descriptor.poll_read_ready(context)? {
                // Cleared before the next iteration, so that no event is missed.
                Poll::Ready(mut readiness) => readiness.clear_ready(),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    // With tokio's budget of operations, the descriptor would look as if it were not ready.
    unconstrained(iterations).await
}

#[expect(deprecated, reason = "the replacement is unsafe, for types that change their descriptor")]
fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
