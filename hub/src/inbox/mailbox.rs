//! A queue with many pushing threads and one taking thread, which is notified once for a burst.
//!
//! Rules of the shared state:
//! 1. `closed` only ever goes from false to true, under the lock. A letter is queued under the same
//!    lock, so it is either taken by the owner or given back to its sender.
//! 2. A sender pushes first and then swaps `signalled` to true. The sender that finds false must
//!    notify the owner.
//! 3. The owner sets `signalled` to false before it takes the queue. A push that the take misses is
//!    therefore followed by a swap that finds false, and so by a notification: no push is lost, and
//!    a burst notifies once.

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;

use crate::loom::{AtomicBool, Mutex, Ordering};

struct Queue<M> {
    letters: VecDeque<M>,
    closed: bool,
}

/// The posted messages that were not taken.
pub(crate) struct Mailbox<M> {
    queue: Mutex<Queue<M>>,
    signalled: CachePadded<AtomicBool>,
}

impl<M> Mailbox<M> {
    pub(crate) fn new() -> Self {
        Mailbox {
            queue: Mutex::new(Queue { letters: VecDeque::new(), closed: false }),
            signalled: CachePadded::new(AtomicBool::new(false)),
        }
    }

    /// Queues the letter made from the payload. Returns `true` if the sender must notify the owner.
    /// Gives the payload back when the mailbox is closed.
    pub(crate) fn push<P>(&self, payload: P, letter: impl FnOnce(P) -> M) -> Result<bool, P> {
        {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Err(payload);
            }
            queue.letters.push_back(letter(payload));
        }
        Ok(!self.signalled.swap(true, Ordering::AcqRel))
    }

    /// Returns `true` if a letter was posted since the last `take`. One load, which the owner can
    /// afford in every turn.
    pub(crate) fn signalled(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }

    /// Returns the present number of letters.
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().letters.len()
    }

    /// Takes all letters, in order (rule 3).
    pub(crate) fn take(&self) -> VecDeque<M> {
        // A swap instead of a store: every change of the flag is then ordered after all changes
        // before it, also in loom's model, which lets a plain store move in front of a swap that
        // has read past it.
        self.signalled.swap(false, Ordering::AcqRel);
        // The lock orders this take against every push; rule 3 covers a push that it misses.
        std::mem::take(&mut self.queue.lock().letters)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// Closes the mailbox: every later letter is rejected. Returns the queued letters.
    pub(crate) fn close(&self) -> VecDeque<M> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        std::mem::take(&mut queue.letters)
    }
}
