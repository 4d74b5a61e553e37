//! The end of a pool: shut down, abandoned, or dropped.

use ramie_hub::Limit;

use super::job::{Refusal, refuse_all};
use super::size::call_all;
use super::{Handle, ThreadPool};

impl Handle {
    /// Closes the pool to new jobs; the threads end once the queue is empty.
    fn close(&self) {
        let (spare, wanted) = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            (state.spare(0), state.add_wanted())
        };
        call_all(&spare);
        for thread in wanted {
            // A failure to start fails the queued jobs.
            let _ = self.shared.start(thread);
        }
    }
}

/// The last handle is dropped: no further job can be spawned or waited for.
impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl ThreadPool {
    /// Closes the pool to new jobs, and waits until all jobs are done and the threads have ended.
    ///
    /// Running and queued jobs are finished. A job that is spawned from now on, or still waits for
    /// capacity, gets a result that has failed with [`PoolShutDown`](crate::PoolShutDown). A second
    /// call has no further effect.
    ///
    /// # Panics
    ///
    /// When a job of this pool calls it.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout ends only the wait: the pool still finishes.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::pool::PoolShutDown;
    /// use ramie::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let jobs = [1, 2].map(|i| pool.spawn(move || i * 10));
    /// pool.shutdown();
    /// assert_eq!(jobs.map(|job| job.get().unwrap()), [10, 20]);
    /// assert!(pool.spawn(|| 30).get().unwrap_err().is::<PoolShutDown>());
    /// ```
    #[track_caller]
    pub fn shutdown(&self) {
        self.shutdown_for(Limit::Never);
    }

    /// Shuts the pool down and waits for at most `timeout`. Returns `true` if all jobs are done and
    /// the threads have ended.
    ///
    /// # Panics
    ///
    /// As [`shutdown`](ThreadPool::shutdown).
    ///
    /// # Cancellation
    ///
    /// Same as for [`shutdown`](ThreadPool::shutdown).
    #[track_caller]
    pub fn shutdown_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.shutdown_for(timeout.into())
    }

    #[track_caller]
    fn shutdown_for(&self, limit: Limit) -> bool {
        self.shared().assert_outside("ThreadPool::shutdown");
        self.handle.close();
        let limit = limit.fixed();
        self.join_for(limit) && self.shrink_to(0, limit)
    }

    /// Closes the pool to new jobs, and abandons the jobs that no thread has begun. Does not wait
    /// and does not let other greenlets run.
    ///
    /// The results of abandoned jobs fail with [`JobAbandoned`](crate::JobAbandoned), in the hubs
    /// that spawned them; that failure is not reported. Their bodies are dropped here. Running jobs
    /// continue and deliver their results; call [`shutdown`](ThreadPool::shutdown) afterwards to
    /// wait for them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::pool::JobAbandoned;
    /// use ramie::ThreadPool;
    ///
    /// let pool = ThreadPool::new(0);
    /// let queued = pool.spawn(|| 5);
    /// pool.abandon();
    /// assert!(queued.get().unwrap_err().is::<JobAbandoned>());
    /// ```
    pub fn abandon(&self) {
        let (spare, given_up) = {
            let mut state = self.shared().state.lock();
            state.closed = true;
            (state.spare(0), state.withdraw_all())
        };
        call_all(&spare);
        refuse_all(given_up, &Refusal::Abandoned);
    }

    /// Returns `true` if the pool was shut down or abandoned.
    pub fn is_shutdown(&self) -> bool {
        self.shared().state.lock().closed
    }
}
