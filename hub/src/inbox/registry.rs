//! Who of one hub waits for what other threads do too: a register, by which the end of that hub takes them back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use crate::task::Lane;

/// How the end of a hub reaches those of its greenlets that still wait, whatever they wait for.
pub(crate) trait Leave {
    /// Takes back a waiter that is never going to look again.
    fn forsake(&self, lane: Lane, ticket: u64);
    /// Takes back a link.
    fn unlink(&self, lane: Lane, ticket: u64);
}

/// Somebody's place in a line of any queue.
pub(crate) struct Registered {
    pub(crate) queue: Arc<dyn Leave>,
    pub(crate) lane: Lane,
    pub(crate) ticket: u64,
}

impl Registered {
    /// Takes back a waiter that is never going to look again.
    pub(crate) fn forsake(&self) {
        self.queue.forsake(self.lane, self.ticket);
    }

    /// Takes back a link.
    pub(crate) fn unlink(&self) {
        self.queue.unlink(self.lane, self.ticket);
    }
}

/// A function that stands in a line for this thread's hub to call it.
pub(crate) struct Link {
    pub(crate) place: Registered,
    pub(crate) f: Box<dyn FnOnce()>,
}

impl Link {
    /// Gives up its place, and lets go of the function.
    pub(crate) fn leave(self) {
        self.place.unlink();
    }
}

/// Who of one hub waits for what other threads do too. Its end takes them back.
#[derive(Default)]
pub(crate) struct Abroad {
    pub(crate) waits: RefCell<Slab<Registered>>,
    /// Each counts as a reference that keeps the loop alive.
    pub(crate) links: RefCell<HashMap<u64, Link>>,
}
