//! The current and the maximum number of threads of a pool.

use std::sync::Arc;

use ramie_hub::Limit;

use super::idle_thread::IdleThread;
use super::state::JOINERS;
use super::{Shared, ThreadPool};
use crate::error::SetSizeError;

/// A waiter for threads to end. Dropping it withdraws its request.
struct Asking<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.shared.state.lock().stop_shrinking(self.number);
    }
}

impl ThreadPool {
    /// Returns the current number of threads.
    pub fn size(&self) -> usize {
        self.shared().state.lock().threads
    }

    /// Returns the maximum number of threads.
    pub fn maxsize(&self) -> usize {
        self.shared().state.lock().maxsize
    }

    /// Sets the maximum number of threads. Does not let other greenlets run.
    ///
    /// A greater maximum wakes waiters for capacity and starts threads for queued jobs. With a
    /// smaller one the excess threads end in the background: idle threads at once, the others after
    /// their present job. At 0 the last thread ends when the queue is empty. A pool at 0 then
    /// accepts one more job, which runs once the maximum is raised.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::ThreadPool;
    ///
    /// let pool = ThreadPool::new(0);
    /// let patient = pool.spawn(|| "at last");
    /// assert!(!patient.ready());
    /// pool.set_maxsize(1);
    /// assert_eq!(patient.get().unwrap(), "at last");
    /// ```
    pub fn set_maxsize(&self, maxsize: usize) {
        let shared = self.shared();
        let (spare, wanted) = {
            let mut state = shared.state.lock();
            state.maxsize = maxsize;
            (state.spare(maxsize), state.add_wanted())
        };
        call_all(&spare);
        for thread in wanted {
            // A failure to start fails the queued jobs.
            let _ = shared.start(thread);
        }
    }

    /// Sets the number of threads. Starts threads ahead of need until `size` threads live, or ends
    /// threads and waits until at most `size` are left.
    ///
    /// Running and queued jobs are finished first. Threads that jobs of other callers need during
    /// the wait are still started. Lets other greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// [`SetSizeError::AboveMaxsize`], and nothing is changed; [`SetSizeError::Thread`] when the
    /// system refuses to start a thread.
    ///
    /// # Panics
    ///
    /// When a job of this pool calls it.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout withdraws the request: threads that have not ended by then stay.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::pool::SetSizeError;
    /// use ramie::ThreadPool;
    ///
    /// let pool = ThreadPool::new(2);
    /// pool.set_size(2).unwrap();
    /// assert_eq!(pool.size(), 2);
    /// pool.set_size(0).unwrap();
    /// assert_eq!(pool.size(), 0);
    /// assert!(matches!(pool.set_size(3), Err(SetSizeError::AboveMaxsize { maxsize: 2 })));
    /// ```
    #[track_caller]
    pub fn set_size(&self, size: usize) -> Result<(), SetSizeError> {
        let shared = self.shared();
        shared.assert_outside("ThreadPool::set_size");
        let mut added = Vec::new();
        {
            let mut state = shared.state.lock();
            if size > state.maxsize {
                return Err(SetSizeError::AboveMaxsize { maxsize: state.maxsize });
            }
            while state.threads < size {
                added.push(state.add_thread());
            }
        }
        let mut started = Ok(());
        for thread in added {
            started = started.and(shared.start(thread));
        }
        started.map_err(SetSizeError::Thread)?;
        self.shrink_to(size, Limit::Never);
        Ok(())
    }

    /// Ends all threads and waits until they have ended: [`set_size`](ThreadPool::set_size) 0.
    ///
    /// Running and queued jobs are finished first; a thread cannot be killed. A call right after a
    /// spawn waits for that job too, unless there is no thread to run it: a pool of size 0 keeps
    /// the job that it has accepted. The pool can be used again.
    ///
    /// # Panics
    ///
    /// When a job of this pool calls it.
    ///
    /// # Cancellation
    ///
    /// As [`set_size`](ThreadPool::set_size).
    #[track_caller]
    pub fn kill(&self) {
        self.shared().assert_outside("ThreadPool::kill");
        self.shrink_to(0, Limit::Never);
    }

    /// Waits until at most `size` threads are left. Returns `true` if that was so in time.
    pub(super) fn shrink_to(&self, size: usize, limit: Limit) -> bool {
        let shared = self.shared();
        let ((number, gone), spare) = {
            let mut state = shared.state.lock();
            (state.shrink(size), state.spare(size))
        };
        let _asking = Asking { shared, number };
        call_all(&spare);
        gone.wait(JOINERS, limit, "ThreadPool::set_size", |gone, _| gone.0.then_some(())).is_ok()
    }
}

pub(super) fn call_all(seats: &[Arc<IdleThread>]) {
    seats.iter().for_each(|idle_thread| idle_thread.call());
}
