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
//!    them ([`MOST_NEWCOMERS`]): two that serve each other may go on for ever, and others want their turn.
//! 4. Under [`Rule::Everybody`] the second lane is for the late: who waits on an object that is ready while its pass
//!    is queued or running is served at the end of that pass. As long as anybody stands there the pass is not called
//!    off, and another one is owed, ready or not.
//! 5. There `promised` is the last in the first lane when the object was last seen ready. A pass serves up to it, and it
//!    may grow meanwhile: who came while the object was no longer ready is not told of what was before, and who was
//!    promised is told of it even if the object was ready for a moment only, in the middle of a pass.

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

/// How many of those who come during a pass are served by it, where any are.
const MOST_NEWCOMERS: usize = 50;

/// The two lists themselves.
pub(crate) struct Links {
    lanes: [RefCell<VecDeque<Entry>>; 2],
    notifier: Cell<Notifier>,
    promised: Cell<LinkId>,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Links {
            lanes: [RefCell::new(VecDeque::new()), RefCell::new(VecDeque::new())],
            notifier: Cell::new(Notifier::Idle),
            promised: Cell::new(LinkId(0)),
        }
    }

    fn lane(&self, lane: Lane) -> &RefCell<VecDeque<Entry>> {
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
    fn promise(&self) {
        if let Some(last) = self.lanes[0].borrow().back() {
            self.promised.set(last.id);
        }
    }

    /// Whether anybody is promised a turn (rules 4 and 5).
    fn owes(&self) -> bool {
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

/// Something with links of its own, other than a greenlet.
pub(crate) trait Linkable: 'static {
    fn links(&self) -> &Links;
    fn rule(&self) -> Rule;
    /// Whether somebody who waits for it would not have to.
    fn ready(&self) -> bool;
    /// Under [`Rule::Lanes`]: whose head is served next, if anybody can be, after the one named last.
    fn next_lane(&self, last: Option<Lane>) -> Option<Lane>;
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

    /// Whether a pass is owed.
    pub(crate) fn owed(&self) -> bool {
        match self {
            Notified::Greenlet(record) => record.task.ready() && !record.task.links.is_empty(),
            Notified::Object(object) => owed(&**object),
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

/// Whether anybody who waits for an object can be served. Asked after every change that may have made it ready.
#[inline]
pub(crate) fn owed<L: Linkable + ?Sized>(object: &L) -> bool {
    match object.rule() {
        Rule::Everybody => {
            if object.ready() {
                object.links().promise();
            }
            object.links().owes()
        }
        Rule::WhileReady => object.ready() && !object.links().is_empty(),
        Rule::Lanes => object.next_lane(None).is_some(),
    }
}

/// One turn of telling, resumable between any two entries.
pub(crate) struct Pass {
    pub(crate) of: Notified,
    stage: Stage,
    /// How many more are served where newcomers are.
    left: usize,
}

#[derive(Clone, Copy)]
enum Stage {
    Begin,
    /// Serving a lane up to this entry (rule 3).
    Until(Lane, LinkId),
    /// Serving whatever lane the object names, after this one.
    After(Option<Lane>),
    End,
}

impl Pass {
    /// Begins the pass that was queued under `ticket`, unless it was called off.
    pub(crate) fn begin(of: Notified, ticket: u64) -> Option<Pass> {
        if of.links().notifier.get() != Notifier::Queued(ticket) {
            return None;
        }
        of.links().notifier.set(Notifier::Running);
        let left = of.links().len() + MOST_NEWCOMERS;
        Some(Pass { of, stage: Stage::Begin, left })
    }

    /// The next to be told, or `None` when the pass is over.
    pub(crate) fn next(&mut self) -> Option<Target> {
        let links = self.of.links();
        let Notified::Object(object) = &self.of else {
            self.left = self.left.checked_sub(1)?;
            return pop(links.lane(Lane::First), None);
        };
        loop {
            match self.stage {
                Stage::Begin => {
                    self.stage = match object.rule() {
                        Rule::Lanes => Stage::After(None),
                        Rule::Everybody | Rule::WhileReady => until(links, Lane::First)
                            .or_else(|| until(links, Lane::Second))
                            .unwrap_or(Stage::End),
                    }
                }
                Stage::After(last) => {
                    let lane = object.next_lane(last)?;
                    self.left = self.left.checked_sub(1)?;
                    self.stage = Stage::After(Some(lane));
                    return pop(links.lane(lane), None);
                }
                Stage::Until(lane, end) => {
                    if object.rule() == Rule::WhileReady && !object.ready() {
                        return None;
                    }
                    let promised = lane == Lane::First && object.rule() == Rule::Everybody;
                    let end = if promised { end.min(links.promised.get()) } else { end };
                    if let Some(target) = pop(links.lane(lane), Some(end)) {
                        return Some(target);
                    }
                    let late = if lane == Lane::First { until(links, Lane::Second) } else { None };
                    self.stage = late.unwrap_or(Stage::End);
                }
                Stage::End => return None,
            }
        }
    }

    /// Whether it has served as many as a pass may: somebody may be left.
    pub(crate) fn cut_short(&self) -> bool {
        self.left == 0
    }

    /// Ends the pass; true when another is owed at once.
    pub(crate) fn end(&self) -> bool {
        self.of.links().notifier.set(Notifier::Idle);
        self.of.owed()
    }
}

/// Takes the head of a lane, unless it came after `end`.
fn pop(lane: &RefCell<VecDeque<Entry>>, end: Option<LinkId>) -> Option<Target> {
    let mut lane = lane.borrow_mut();
    let due = lane.front().is_some_and(|entry| end.is_none_or(|end| entry.id <= end));
    if due { lane.pop_front().map(|entry| entry.target) } else { None }
}

/// The stage that serves those who stand in a lane now.
fn until(links: &Links, lane: Lane) -> Option<Stage> {
    links.lane(lane).borrow().back().map(|last| Stage::Until(lane, last.id))
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links({})", self.len())
    }
}
