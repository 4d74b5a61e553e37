//! How each of the Rust contenders is started, once for all workloads.
//!
//! As their own documentation has it: tokio by a current-thread runtime with its drivers, smol by a local executor
//! that `block_on` runs beside its thread of I/O, may by its global workers, configured before the first coroutine.

use std::future::Future;

use smol::LocalExecutor;
use tokio::task::JoinHandle;

/// Where tokio's tasks run.
pub(crate) trait Tokio {
    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static;

    fn block_on<F: Future>(future: F) -> F::Output;
}

/// On the runtime itself, by `tokio::spawn`.
pub(crate) struct CurrentThread;

/// In a `LocalSet`, by `spawn_local`, where they need not be `Send`.
pub(crate) struct InLocalSet;

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

impl Tokio for CurrentThread {
    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(future)
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio().block_on(future)
    }
}

impl Tokio for InLocalSet {
    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::task::spawn_local(future)
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::task::LocalSet::new().block_on(&tokio(), future)
    }
}

/// The executor of smol's contenders. It is never freed: its tasks refer to it.
pub(crate) type Smol = &'static LocalExecutor<'static>;

/// Runs the future of `f` beside the tasks of the executor.
pub(crate) fn on_smol<F: Future>(f: impl FnOnce(Smol) -> F) -> F::Output {
    let executor: Smol = Box::leak(Box::new(LocalExecutor::new()));
    smol::block_on(executor.run(f(executor)))
}

/// How many workers may has.
#[derive(Clone, Copy)]
pub(crate) enum Workers {
    /// One for each core, which is may's default.
    Cores,
    One,
}

/// Runs `f` in a coroutine of may, from where it spawns the others.
pub(crate) fn on_may<R: Send + 'static>(workers: Workers, f: impl FnOnce() -> R + Send + 'static) -> R {
    if let Workers::One = workers {
        may::config().set_workers(1);
    }
    may::go!(f).join().expect("the coroutine does not panic")
}
