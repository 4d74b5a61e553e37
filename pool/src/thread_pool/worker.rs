//! The threads of a pool: how they rest, are called, work and end.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ramie_hub::{Waker, get_hub, has_hub, yield_now};

use super::Shared;
use super::job::{Refusal, guarded, refuse_all};
use super::state::{Help, Next};

thread_local! {
    /// The pool that this thread works for, by its address; 0 is none.
    static WORKS_FOR: Cell<usize> = const { Cell::new(0) };
}

/// Where a thread rests until it is called.
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
    fn rest(&self, timeout: Option<Duration>) -> bool {
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

impl Shared {
    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Whether the caller runs on a thread of this pool.
    pub(super) fn is_inside(self: &Arc<Self>) -> bool {
        WORKS_FOR.get() == self.address()
    }

    /// Refuses a call that would wait for the very thread it is made on.
    #[track_caller]
    pub(super) fn assert_outside(self: &Arc<Self>, call: &str) {
        assert!(!self.is_inside(), "{call} called by a job of the pool, which would wait for itself");
    }

    pub(super) fn help(self: &Arc<Self>, help: Help) {
        match help {
            Help::Enough => {}
            Help::Call(seat) => seat.call(),
            Help::Start(thread) => {
                // What failed has its failure: nobody else is to be told.
                let _ = self.start(thread);
            }
        }
    }

    /// Starts a thread that has been counted. If the system refuses, and no other thread lives, everything that is queued
    /// fails; otherwise the others do the work.
    pub(super) fn start(self: &Arc<Self>, thread: usize) -> io::Result<()> {
        let mut builder = thread::Builder::new().name(format!("{}-{thread}", self.name));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        let shared = self.clone();
        let work = move || {
            WORKS_FOR.set(shared.address());
            shared.work(thread);
            // The destructors of the thread-locals are nobody's job, and the address may be another pool's soon.
            WORKS_FOR.set(0);
        };
        builder.spawn(work).map(drop).inspect_err(|error| {
            let (ended, left) = {
                let mut state = self.state.lock();
                let ended = state.end(thread);
                let left = if state.threads == 0 { state.withdraw_all() } else { Vec::new() };
                (ended, left)
            };
            ended.tell();
            refuse_all(left, &Refusal::NoThread(error));
        })
    }

    fn work(self: &Arc<Self>, thread: usize) {
        let seat = Seat::new();
        loop {
            let next = self.state.lock().next(thread, &seat);
            match next {
                Next::Run(entry) => {
                    drop(guarded(|| entry.run()));
                    if has_hub() {
                        // What was sent to it has a turn, however busy the pool is.
                        drop(guarded(yield_now));
                    }
                }
                Next::Rest => {
                    if !seat.rest(self.idle_timeout) {
                        let ended = self.state.lock().expire(thread, &seat);
                        match ended {
                            Some(ended) => return ended.tell(),
                            // Whoever took it out is about to call.
                            None => drop(seat.rest(None)),
                        }
                    }
                }
                Next::End(ended) => return ended.tell(),
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
