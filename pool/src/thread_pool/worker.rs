//! The threads of a pool: start, work and end.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::thread;

use ramie_hub::{has_hub, yield_now};

use super::Shared;
use super::idle_thread::IdleThread;
use super::job::{Refusal, guarded, refuse_all};
use super::state::{Next, Wakeup};

thread_local! {
    /// The address of the pool that this thread works for; 0 means none.
    static WORKS_FOR: Cell<usize> = const { Cell::new(0) };
}

impl Shared {
    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Returns `true` if the caller runs on a thread of this pool.
    pub(super) fn is_inside(self: &Arc<Self>) -> bool {
        WORKS_FOR.get() == self.address()
    }

    /// Panics on a call that would wait for the thread it is made on.
    #[track_caller]
    pub(super) fn assert_outside(self: &Arc<Self>, call: &str) {
        assert!(
            !self.is_inside(),
            "{call} must not be called by a job of the pool: it would wait for itself"
        );
    }

    pub(super) fn help(self: &Arc<Self>, help: Wakeup) {
        match help {
            Wakeup::Enough => {}
            Wakeup::Watch => self.watch(),
            Wakeup::Call(idle_thread) => idle_thread.call(),
            Wakeup::Start(thread) => {
                // A failure to start fails the queued jobs; no other caller needs the error.
                let _ = self.start(thread);
            }
        }
    }

    /// Starts a thread that has been counted. If the system refuses and no other thread lives,
    /// every queued job fails; otherwise the other threads do the work.
    pub(super) fn start(self: &Arc<Self>, thread: usize) -> io::Result<()> {
        let mut builder = thread::Builder::new().name(format!("{}-{thread}", self.name));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        let shared = self.clone();
        let work = move || {
            WORKS_FOR.set(shared.address());
            shared.work(thread);
            // The destructors of the thread-locals belong to no job, and another pool may reuse the
            // address.
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
        let idle_thread = IdleThread::new();
        loop {
            let next = self.state.lock().next(thread, &idle_thread);
            match next {
                Next::Run(entry) => {
                    drop(guarded(|| entry.run()));
                    if has_hub() {
                        // Lets the hub deliver messages that were sent to it, however busy the pool
                        // is.
                        drop(guarded(yield_now));
                    }
                }
                Next::Rest => {
                    if !idle_thread.rest(self.idle_timeout) {
                        let ended = self.state.lock().expire(thread, &idle_thread);
                        match ended {
                            Some(ended) => return ended.tell(),
                            // The thread that has removed this one from the idle list is about to
                            // call it.
                            None => drop(idle_thread.rest(None)),
                        }
                    }
                }
                Next::End(ended) => return ended.tell(),
            }
        }
    }
}
