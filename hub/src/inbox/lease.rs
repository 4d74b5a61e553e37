//! Access to lent work after the lender's hub may have ended.

use std::time::Duration;

use parking_lot::Condvar;

use crate::inbox::thread_bound::hub_number;
use crate::loom::Mutex;

/// A latch that decides whether lent work may be touched. A greenlet that waits for the work may be
/// abandoned at the end of its thread, and the work may borrow a thread-local through that
/// greenlet.
pub(crate) struct Lease {
    passage: Mutex<LeaseState>,
    left: Condvar,
    home: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LeaseState {
    Open,
    /// The work is being run or dropped by a thread that works for this hub, or for no hub (0).
    Within(u64),
    Closed,
}

impl Lease {
    /// Creates the latch of work that the hub with this number lends.
    pub(crate) fn new(home: u64) -> Self {
        Lease { passage: Mutex::new(LeaseState::Open), left: Condvar::new(), home }
    }

    /// Grants access to the work, unless the access was taken before or the hub has ended.
    pub(crate) fn enter(&self) -> Option<LeaseGuard<'_>> {
        let mut passage = self.passage.lock();
        if *passage != LeaseState::Open {
            return None;
        }
        *passage = LeaseState::Within(hub_number());
        Some(LeaseGuard(self))
    }

    /// Closes the latch when the lender's hub ends: no access is granted any more. Returns `true`
    /// if another thread has access. (An access by a greenlet of the lender's own hub never
    /// continues.)
    pub(crate) fn close(&self) -> bool {
        let mut passage = self.passage.lock();
        if *passage == LeaseState::Open {
            *passage = LeaseState::Closed;
        }
        self.is_entered(*passage)
    }

    /// Waits until no other thread has access, or until `limit`. Returns `true` if none has. Blocks
    /// the thread.
    pub(crate) fn wait_left(&self, limit: Option<Duration>) -> bool {
        let mut passage = self.passage.lock();
        while self.is_entered(*passage) {
            match limit {
                None => self.left.wait(&mut passage),
                Some(limit) if self.left.wait_for(&mut passage, limit).timed_out() => break,
                Some(_) => {}
            }
        }
        !self.is_entered(*passage)
    }

    fn is_entered(&self, passage: LeaseState) -> bool {
        matches!(passage, LeaseState::Within(hub) if hub != self.home)
    }
}

/// A granted access, which ends when this is dropped.
pub(crate) struct LeaseGuard<'a>(&'a Lease);

impl Drop for LeaseGuard<'_> {
    fn drop(&mut self) {
        *self.0.passage.lock() = LeaseState::Closed;
        self.0.left.notify_all();
    }
}
