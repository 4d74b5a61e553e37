//! A queue that many threads push to and one takes from, which is told of a burst once.
//!
//! Rules of the shared state:
//! 1. `closed` only ever goes from false to true, under the lock; a letter is queued under the same lock, so it is
//!    either taken by the owner or given back to its sender.
//! 2. A sender pushes first and then swaps `signalled` to true; the one that finds false has to ring.
//! 3. The owner sets `signalled` to false before it takes the queue. A push that the taking misses therefore comes
//!    with a swap that finds false, and so with a ring: none is lost, and a burst rings once.

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;

use crate::loom::{AtomicBool, Mutex, Ordering};

struct Queue<M> {
    letters: VecDeque<M>,
    closed: bool,
}

/// What is posted and not taken yet.
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

    /// Queues what `letter` makes of the payload; says whether the sender has to ring. Gives the payload back when the
    /// box is closed.
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

    /// Whether something was posted since the last taking. One load, for the owner to call in every turn.
    pub(crate) fn signalled(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }

    /// How much is posted and not taken yet, at this moment.
    pub(crate) fn len(&self) -> usize {
        self.queue.lock().letters.len()
    }

    /// Takes everything that was posted, in order (rule 3).
    pub(crate) fn take(&self) -> VecDeque<M> {
        // A swap and not a store: so every change of the flag comes after all before it, for loom's eyes too, which let
        // a plain store slip in front of a swap that has read past it.
        self.signalled.swap(false, Ordering::AcqRel);
        // The lock orders this taking against every push; see rule 3 for the one it may miss.
        std::mem::take(&mut self.queue.lock().letters)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    /// Refuses everything from now on and returns what was queued.
    pub(crate) fn close(&self) -> VecDeque<M> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        std::mem::take(&mut queue.letters)
    }
}
