//! The handle of a pool of threads, and the entry of its jobs.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use ramie_hub::shared::WaitQueue;
use ramie_hub::{AsyncResult, Body, Limit};

use super::job::{Permit, Plain, Task, run_inline};
use super::mapping::ThreadJob;
use super::state::{JOINERS, SPAWNERS, State};
use crate::error::{PoolFull, PoolShutDown};

/// The state that the handles of a pool and its threads share.
pub(super) struct Shared {
    pub(super) state: WaitQueue<State>,
    /// The prefix of the names of its threads.
    pub(super) name: String,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) stack_size: Option<usize>,
}

/// A pool of OS threads for work that would block its thread: gevent's `ThreadPool`. Clones are the
/// same pool.
///
/// [`spawn`](ThreadPool::spawn) hands a closure over and returns the [`AsyncResult`] that will have
/// its value; while a greenlet waits for the result, the others run. Jobs are begun in the order in
/// which they were spawned. Threads are started when they are needed, at most
/// [`maxsize`](ThreadPool::maxsize) of them, and named after the pool, `ramie-pool1-1` and so on.
/// [`builder`](ThreadPool::builder) sets names, stacks and the time after which an idle thread
/// ends.
///
/// Any thread may use the pool. Each result belongs to the hub of the thread that spawned its job.
/// gevent accepts calls only from the pool's own thread.
///
/// # Capacity
///
/// At most `maxsize + 1` jobs are outstanding at a time: one more than can run, so that a thread
/// finds its next job at once. A caller that spawns a further job waits. A job occupies capacity
/// until its result has been set, in a turn of the hub that spawned it: first the capacity is
/// released, then a failure is reported, then the result is set. If that hub has ended, the thread
/// that ran the job drops the result and releases the capacity. A pool of size 0 accepts one job,
/// which runs once [`set_maxsize`](ThreadPool::set_maxsize) allows it.
///
/// Consequently a thread that spawns jobs, and then neither waits in its hub nor ends, keeps their
/// capacity occupied.
///
/// Outstanding jobs keep the loop of the hub that spawned them alive: neither
/// [`LoopExit`](ramie_hub::LoopExit) nor [`Hub::join`](ramie_hub::Hub::join) overlooks them.
///
/// # Failures of jobs
///
/// The `Err` of a [`fallible`](ramie_hub::fallible) job and the payload of a panic arrive in the
/// [`Failure`](ramie_hub::Failure) as they are. Every failure is also reported once to the [error
/// handler](ramie_hub::Hub::set_error_handler) of the hub that spawned the job, whether the result
/// is awaited or not. An exception that ramie raises in a job arrives as its
/// [text](ramie_hub::FailureText), because exceptions do not leave their thread. A
/// [`SystemExit`](ramie_hub::SystemExit) arrives as itself, and also in the main greenlet, at once.
///
/// # Inside a job
///
/// A job runs on an OS thread and may block it. A job may use ramie: the thread then gets a hub of
/// its own, which lasts as long as the thread. Greenlets that a job leaves behind run while later
/// jobs on that thread wait and while the thread is idle, and are unwound when the thread ends. An
/// exception that such a greenlet raises in the main greenlet between jobs, for example a
/// [`SystemExit`](ramie_hub::SystemExit), is printed and ends nothing.
///
/// A job that uses the pool it runs in never waits for capacity: [`spawn`](ThreadPool::spawn) and
/// its variants run the new job at once, before they return. An exception that ramie raises in the
/// new job, for example the timeout of a scope around the call, is then raised in the caller. Calls
/// that wait for the threads themselves ([`join`](ThreadPool::join),
/// [`set_size`](ThreadPool::set_size), [`kill`](ThreadPool::kill),
/// [`shutdown`](ThreadPool::shutdown)) would wait for the caller's own thread, and panic.
///
/// # Drop
///
/// When the last handle is dropped, queued and running jobs are finished, and then the threads end.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::ThreadPool;
///
/// let pool = ThreadPool::new(3);
/// // Blocks a thread of the pool, and no greenlet here.
/// let slow = pool.spawn(|| {
///     std::thread::sleep(Duration::from_millis(10));
///     "done"
/// });
/// let quick = pool.spawn(|| 6 * 7);
/// assert_eq!(quick.get().unwrap(), 42);
/// assert_eq!(slow.get().unwrap(), "done");
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    pub(super) handle: Arc<Handle>,
}

