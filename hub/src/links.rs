//! The ordered list of those who want to be told: links, raw links and waiting greenlets, in order of arrival.
//!
//! One list serves greenlets and every waitable object. Telling is a *pass*: one item of the hub's queue, in whose
//! turn the entries are served one after another ([`Pass::next`] hands them out). A greenlet that is resumed by
//! a pass runs until it waits again before the next entry has its turn.
//!
//! Rules of the state (all on one thread):
//! 1. An entry is removed before it is served, so it is served at most once.
//! 2. `notifier` is `Queued(ticket)` from the moment a pass is queued until it begins or is called off, and
//!    `Running` until it ends. A queued item whose ticket differs was called off.
//! 3. An object's pass serves those who were there when it began; entries added meanwhile wait for the next one,
//!    which is queued when the pass ends and the object is still ready. A greenlet's pass serves until none is left.
//! 4. Who waits on an object that is ready while its pass is queued or running stands in `late` and is served
//!    at the end of that pass. As long as anybody stands there the pass is not called off.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use crate::report::ErrorContext;
use crate::task::{TaskRef, Token};

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

struct Entry {
    id: LinkId,
    target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Notifier {
    Idle,
    Queued(u64),
    Running,
}

/// The list itself.
pub(crate) struct Links {
    entries: RefCell<VecDeque<Entry>>,
    late: RefCell<VecDeque<Entry>>,
    notifier: Cell<Notifier>,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Links {
            entries: RefCell::new(VecDeque::new()),
            late: RefCell::new(VecDeque::new()),
            notifier: Cell::new(Notifier::Idle),
        }
    }

    pub(crate) fn add(&self, id: LinkId, target: Target) {
        self.entries.borrow_mut().push_back(Entry { id, target });
    }

    /// Adds one who is to be served behind those that the present pass serves (rule 4).
    pub(crate) fn add_late(&self, id: LinkId, target: Target) {
        self.late.borrow_mut().push_back(Entry { id, target });
    }

    /// Removes an entry; false when it was served or removed before.
    pub(crate) fn remove(&self, id: LinkId) -> bool {
        // The entry is dropped after the borrow: a closure's captures may run the user's code.
        let removed = take_entry(&self.entries, id).or_else(|| take_entry(&self.late, id));
        removed.is_some()
    }

    /// Calls off a pass that is queued for nobody (rules 2 and 4).
    pub(crate) fn call_off_if_empty(&self) {
        if matches!(self.notifier.get(), Notifier::Queued(_)) && self.is_empty() {
            self.notifier.set(Notifier::Idle);
        }
    }

    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries.borrow_mut());
        let late = std::mem::take(&mut *self.late.borrow_mut());
        drop((entries, late));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len() + self.late.borrow().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty() && self.late.borrow().is_empty()
    }

    /// Whether a pass is queued or running.
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

/// Something with a list of links of its own, other than a greenlet.
pub(crate) trait Linkable: 'static {
    fn links(&self) -> &Links;
    /// Whether somebody who waits for it would not have to.
    fn ready(&self) -> bool;
    /// Whether a pass serves everybody (an event), or only while it stays ready (a semaphore).
    fn serves_all(&self) -> bool;
    /// What the error report calls it.
    fn kind(&self) -> &'static str;
}

/// Whose links are served.
#[derive(Clone)]
pub(crate) enum Notified {
    Greenlet(TaskRef),
    Object(Rc<dyn Linkable>),
}

impl Notified {
    pub(crate) fn links(&self) -> &Links {
        match self {
            Notified::Greenlet(record) => &record.task.links,
            Notified::Object(object) => object.links(),
        }
    }

    /// Whether a pass is owed as soon as somebody is there.
    pub(crate) fn ready(&self) -> bool {
        match self {
            Notified::Greenlet(record) => record.task.ready(),
            Notified::Object(object) => object.ready(),
        }
    }

    /// The context under which an error of one of its links is reported.
    pub(crate) fn context(&self) -> ErrorContext {
        match self {
            Notified::Greenlet(record) => {
                ErrorContext::Link(Some(crate::greenlet::AnyGreenlet::from(record)))
            }
            Notified::Object(object) => ErrorContext::ObjectLink(object.kind()),
        }
    }
}

/// One turn of telling, resumable between any two entries.
pub(crate) struct Pass {
    pub(crate) of: Notified,
    stage: Stage,
}

enum Stage {
    Begin,
    /// Serving the entries up to this one.
    Until(LinkId),
    /// Serving the late ones up to this one.
    LateUntil(LinkId),
    End,
}

impl Pass {
    /// Begins the pass that was queued under `ticket`, unless it was called off.
    pub(crate) fn begin(of: Notified, ticket: u64) -> Option<Pass> {
        if of.links().notifier.get() != Notifier::Queued(ticket) {
            return None;
        }
        of.links().notifier.set(Notifier::Running);
        Some(Pass { of, stage: Stage::Begin })
    }

    /// The next to be told, or `None` when the pass is over.
    pub(crate) fn next(&mut self) -> Option<Target> {
        let links = self.of.links();
        let object = match &self.of {
            Notified::Greenlet(_) => return links.entries.borrow_mut().pop_front().map(|entry| entry.target),
            Notified::Object(object) => object,
        };
        let serves_all = object.serves_all();
        loop {
            let (list, until) = match self.stage {
                Stage::Begin => {
                    self.stage = match links.entries.borrow().back() {
                        Some(last) => Stage::Until(last.id),
                        None => self.late_stage(),
                    };
                    continue;
                }
                Stage::Until(last) => (&links.entries, last),
                Stage::LateUntil(last) => (&links.late, last),
                Stage::End => return None,
            };
            if !serves_all && !object.ready() {
                return None;
            }
            let entry = {
                let mut list = list.borrow_mut();
                let due = list.front().is_some_and(|entry| entry.id <= until);
                if due { list.pop_front() } else { None }
            };
            match entry {
                Some(entry) => return Some(entry.target),
                None => {
                    self.stage = match self.stage {
                        Stage::Until(_) => self.late_stage(),
                        _ => Stage::End,
                    }
                }
            }
        }
    }

    fn late_stage(&self) -> Stage {
        self.of.links().late.borrow().back().map_or(Stage::End, |last| Stage::LateUntil(last.id))
    }

    /// Ends the pass; true when another is owed at once.
    pub(crate) fn end(&self) -> bool {
        let links = self.of.links();
        links.notifier.set(Notifier::Idle);
        self.of.ready() && !links.is_empty()
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links({})", self.len())
    }
}
