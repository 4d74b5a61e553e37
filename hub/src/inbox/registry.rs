//! The registry of everything that another thread, or an object between threads, owes a hub: the
//! answers that its functions wait for, the end of lent work, and its waits and links in shared
//! objects. The end of the hub abandons what is left.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::inbox::homes;
use crate::inbox::hub_inbox::{Inbox, Message};
use crate::inbox::lease::Lease;
use crate::task::{Lane, TaskRef};

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
    /// Withdraws the link.
    pub(crate) fn unlink(&self) {
        self.queue.unlink(self.lane, self.ticket);
    }
}

/// A queued function that this thread's hub calls. It counts as a reference that keeps the loop
/// alive.
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

/// A thing that is owed to a hub.
pub(crate) enum Owed {
    /// An answer: the function that waits for it, of a type that the sender knows.
    Answer(Box<dyn Any>),
    /// The end of lent work: its latch, and its lender, which may be abandoned at the end of the
    /// thread.
    Work(Arc<Lease>, TaskRef),
    /// The end of a wait in a shared object.
    Wait(Registration),
    /// The turn of a link in a shared object.
    Link(Link),
}

impl Owed {
    /// Withdraws this because the hub ends. Drops the user values in it.
    pub(crate) fn abandon(self) {
        match self {
            Owed::Answer(_) | Owed::Work(..) => {}
            Owed::Wait(place) => place.queue.abandon(place.lane, place.ticket),
            Owed::Link(link) => link.leave(),
        }
    }
}

/// The inbox of a hub, and the registry of what comes through it. Each entry has a number of the
/// hub, which is never used twice: a late message finds nothing.
pub(crate) struct Foreign {
    inbox: Arc<Inbox>,
    owed: RefCell<HashMap<u64, Owed, BuildHasherDefault<NumberHasher>>>,
}

impl Foreign {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Foreign {
        homes::enter(&inbox);
        Foreign { inbox, owed: RefCell::default() }
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Returns `true` if this is the inbox of the hub.
    pub(crate) fn is_inbox(&self, inbox: &Arc<Inbox>) -> bool {
        Arc::ptr_eq(&self.inbox, inbox)
    }

    /// Registers an entry under a new number of the hub.
    pub(crate) fn insert(&self, number: u64, owed: Owed) {
        self.owed.borrow_mut().insert(number, owed);
    }

    /// Removes an entry, if it is still registered. Returns it, since it may hold user values.
    pub(crate) fn remove(&self, number: u64) -> Option<Owed> {
        self.owed.borrow_mut().remove(&number)
    }

    /// Removes a link, if it is still registered. The number may be that of another hub's link.
    pub(crate) fn take_link(&self, number: u64) -> Option<Link> {
        let mut owed = self.owed.borrow_mut();
        if !matches!(owed.get(&number)?, Owed::Link(_)) {
            return None;
        }
        match owed.remove(&number)? {
            Owed::Link(link) => Some(link),
            _ => None,
        }
    }

    /// Closes the inbox: nothing can be posted any more. Returns the posted messages. Called once,
    /// before the thread can have another hub.
    pub(crate) fn close_inbox(&self) -> VecDeque<Message> {
        homes::leave();
        self.inbox.close()
    }

    /// Closes the latches of lent work, so that no thread begins it any more. Returns the work that
    /// has begun.
    pub(crate) fn close_work(&self) -> Vec<(Arc<Lease>, TaskRef)> {
        let (mut begun, mut rest) = (Vec::new(), HashMap::default());
        for (number, owed) in self.owed.take() {
            match owed {
                Owed::Work(lease, lender) if lease.close() => begun.push((lease, lender)),
                Owed::Work(..) => {}
                owed => drop(rest.insert(number, owed)),
            }
        }
        self.owed.replace(rest);
        begun
    }

    /// Takes every entry, in the order of the numbers, to be abandoned. To be called after the
    /// inbox is closed: a wake-up that is rejected from then on finds its waiter leaving.
    pub(crate) fn close(&self) -> Vec<Owed> {
        let mut owed = self.owed.take().into_iter().collect::<Vec<_>>();
        owed.sort_by_key(|(number, _)| *number);
        owed.into_iter().map(|(_, owed)| owed).collect()
    }
}

/// A hasher for the numbers of a hub, which no other code chooses.
#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing: the multiplication spreads the number over the upper bits.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