/// The part of the pool that all handles share and the threads do not.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl ThreadPool {
    /// Creates a pool of at most `maxsize` threads. A thread is started only when it is needed.
    pub fn new(maxsize: usize) -> Self {
        Self::builder(maxsize).build()
    }

    pub(super) fn from_shared(shared: Shared) -> Self {
        ThreadPool { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    // --- jobs ---------------------------------------------------------------------------------------------------

    /// Hands a body over to a thread of the pool, and returns the result that will be set when the
    /// body has run.
    ///
    /// Lets other greenlets run only if it waits for [capacity](ThreadPool#capacity). Waiters are
    /// woken in order; as with [`Pool`](crate::Pool), a caller that finds free capacity takes it at
    /// once. Called by a job of this pool, it runs the body itself.
    ///
    /// After [`shutdown`](ThreadPool::shutdown) or [`abandon`](ThreadPool::abandon) the body is
    /// dropped, and the result has failed with [`PoolShutDown`].
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of a caller that waits for capacity takes none and drops the body. Once
    /// this has returned, the job is done even if the caller ends or the result is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{ThreadPool, fallible};
    ///
    /// let pool = ThreadPool::new(2);
    /// let read = pool.spawn(fallible(|| std::fs::read("no/such/file")));
    /// let failure = read.take().unwrap_err();
    /// assert_eq!(failure.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::NotFound);
    /// ```
    #[track_caller]
    pub fn spawn<B>(&self, body: B) -> AsyncResult<B::Value>
    where
        B: Body<Value: Send, Error: Send> + Send,
    {
        self.spawn_for_ever(body, Location::caller()).result
    }

    pub(super) fn spawn_for_ever<B>(&self, body: B, site: &'static Location<'static>) -> ThreadJob<B::Value>
    where
        B: Body<Value: Send, Error: Send> + Send,
    {
        match self.spawn_for(body, Some(Limit::Never), site) {
            Ok(job) => job,
            Err(_) => unreachable!("a wait without a limit does not time out"),
        }
    }

    /// Hands a body over if there is capacity. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] with the body when there is no capacity.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::pool::PoolFull;
    /// use ramie::ThreadPool;
    ///
    /// let pool = ThreadPool::new(0);
    /// let accepted = pool.try_spawn(|| 5).unwrap();
    /// let PoolFull(refused) = pool.try_spawn(|| 6).unwrap_err();
    /// pool.set_maxsize(1);
    /// assert_eq!(accepted.get().unwrap() + refused(), 11);
    /// ```
    #[track_caller]
    pub fn try_spawn<B>(&self, body: B) -> Result<AsyncResult<B::Value>, PoolFull<B>>
    where
        B: Body<Value: Send, Error: Send> + Send,
    {
        self.spawn_for(body, None, Location::caller()).map(|job| job.result).map_err(PoolFull)
    }

    /// Hands a body over, waiting for capacity for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] with the body when there was no capacity in time.
    ///
    /// # Cancellation
    ///
    /// As [`spawn`](ThreadPool::spawn).
    #[track_caller]
    pub fn spawn_timeout<B>(
        &self,
        body: B,
        timeout: impl Into<Limit>,
    ) -> Result<AsyncResult<B::Value>, PoolFull<B>>
    where
        B: Body<Value: Send, Error: Send> + Send,
    {
        let job = self.spawn_for(body, Some(timeout.into()), Location::caller());
        job.map(|job| job.result).map_err(PoolFull)
    }

    /// Hands a body over. `limit` bounds the wait for capacity; with `None` this does not wait.
    pub(super) fn spawn_for<B>(
        &self,
        body: B,
        limit: Option<Limit>,
        site: &'static Location<'static>,
    ) -> Result<ThreadJob<B::Value>, B>
    where
        B: Body<Value: Send, Error: Send> + Send,
    {
        let shared = self.shared();
        if shared.is_inside() {
            return Ok(ThreadJob { result: run_inline(body, site), number: None });
        }
        let result = AsyncResult::new();
        let mut task = Some(Task::new(body, result.clone(), site));
        // Outer `None`: no capacity, keep waiting. Inner `None`: the pool is closed.
        let mut look = |state: &mut State| {
            if state.closed {
                return Some(None);
            }
            state.reserve(true)?;
            let mut task = task.take()?;
            task.room = Permit::counted(shared, true);
            let number = state.number();
            Some(Some((number, state.enter(number, task))))
        };
        let answer = match limit {
            None => look(&mut shared.state.lock()),
            Some(limit) => {
                shared.state.wait(SPAWNERS, limit, "ThreadPool::spawn", |state, _| look(state)).ok()
            }
        };
        match (answer, task) {
            (Some(Some((number, help))), _) => {
                shared.help(help);
                Ok(ThreadJob { result, number: Some(number) })
            }
            (None, Some(task)) => Err(task.into_body()),
            (_, task) => {
                result.set_exception(PoolShutDown);
                drop(task);
                Ok(ThreadJob { result, number: None })
            }
        }
    }

    /// Calls `f` on a thread of the pool, without regard to capacity. Called by a job of this pool,
    /// it calls `f` in the caller.
    ///
    /// If the pool is abandoned first, or no thread can be started, `f` is dropped.
    ///
    /// # Errors
    ///
    /// The function, when the pool was shut down.
    pub(super) fn execute(
        &self,
        what: &'static str,
        f: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Box<dyn FnOnce() + Send>> {
        let shared = self.shared();
        if shared.is_inside() {
            f();
            return Ok(());
        }
        let help = {
            let mut state = shared.state.lock();
            if state.closed {
                return Err(f);
            }
            let _always = state.reserve(false);
            let number = state.number();
            state.enter(number, Box::new(Plain { f, room: Permit::counted(shared, false), what }))
        };
        shared.help(help);
        Ok(())
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Returns the number of unfinished jobs: queued, running, or with a result that has not been
    /// set yet.
    pub fn len(&self) -> usize {
        self.shared().state.lock().unfinished
    }

    /// Returns `true` if no job is unfinished.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until no job is unfinished: all results are set, in all hubs. Does not let other
    /// greenlets run if that is so already.
    ///
    /// # Panics
    ///
    /// When a job of this pool calls it.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    #[track_caller]
    pub fn join(&self) {
        self.join_for(Limit::Never);
    }

    /// Waits for at most `timeout`. Returns `true` if no job is unfinished.
    ///
    /// # Panics
    ///
    /// As [`join`](ThreadPool::join).
    ///
    /// # Cancellation
    ///
    /// Same as for [`join`](ThreadPool::join).
    #[track_caller]
    pub fn join_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.join_for(timeout.into())
    }

    #[track_caller]
    pub(super) fn join_for(&self, limit: Limit) -> bool {
        self.shared().assert_outside("ThreadPool::join");
        let finished = |state: &mut State| (state.unfinished == 0).then_some(());
        self.shared().state.wait(JOINERS, limit, "ThreadPool::join", |state, _| finished(state)).is_ok()
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, size, maxsize) = {
            let state = self.shared().state.lock();
            (state.unfinished, state.threads, state.maxsize)
        };
        f.debug_struct("ThreadPool")
            .field("name", &self.shared().name)
            .field("len", &len)
            .field("size", &size)
            .field("maxsize", &maxsize)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_executed_needs_no_room() {
        let pool = ThreadPool::new(1);
        let (hold, held) = channel::<()>();
        let (tell, told) = channel();
        let holder = pool.spawn(move || held.recv().is_err());
        let queued = pool.spawn(|| ());
        assert!(pool.try_spawn(|| ()).is_err());
        for i in 0..3 {
            let tell = tell.clone();
            assert!(pool.execute("", Box::new(move || tell.send(i).expect("the receiver lives"))).is_ok());
        }
        assert_eq!(pool.len(), 5);
        assert!(pool.try_spawn(|| ()).is_err());
        drop((hold, tell));
        assert_eq!(told.iter().collect::<Vec<_>>(), [0, 1, 2]);
        pool.join();
        assert!(holder.get().expect("the job does not fail"));
        assert!(queued.ready());
    }

    #[test]
    fn what_is_executed_from_inside_runs_inside() {
        let pool = ThreadPool::new(1);
        let inner = pool.clone();
        let same = pool.spawn(move || {
            let (tell, told) = channel();
            let tell = move || tell.send(std::thread::current().id()).expect("the receiver lives");
            assert!(inner.execute("", Box::new(tell)).is_ok());
            told.recv().expect("it was sent") == std::thread::current().id()
        });
        assert!(same.get().expect("the job does not fail"));
    }

    #[test]
    fn what_is_executed_too_late_comes_back_or_is_dropped() {
        let pool = ThreadPool::new(0);
        let (tell, told) = channel::<()>();
        assert!(pool.execute("", Box::new(move || drop(tell))).is_ok());
        pool.abandon();
        assert!(told.recv().is_err());
        assert!(pool.execute("", Box::new(|| ())).is_err());
        assert!(pool.is_empty());
    }

    #[test]
    fn what_is_executed_may_panic() {
        let pool = ThreadPool::new(1);
        assert!(pool.execute("", Box::new(|| panic!("in a job"))).is_ok());
        pool.join();
        assert_eq!(pool.spawn(|| 5).get().expect("the thread continues"), 5);
        assert_eq!(pool.size(), 1);
    }
}
