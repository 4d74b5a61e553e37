//! The parker of an idle thread of a pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ramie_hub::{Waker, get_hub, has_hub};

use super::job::guarded;

/// The parker of one thread.
pub(super) struct IdleThread {
    thread: Thread,
    called: AtomicBool,
    /// The waker of a thread that is parked in its hub.
    waker: Mutex<Option<Waker>>,
}

impl IdleThread {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(IdleThread {
            thread: thread::current(),
            called: AtomicBool::new(false),
            waker: Mutex::new(None),
        })
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unparks a thread that was removed from the idle list. Must be called after the lock is
    /// released.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::Release);
        // Reads the waker after setting the flag: a parking thread stores its waker and then checks
        // the flag.
        let waker = self.waker().take();
        match waker {
            Some(waker) => drop(waker.wake()),
            None => self.thread.unpark(),
        }
    }

    /// Parks the thread until it is called, or for at most `timeout`. Returns `true` if it was
    /// called.
    ///
    /// A thread that has a hub parks in the hub: results that were sent to the hub are delivered,
    /// and release their capacity.
    pub(super) fn rest(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // A job may leave an unpark token behind, and a late call for an earlier park consumes the
        // waker. Only the flag counts.
        loop {
            let waiter = has_hub().then(|| {
                let (waits, wakes) = get_hub().waiter();
                *self.waker() = Some(wakes);
                waits
            });
            if self.called.swap(false, Ordering::Acquire) {
                return true;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return self.called.swap(false, Ordering::Acquire);
            }
            match (&waiter, left) {
                (None, None) => thread::park(),
                (None, Some(left)) => thread::park_timeout(left),
                // An exception that a greenlet of an earlier job raises in main has no receiver
                // left, and is printed.
                (Some(waiter), None) => drop(guarded(|| waiter.wait())),
                (Some(waiter), Some(left)) => drop(guarded(|| {
                    waiter.wait_timeout(left);
                })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ramie_hub::{sleep, spawn};

    use super::*;

    /// A caller sets the flag and then wakes: the thread may have run and parked again in between.
    #[test]
    fn a_call_that_comes_late_ends_no_later_rest() {
        get_hub();
        let idle_thread = IdleThread::new();
        let callers = idle_thread.clone();
        let _greenlet = spawn(move || {
            let late = callers.waker().take().expect("the thread is parked in its hub");
            late.wake();
            sleep(Duration::from_millis(5));
            callers.call();
        });
        assert!(idle_thread.rest(None));
    }
}
