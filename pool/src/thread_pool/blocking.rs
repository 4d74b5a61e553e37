//! Blocking calls that run on a thread of a pool while the greenlet waits.

use std::any::{Any, type_name};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ramie_hub::{BlockingSwitchOutError, JobFailure, NotRun, Raised, get_hub, lend, raise, run_job};

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
/// A kill or a timeout does not interrupt this call; it is raised when `f` has returned.
/// [`blocking_owned`] is interrupted.
///
/// # Examples
///
/// ```
/// use ramie::blocking;
///
/// let path = String::from("Cargo.toml");
/// // Nothing has to be moved or cloned: `f` may borrow from the caller's frame.
/// let text = blocking(|| std::fs::read_to_string(&path)).unwrap();
/// assert!(text.contains("[package]"), "{path} describes a package");
/// ```
pub fn blocking<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    ThreadPool::global().blocking(f)
}

/// Runs `f`, which owns its values, on a thread of the [global pool](ThreadPool::global) and waits
/// for its value; see [`ThreadPool::blocking_owned`].
///
/// # Panics
///
/// With the panic of `f`.
///
/// # Cancellation
///
/// A kill or a timeout is raised at once, while `f` continues by itself.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::pool::blocking_owned;
/// use ramie::with_timeout;
///
/// let (never, wait) = std::sync::mpsc::channel::<()>();
/// let late = with_timeout(Duration::from_millis(5), || blocking_owned(move || wait.recv()));
/// assert!(late.is_err());
/// drop(never);
/// ```
pub fn blocking_owned<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    ThreadPool::global().blocking_owned(f)
}

impl ThreadPool {
    /// Returns the pool that [`blocking`] and ramie itself use for blocking calls: one for the
    /// process, with at most 64 threads, each of which ends after five idle seconds.
    ///
    /// Its [size](ThreadPool::set_maxsize) may be changed. It must not be shut down.
    ///
    /// # Stuck threads
    ///
    /// A call that does not return keeps its thread: a read of a pipe or of a network file system
    /// that does not answer, a lookup of a name without a server. When all threads are busy the
    /// next calls wait. If no thread has taken a job for five seconds while jobs wait, a line on
    /// stderr reports the number of waiting jobs and the functions that keep the threads; it is not
    /// repeated until a thread takes a job again. The pool does not grow by itself, since stuck
    /// calls would take any number of threads.
    pub fn global() -> &'static ThreadPool {
        static GLOBAL: OnceLock<ThreadPool> = OnceLock::new();
        GLOBAL.get_or_init(|| {
            let idle = Some(Duration::from_secs(5));
            ThreadPool::builder(64).name("ramie-blocking").idle_timeout(idle).watched().build()
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
    /// [`blocking_owned`](ThreadPool::blocking_owned) or [`spawn`](ThreadPool::spawn) for an `f`
    /// that need not be waited for. See [`lend`] for the end of the caller's thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::ThreadPool;
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
        self.blocking_as(name_of(&f), f)
    }

    fn blocking_as<T: Send>(&self, what: &'static str, f: impl FnOnce() -> T + Send) -> T {
        if self.shared().is_inside() {
            return f();
        }
        let lent = lend(
            || guarded(f),
            |work| {
                // A closed pool drops the work, which then counts as not run.
                let _ = self.execute(what, Box::new(move || work.run()));
            },
        );
        match lent {
            Ok(Ok(value)) => value,
            Ok(Err(payload)) => resume_unwind(payload),
            Err(failure) => raise(failure),
        }
    }
}

/// The outcome of `f`, if it has been run.
type Outcome<T> = Mutex<Option<Result<Result<T, Box<dyn Any + Send>>, JobFailure<Infallible>>>>;

impl ThreadPool {
    /// Runs `f` on a thread of the pool and waits for its value. Lets other greenlets run.
    ///
    /// Unlike in [`blocking`](ThreadPool::blocking), `f` owns its values, so nothing has to wait
    /// for it: neither a caller that is killed or timed out, nor the end of the caller's thread,
    /// nor the end of the process. Called by a job of this pool, it runs `f` in the caller.
    ///
    /// # Panics
    ///
    /// With the panic of `f`. Raises [`NotRun`](ramie_hub::NotRun) when the pool was shut down or
    /// abandoned, or no thread can be started. An exception of ramie in `f` is raised as its
    /// [text](ramie_hub::FailureText). Raises
    /// [`BlockingSwitchOutError`](ramie_hub::BlockingSwitchOutError) in callbacks of the hub.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout is raised at once. An `f` that has begun is run to its end by its
    /// thread, and its value is dropped there. An `f` that is still in the pool's queue is dropped
    /// without running.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let numbers = vec![3, 1, 2];
    /// assert_eq!(pool.blocking_owned(move || numbers.into_iter().min()), Some(1));
    /// ```
    pub fn blocking_owned<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        if self.shared().is_inside() {
            return f();
        }
        let hub = get_hub();
        if hub.in_callback() {
            raise(BlockingSwitchOutError);
        }
        let name = name_of(&f);
        let outcome: Arc<Outcome<T>> = Arc::new(Mutex::new(None));
        let (waiter, waker) = hub.waiter();
        let theirs = outcome.clone();
        let job = move || {
            // Without its caller the job is not wanted any more.
            if Arc::strong_count(&theirs) > 1 {
                let ended = run_job(|| guarded(f));
                *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
            }
            // Woken after the job, and also if the pool drops the job.
            drop(waker);
        };
        // A closed pool drops the work, which then counts as not run.
        let _ = self.execute(name, Box::new(job));
        waiter.wait();
        let ended = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ended {
            Some(Ok(Ok(value))) => value,
            Some(Ok(Err(payload))) => resume_unwind(payload),
            Some(Err(failure)) => raise(failure.into_failure()),
            None => raise(NotRun),
        }
    }
}

fn name_of<F>(_: &F) -> &'static str {
    type_name::<F>()
}

/// Catches a panic, to pass it on unchanged. An exception of ramie is bound to its thread and left
/// to [`lend`].
fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Err(payload) if payload.is::<Raised>() => resume_unwind(payload),
        result => result,
    }
}
