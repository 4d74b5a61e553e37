//! Where a thread of a pool rests until it is called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ramie_hub::{Waker, get_hub, has_hub};

use super::job::guarded;

/// The place of one thread.
pub(super) struct Seat {
    thread: Thread,
    called: AtomicBool,
    /// How to call one that rests in its hub.
    waker: Mutex<Option<Waker>>,
}

impl Seat {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Seat { thread: thread::current(), called: AtomicBool::new(false), waker: Mutex::new(None) })
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the rest of a thread that was taken out of those who rest. To be called once the lock is free.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::Release);
        // Looked for after the flag was set: who rests puts it there and then looks at the flag.
        let waker = self.waker().take();
        match waker {
            Some(waker) => drop(waker.wake()),
            None => self.thread.unpark(),
        }
    }

    /// Rests until it is called, or at most that long; says whether it was called.
    ///
    /// A thread that has a hub rests in it: results that were sent there have their turn, and give their room back.
    pub(super) fn rest(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // A job may have left an unpark behind, and a late call for an earlier rest uses the waker up: only the flag counts.
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
                // What greenlets of an earlier job throw at main has nobody left to go to, and is printed.
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

    /// Whoever calls sets the flag and then wakes: by then the thread may have run, and rest again.
    #[test]
    fn a_call_that_comes_late_ends_no_later_rest() {
        get_hub();
        let seat = Seat::new();
        let callers = seat.clone();
        let _greenlet = spawn(move || {
            let late = callers.waker().take().expect("the thread rests in its hub");
            late.wake();
            sleep(Duration::from_millis(5));
            callers.call();
        });
        assert!(seat.rest(None));
    }
}
