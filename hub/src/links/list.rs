//! The two lists of those who want to be told, in order of arrival.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;

use crate::task::Token;

/// Names one entry of one list, for `unlink`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub(crate) u64);

/// Whom to tell.
pub(crate) enum Target {
    /// A greenlet that waits.
    Wake(Token),
    /// A function that the hub calls.
    Call(Box<dyn FnOnce()>),
    /// A function that gets a raw greenlet of its own, entered at once.
    Spawn(Box<dyn FnOnce()>),
}

pub(super) struct Entry {
    pub(super) id: LinkId,
    pub(super) target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Notifier {
    Idle,
    Queued(u64),
    Running,
}

/// One of the two lines of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The usual line.
    First,
    /// The other side's line (getters beside putters), or that of the late.
    Second,
}

/// How a pass serves an object's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody in line when the object was last ready, whatever happens meanwhile: an event.
    Everybody,
    /// One after the other as long as the object is ready: a semaphore.
    WhileReady,
    /// The lane that the object names, until it names none: a bounded queue. Goes on in a later turn if that takes long.
    Lanes,
}

/// The two lists themselves.
pub(crate) struct Links {
    lanes: [RefCell<VecDeque<Entry>>; 2],
    pub(super) notifier: Cell<Notifier>,
    pub(super) promised: Cell<LinkId>,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Links {
            lanes: [RefCell::new(VecDeque::new()), RefCell::new(VecDeque::new())],
            notifier: Cell::new(Notifier::Idle),
            promised: Cell::new(LinkId(0)),
        }
    }

    pub(super) fn lane(&self, lane: Lane) -> &RefCell<VecDeque<Entry>> {
        &self.lanes[lane as usize]
    }

    pub(crate) fn add(&self, lane: Lane, id: LinkId, target: Target) {
        self.lane(lane).borrow_mut().push_back(Entry { id, target });
    }

    /// Adds a waiter: like `add`, and made in its place as an item of [`Core::push_resume`](crate::core::Core) is.
    #[inline]
    pub(crate) fn add_waiter(&self, lane: Lane, id: LinkId, token: Token) {
        let mut lane = self.lane(lane).borrow_mut();
        if lane.len() == lane.capacity() {
            lane.reserve(1);
        }
        if lane.len() < lane.capacity() {
            lane.push_back(Entry { id, target: Target::Wake(token) });
        }
    }

    /// Removes an entry; false when it was served or removed before.
    #[inline]
    pub(crate) fn remove(&self, id: LinkId) -> bool {
        // Mostly it was the only one, and has been served.
        !self.is_empty() && self.take_out(id)
    }

    fn take_out(&self, id: LinkId) -> bool {
        // The entry is dropped after the borrow: a closure's captures may run the user's code.
        let removed = self.lanes.iter().find_map(|lane| take_entry(lane, id));
        removed.is_some()
    }

    /// Calls off a pass that is queued for nobody (rules 2 and 4).
    pub(crate) fn call_off_if_empty(&self) {
        if matches!(self.notifier.get(), Notifier::Queued(_)) && self.is_empty() {
            self.notifier.set(Notifier::Idle);
        }
    }

    pub(crate) fn clear(&self) {
        for lane in &self.lanes {
            let entries = std::mem::take(&mut *lane.borrow_mut());
            drop(entries);
        }
    }

    /// Takes every waiting greenlet out of both lanes; getters, in the second, come before putters, as in gevent.
    pub(crate) fn take_waiters(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for lane in self.lanes.iter().rev() {
            lane.borrow_mut().retain(|entry| match entry.target {
                Target::Wake(token) => {
                    tokens.push(token);
                    false
                }
                Target::Call(_) | Target::Spawn(_) => true,
            });
        }
        tokens
    }

    /// How many stand in each lane.
    #[inline]
    pub(crate) fn waiting(&self) -> [usize; 2] {
        [self.lanes[0].borrow().len(), self.lanes[1].borrow().len()]
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting().iter().sum()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting() == [0, 0]
    }

    /// Promises a turn to everybody in the first lane (rule 5).
    pub(super) fn promise(&self) {
        if let Some(last) = self.lanes[0].borrow().back() {
            self.promised.set(last.id);
        }
    }

    /// Whether anybody is promised a turn (rules 4 and 5).
    pub(super) fn owes(&self) -> bool {
        let first = self.lanes[0].borrow().front().is_some_and(|entry| entry.id <= self.promised.get());
        first || !self.lanes[1].borrow().is_empty()
    }

    /// Whether a pass is queued or running.
    #[inline]
    pub(crate) fn notifying(&self) -> bool {
        self.notifier.get() != Notifier::Idle
    }

    /// Marks a pass as queued; false when one is queued or running already, or there is nobody to tell.
    pub(crate) fn begin_queue(&self, ticket: u64) -> bool {
        if self.notifying() || self.is_empty() {
            return false;
        }
        self.notifier.set(Notifier::Queued(ticket));
        true
    }
}

fn take_entry(list: &RefCell<VecDeque<Entry>>, id: LinkId) -> Option<Entry> {
    let mut list = list.borrow_mut();
    // In order of arrival, which is that of the numbers: thousands of waiters may be killed in any order.
    let at = list.binary_search_by_key(&id, |entry| entry.id).ok()?;
    list.remove(at)
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links({})", self.len())
    }
}
