//! The only part of a hub that other threads touch: a queue of posted closures and the poller's waker.
//!
//! Rules of the shared state:
//! 1. `closed` only ever goes from false to true, under the lock; a closure is queued under the same lock, so it is
//!    either taken by the hub or given back to its sender.
//! 2. A sender pushes first and then swaps `signalled` to true; the one that finds false writes to the waker.
//! 3. The hub sets `signalled` to false before it takes the queue. A push that the taking misses therefore comes
//!    with a swap that finds false, and so with a wake: none is lost, and a burst costs one write.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_utils::CachePadded;
use mio::Waker;
use parking_lot::Mutex;

use crate::error::HubGone;

/// A closure that another thread wants run in the hub.
pub(crate) type Message = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    closed: bool,
}

/// What a hub shares with other threads.
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    signalled: CachePadded<AtomicBool>,
    waker: Waker,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Inbox {
            queue: Mutex::new(Queue::default()),
            signalled: CachePadded::new(AtomicBool::new(false)),
            waker,
        })
    }

    /// Queues what `message` makes of the payload and wakes the hub; gives the payload back when the hub is gone.
    pub(crate) fn post<P>(&self, payload: P, message: impl FnOnce(P) -> Message) -> Result<(), HubGone<P>> {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Err(HubGone(payload));
            }
            queue.messages.push_back(message(payload));
        }
        if !self.signalled.swap(true, Ordering::AcqRel) {
            // A waker that cannot be written to leaves the message queued; the hub finds it on its next turn.
            let _ = self.waker.wake();
        }
        Ok(())
    }

    /// Whether something was posted since the last taking. One load, for the hub to call in every turn.
    pub(crate) fn signalled(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }

    /// Takes everything that was posted, in order (rule 3).
    pub(crate) fn take(&self) -> VecDeque<Message> {
        self.signalled.store(false, Ordering::Release);
        // The lock orders this taking against every push; see rule 3 for the one it may miss.
        std::mem::take(&mut self.queue.lock().messages)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// Refuses everything from now on and returns what was queued.
    pub(crate) fn close(&self) -> VecDeque<Message> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        std::mem::take(&mut queue.messages)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("signalled", &self.signalled()).finish_non_exhaustive()
    }
}
