//! The registry of a hub's waits and links in objects that are shared between threads. The end of
//! the hub withdraws them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use crate::task::Lane;

/// A queue from which the end of a hub withdraws its greenlets' waits and links.
pub(crate) trait ForeignQueue {
    /// Withdraws a waiter that will never check the state again.
    fn abandon(&self, lane: Lane, ticket: u64);
    /// Withdraws a link.
    fn unlink(&self, lane: Lane, ticket: u64);
}

/// A position in a queue of any type.
pub(crate) struct Registration {
    pub(crate) queue: Arc<dyn ForeignQueue>,
    pub(crate) lane: Lane,
    pub(crate) ticket: u64,
}

impl Registration {
    /// Withdraws the waiter, which will never check the state again.
    pub(crate) fn abandon(&self) {
        self.queue.abandon(self.lane, self.ticket);
    }

    /// Withdraws the link.
    pub(crate) fn unlink(&self) {
        self.queue.unlink(self.lane, self.ticket);
    }
}

/// A queued function that this thread's hub calls.
pub(crate) struct Link {
    pub(crate) place: Registration,
    pub(crate) f: Box<dyn FnOnce()>,
}

impl Link {
    /// Withdraws the link and drops the function.
    pub(crate) fn leave(self) {
        self.place.unlink();
    }
}

/// The waits and links of one hub in shared objects. The end of the hub withdraws them.
#[derive(Default)]
pub(crate) struct ForeignWaits {
    pub(crate) waits: RefCell<Slab<Registration>>,
    /// Each link counts as a reference that keeps the loop alive.
    pub(crate) links: RefCell<HashMap<u64, Link>>,
}
