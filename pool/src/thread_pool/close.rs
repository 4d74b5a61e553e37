//! The end of a pool: finished, given up, or forgotten.

use ramie_hub::Limit;

use super::job::{Refusal, refuse_all};
use super::size::call_all;
use super::{Handle, ThreadPool};

impl Handle {
    /// Lets nothing enter any more; the threads end once nothing is queued.
    fn close(&self) {
        let (spare, wanted) = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            (state.spare(0), state.add_wanted())
        };
        call_all(&spare);
        for thread in wanted {
            // What failed has its failure.
            let _ = self.shared.start(thread);
        }
    }
}

/// The last handle is gone: nobody can spawn or wait any more.
impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl ThreadPool {
    /// Lets nothing enter any more, and waits until everything is done and the threads have ended.
    ///
    /// What is running and queued is finished. Whoever spawns from now on, or waits for room to, gets a result that has
    /// failed with [`PoolShutDown`](crate::PoolShutDown). Doing it twice is doing it once.
    ///
    /// # Panics
    ///
    /// When a job of this pool calls it.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout ends the wait only: the pool finishes by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::{PoolShutDown, ThreadPool};
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

    /// Lets nothing enter any more, and waits at most that long; says whether everything is done and the threads have ended.
    ///
    /// # Panics
    ///
    /// As [`shutdown`](ThreadPool::shutdown).
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

    /// Lets nothing enter any more, and gives up what no thread has begun. Does not wait and does not let others run.
    ///
    /// The results of jobs that are given up fail with [`JobAbandoned`](crate::JobAbandoned), in the hubs that spawned them;
    /// that is not reported. Their bodies are dropped here. What is running goes on, and has its results; to wait for it use
    /// [`shutdown`](ThreadPool::shutdown) afterwards.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::{JobAbandoned, ThreadPool};
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

    /// Whether it was shut down or given up.
    pub fn is_shutdown(&self) -> bool {
        self.shared().state.lock().closed
    }
}
