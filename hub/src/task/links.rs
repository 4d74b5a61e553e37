//! The ordered lists of those who want to be told: links, raw links and waiting greenlets, in order of arrival.
//!
//! One type serves greenlets and every waitable object. Telling is a *pass*: one item of the hub's queue, in whose
//! turn the entries are served one after another ([`Pass::next`] hands them out). A greenlet that is resumed by
//! a pass runs until it waits again before the next entry has its turn.
//!
//! Rules of the state (all on one thread):
//! 1. An entry is removed before it is served, so it is served at most once.
//! 2. `notifier` is `Queued(ticket)` from the moment a pass is queued until it begins or is called off, and
//!    `Running` until it ends. A queued item whose ticket differs was called off.
//! 3. Where one line is served ([`Rule::Everybody`], [`Rule::WhileReady`]), a pass serves those who were there when
//!    it began; entries added meanwhile wait for the next one, which is queued when the pass ends and the object is
//!    still ready. A greenlet's pass, and one over two lanes, serves whoever comes meanwhile as well, but only so many of
//!    them (`MOST_NEWCOMERS`): two that serve each other may go on for ever, and others want their turn.
//! 4. Under [`Rule::Everybody`] the second lane is for the late: who waits on an object that is ready while its pass
//!    is queued or running is served at the end of that pass. As long as anybody stands there the pass is not called
//!    off, and another one is owed, ready or not.
//! 5. There `promised` is the last in the first lane when the object was last seen ready. A pass serves up to it, and it
//!    may grow meanwhile: who came while the object was no longer ready is not told of what was before, and who was
//!    promised is told of it even if the object was ready for a moment only, in the middle of a pass.

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Ordering;
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

/// Entries in order of arrival. Most lines have one at most, so the first has a place of its own.
#[derive(Default)]
pub(super) struct Line {
    /// There is one whenever there are any.
    pub(super) head: Option<Entry>,
    /// Those behind it; made when there is a second.
    #[expect(clippy::box_collection, reason = "nearly every line is without, and this is all it then takes")]
    rest: Option<Box<VecDeque<Entry>>>,
}

impl Line {
    const fn new() -> Line {
        Line { head: None, rest: None }
    }

    fn push(&mut self, entry: Entry) {
        if self.is_empty() {
            self.head = Some(entry);
        } else {
            self.push_behind(entry);
        }
    }

    #[inline(never)]
    fn push_behind(&mut self, entry: Entry) {
        self.rest.get_or_insert_default().push_back(entry);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let first = self.head.take();
        if let Some(rest) = &mut self.rest {
            self.head = rest.pop_front();
        }
        first
    }

    /// Takes one out, wherever it stands. They stand in the order of their numbers, so one below the head's has gone.
    #[inline]
    fn remove(&mut self, id: LinkId) -> Option<Entry> {
        match id.cmp(&self.head.as_ref()?.id) {
            Ordering::Less => None,
            Ordering::Equal => self.pop(),
            Ordering::Greater => self.remove_behind(id),
        }
    }

    #[inline(never)]
    fn remove_behind(&mut self, id: LinkId) -> Option<Entry> {
        let rest = self.rest.as_mut()?;
        // In order of arrival, which is that of the numbers: thousands of waiters may be killed in any order.
        let at = rest.binary_search_by_key(&id, |entry| entry.id).ok()?;
        rest.remove(at)
    }

    /// The first two that wait in a line of so many.
    #[inline]
    pub(super) fn crowd(&self, many: usize) -> Option<[Option<Token>; 2]> {
        let rest = self.rest.as_ref().filter(|rest| rest.len() >= many)?;
        let token = |entry: Option<&Entry>| match entry?.target {
            Target::Wake(token) => Some(token),
            Target::Call(_) | Target::Spawn(_) => None,
        };
        Some([token(self.head.as_ref()), token(rest.front())])
    }

    pub(super) fn last(&self) -> Option<&Entry> {
        self.rest.as_ref().and_then(|rest| rest.back()).or(self.head.as_ref())
    }

