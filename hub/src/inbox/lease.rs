//! Who may touch work that was lent, when the hub of its lender may end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Condvar;

use crate::inbox::thread_bound::hub_number;
use crate::loom::Mutex;

/// Whether lent work may be touched. A greenlet that waits for it may be abandoned at the end of its thread, and the work
/// may borrow a thread-local through it.
pub(crate) struct Gate {
    passage: Mutex<Passage>,
    left: Condvar,
    home: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passage {
    Open,
    /// The work is being run or dropped by a thread that works for this hub, or for none (0).
    Within(u64),
    Closed,
}

impl Gate {
    /// The gate of work that the hub with this number lends.
    pub(crate) fn new(home: u64) -> Self {
        Gate { passage: Mutex::new(Passage::Open), left: Condvar::new(), home }
    }

    /// Lets somebody in to the work, unless the hub has ended.
    pub(crate) fn enter(&self) -> Option<Leave<'_>> {
        let mut passage = self.passage.lock();
        if *passage != Passage::Open {
            return None;
        }
        *passage = Passage::Within(hub_number());
        Some(Leave(self))
    }

    /// The lender's hub ends: nobody enters any more, and who is within is waited for. That is another thread: a greenlet
    /// of the lender's own hub never goes on.
    pub(crate) fn close(&self) {
        let mut passage = self.passage.lock();
        if *passage == Passage::Open {
            *passage = Passage::Closed;
        }
        while matches!(*passage, Passage::Within(hub) if hub != self.home) {
            self.left.wait(&mut passage);
        }
    }
}

/// Whoever is within leaves, one way or another.
pub(crate) struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        *self.0.passage.lock() = Passage::Closed;
        self.0.left.notify_all();
    }
}

/// The gates of a hub by a number of theirs.
pub(crate) type Gates = RefCell<HashMap<u64, Arc<Gate>>>;
