//! Access to lent work after the lender's hub may have ended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Condvar;

use crate::inbox::thread_bound::hub_number;
use crate::loom::Mutex;

/// A latch that decides whether lent work may be touched. A greenlet that waits for the work may be
/// abandoned at the end of its thread, and the work may borrow a thread-local through that
/// greenlet.
pub(crate) struct Gate {
    passage: Mutex<Passage>,
    left: Condvar,
    home: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passage {
    Open,
    /// The work is being run or dropped by a thread that works for this hub, or for no hub (0).
    Within(u64),
    Closed,
}

impl Gate {
    /// Creates the latch of work that the hub with this number lends.
    pub(crate) fn new(home: u64) -> Self {
        Gate { passage: Mutex::new(Passage::Open), left: Condvar::new(), home }
    }

    /// Grants access to the work, unless the access was taken before or the hub has ended.
    pub(crate) fn enter(&self) -> Option<Leave<'_>> {
        let mut passage = self.passage.lock();
        if *passage != Passage::Open {
            return None;
        }
        *passage = Passage::Within(hub_number());
        Some(Leave(self))
    }

    /// Closes the latch when the lender's hub ends: no access is granted any more, and a running
    /// access of another thread is waited for. An access from the lender's own hub is not waited
    /// for, since its greenlets never run again.
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

/// A granted access, which ends when this is dropped.
pub(crate) struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        *self.0.passage.lock() = Passage::Closed;
        self.0.left.notify_all();
    }
}

/// The latches of a hub, by number.
pub(crate) type Gates = RefCell<HashMap<u64, Arc<Gate>>>;
