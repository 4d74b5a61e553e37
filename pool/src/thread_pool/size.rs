//! How many threads a pool has and may have.

use std::sync::Arc;

use ramie_hub::Limit;

use super::seat::Seat;
use super::state::JOINERS;
use super::{Shared, ThreadPool};
use crate::error::SetSizeError;

/// Somebody who waits for threads to end; what it has asked for is asked for no longer when it goes.
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
    /// How many threads live now.
    pub fn size(&self) -> usize {
        self.shared().state.lock().threads
    }

    /// How many threads there may be.
    pub fn maxsize(&self) -> usize {
        self.shared().state.lock().maxsize
    }

    /// Sets how many threads there may be. Does not let others run.
    ///
    /// A greater number wakes those who wait for room to spawn, and starts threads for what is queued. With a smaller one
    /// the threads that are too many end in the background: those that rest at once, the others after the job that they
    /// run. At 0 the last thread ends when nothing is queued any more; what is spawned from then on, one job, runs once the
    /// number rises.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::ThreadPool;
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
            // What failed has its failure.
            let _ = shared.start(thread);
        }
    }

    /// Starts threads ahead of need until so many live, or has as many end and waits until no more than that are left.
    ///
    /// What is running and what is queued is done first; threads that are needed for jobs of others meanwhile are started all
    /// the same. Lets others run only if it waits.
    ///
    /// # Errors
    ///
    /// [`SetSizeError::AboveMaxsize`], and nothing is done; [`SetSizeError::Thread`] when the system refuses to start a thread.
    ///
    /// # Panics
    ///
    /// When a job of this pool calls it.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes the wish back: threads that have not ended by then stay.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::{SetSizeError, ThreadPool};
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

    /// Has all threads end, and waits until they have: [`set_size`](ThreadPool::set_size) 0.
    ///
    /// What is running and what is queued is done first; a thread cannot be killed. Called right after a spawn it waits for that
    /// job too, unless there is no thread to run it: a pool of size 0 keeps what it has accepted. The pool can be used again.
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

    /// Waits until no more than `size` threads are left; says whether they were gone in time.
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

pub(super) fn call_all(seats: &[Arc<Seat>]) {
    seats.iter().for_each(|seat| seat.call());
}
