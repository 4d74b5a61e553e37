//! Blocking calls that run on a thread of a pool while the greenlet waits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::time::Duration;

use ramie_hub::{Raised, lend, raise};

use super::ThreadPool;

/// Runs `f` on a thread of the [global pool](ThreadPool::global) and waits for its value; see
/// [`ThreadPool::blocking`].
///
/// # Panics
///
/// With the panic of `f`.
///
/// # Cancellation
///
/// A kill or a timeout does not interrupt this call; it is raised when `f` has returned. The end of
/// the caller's thread also waits for `f`.
///
/// # Examples
///
/// ```
/// use ramie_pool::blocking;
///
/// let path = String::from("Cargo.toml");
/// // Nothing has to be moved or cloned: `f` may borrow from the caller's frame.
/// let text = blocking(|| std::fs::read_to_string(&path)).unwrap();
/// assert!(text.contains("[package]"), "{path} describes a package");
/// ```
pub fn blocking<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    ThreadPool::global().blocking(f)
}

impl ThreadPool {
    /// Returns the pool that [`blocking`] and ramie itself use for blocking calls: one for the
    /// process, with at most 64 threads, each of which ends after five idle seconds.
    ///
    /// Its [size](ThreadPool::set_maxsize) may be changed; it must not be shut down.
    pub fn global() -> &'static ThreadPool {
        static GLOBAL: OnceLock<ThreadPool> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let idle = Some(Duration::from_secs(5));
            ThreadPool::builder(64).name("ramie-blocking").idle_timeout(idle).build()
        })
    }

    /// Runs `f` on a thread of the pool and waits for its value. Lets other greenlets run.
    ///
    /// `f` and its value may borrow from the caller's frame, because this does not return before
    /// `f` is done or dropped. `f` needs no [capacity](ThreadPool#capacity): when all threads are
    /// busy it is queued, since the caller waits in any case. Called by a job of this pool, it runs
    /// `f` in the caller.
    ///
    /// # Panics
    ///
    /// With the panic of `f`. Raises [`NotRun`](ramie_hub::NotRun) when the pool was shut down or
    /// abandoned, or no thread can be started. An exception of ramie in `f` is raised as its
    /// [text](ramie_hub::FailureText), because exceptions do not leave their thread. Raises
    /// [`BlockingSwitchOutError`](ramie_hub::BlockingSwitchOutError) in callbacks of the hub.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout does not interrupt this call, since the thread works in the caller's
    /// frame: it is raised, and the value dropped, when `f` has returned. Use
    /// [`spawn`](ThreadPool::spawn) for work that may be abandoned half-way. The end of the
    /// caller's thread, and so of the process if that is the first thread, waits for an `f` that
    /// has begun; see [`lend`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let mut numbers = vec![3, 1, 2];
    /// let smallest = pool.blocking(|| {
    ///     numbers.sort();
    ///     numbers.first()
    /// });
    /// assert_eq!(smallest, Some(&1));
    /// ```
    pub fn blocking<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        if self.shared().is_inside() {
            return f();
        }
        let lent = lend(
            || guarded(f),
            |work| {
                // A closed pool drops the work, which then counts as not run.
                let _ = self.execute(Box::new(move || work.run()));
            },
        );
        match lent {
            Ok(Ok(value)) => value,
            Ok(Err(payload)) => resume_unwind(payload),
            Err(failure) => raise(failure),
        }
    }
}

/// Catches a panic, to pass it on unchanged. An exception of ramie is bound to its thread and left
/// to [`lend`].
fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Err(payload) if payload.is::<Raised>() => resume_unwind(payload),
        result => result,
    }
}