    #[inline]
    fn len(&self) -> usize {
        usize::from(self.head.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.head.is_none()
    }
}

/// The two lists themselves.
pub(crate) struct Links {
    first: RefCell<Line>,
    /// Made when somebody first stands there: greenlets never need it, and few objects do.
    second: OnceCell<Box<RefCell<Line>>>,
    pub(super) notifier: Cell<Notifier>,
    pub(super) promised: Cell<LinkId>,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Links {
            first: RefCell::new(Line::new()),
            second: OnceCell::new(),
            notifier: Cell::new(Notifier::Idle),
            promised: Cell::new(LinkId(0)),
        }
    }

    /// A lane in which somebody may have stood.
    #[inline]
    pub(super) fn lane(&self, lane: Lane) -> Option<&RefCell<Line>> {
        match lane {
            Lane::First => Some(&self.first),
            Lane::Second => self.second.get().map(|line| &**line),
        }
    }

    /// Both, as far as there are two.
    fn lanes(&self) -> impl DoubleEndedIterator<Item = &RefCell<Line>> {
        [Lane::First, Lane::Second].into_iter().filter_map(|lane| self.lane(lane))
    }

    pub(crate) fn add(&self, lane: Lane, id: LinkId, target: Target) {
        self.line(lane).borrow_mut().push(Entry { id, target });
    }

    /// Adds a waiter: like `add`, and written in its place, as copying it would wait for the writing to arrive.
    #[inline(always)]
    pub(crate) fn add_waiter(&self, lane: Lane, id: LinkId, token: Token) {
        let mut line = self.line(lane).borrow_mut();
        if line.is_empty() {
            line.head = Some(Entry { id, target: Target::Wake(token) });
        } else {
            line.push_behind(Entry { id, target: Target::Wake(token) });
        }
    }

    #[inline]
    fn line(&self, lane: Lane) -> &RefCell<Line> {
        match lane {
            Lane::First => &self.first,
            Lane::Second => self.second.get_or_init(Box::default),
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
        let removed = take_entry(&self.first, id)
            .or_else(|| self.second.get().and_then(|second| take_entry(second, id)));
        removed.is_some()
    }

    /// Calls off a pass that is queued for nobody (rules 2 and 4).
    pub(crate) fn call_off_if_empty(&self) {
        if matches!(self.notifier.get(), Notifier::Queued(_)) && self.is_empty() {
            self.notifier.set(Notifier::Idle);
        }
    }

    pub(crate) fn clear(&self) {
        for lane in self.lanes() {
            let entries = lane.take();
            drop(entries);
        }
    }

    /// Takes every waiting greenlet out of both lanes; getters, in the second, come before putters, as in gevent.
    pub(crate) fn take_waiters(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        for lane in self.lanes().rev() {
            let mut lane = lane.borrow_mut();
            let Line { head, rest } = std::mem::take(&mut *lane);
            for entry in head.into_iter().chain(rest.into_iter().flat_map(|rest| *rest)) {
                match entry.target {
                    Target::Wake(token) => tokens.push(token),
                    Target::Call(_) | Target::Spawn(_) => lane.push(entry),
                }
            }
        }
        tokens
    }

    /// How many stand in each lane.
    #[inline]
    pub(crate) fn waiting(&self) -> [usize; 2] {
        [Lane::First, Lane::Second].map(|lane| self.lane(lane).map_or(0, |line| line.borrow().len()))
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting().iter().sum()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.borrow().is_empty() && self.second.get().is_none_or(|second| second.borrow().is_empty())
    }

    /// Promises a turn to everybody in the first lane (rule 5).
    pub(super) fn promise(&self) {
        if let Some(last) = self.first.borrow().last() {
            self.promised.set(last.id);
        }
    }

    /// Whether anybody is promised a turn (rules 4 and 5).
    pub(super) fn owes(&self) -> bool {
        let first = self.first.borrow().head.as_ref().is_some_and(|entry| entry.id <= self.promised.get());
        first || self.second.get().is_some_and(|second| !second.borrow().is_empty())
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

#[inline]
fn take_entry(line: &RefCell<Line>, id: LinkId) -> Option<Entry> {
    line.borrow_mut().remove(id)
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links({})", self.len())
    }
}
