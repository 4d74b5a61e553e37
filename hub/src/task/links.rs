//! Ordered lists of links, raw links and waiting greenlets, in order of arrival.
//!
//! One type serves greenlets and every waitable object. A notification is a *pass*: one item of the
//! hub's queue that serves the entries one after another ([`Notification::next`](crate::task::Notification::next)
//! returns them). A greenlet that a pass resumes runs until it waits again before the next entry is
//! served.
//!
//! Rules of the state (all on one thread):
//! 1. An entry is removed before it is served, so it is served at most once.
//! 2. `notifier` is `Queued(ticket)` from the moment a pass is queued until it begins or is
//!    cancelled, and `Running` until it ends. A queued item with a different ticket was cancelled.
//! 3. Where one lane is served ([`WakePolicy::All`], [`WakePolicy::WhileReady`]), a pass serves the
//!    entries that were present when it began. Entries added during the pass wait for the next one,
//!    which is queued when the pass ends and the object is still ready. A greenlet's pass, and a
//!    pass over two lanes, also serves entries that are added during the pass, but at most
//!    `MOST_NEWCOMERS` of them: two waiters that serve each other could continue without limit, and
//!    other greenlets must run too.
//! 4. Under [`WakePolicy::All`] the second lane is for late waiters: a greenlet that waits on a
//!    ready object while its pass is queued or running is served at the end of that pass. As long
//!    as the second lane has entries, the pass is not cancelled, and another one is due, ready or
//!    not.
//! 5. Under [`WakePolicy::All`], `promised` is the id of the last entry in the first lane when the
//!    object was last seen ready. A pass serves entries up to that id, and the id may grow during
//!    the pass. Entries up to it are served even if the object has become unready since, or was
//!    ready only for a moment during the pass; later entries are not served for that readiness.
//! 6. If the only entry is a waiter, the pass over it is a *direct wake*: an item of the queue that
//!    resumes the waiter and does nothing else. `notifier` is then `Direct` with the waiter's wait.
//!    The pass is queued while the entry is in its lane, and runs from the resumption of the waiter
//!    until the waiter waits again; afterwards it is over, although `notifier` stays as it is. Code
//!    that adds a second entry, or removes the entry and leaves the pass, calls
//!    [`Core::make_pass`](crate::scheduler::Core::make_pass) first: from then on it is an ordinary
//!    pass, at the same position. The waiter removes its own entry, and checks the object itself. So
//!    a direct wake is only for a waiter that its turn resumes at once: a task that is parked. The
//!    wake of main is held back while main cannot run, below a nested wait.
//! 7. A pass that only tells [observers](Observer) is made in one step, without a [`Notification`]:
//!    no other code runs between its beginning and its end. The links of a pool to its members are
//!    such entries.

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::mem::ManuallyDrop;
use std::rc::{Rc, Weak};

use crate::task::WaitToken;

/// The id of an entry of a list, for `unlink`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub(crate) u64);

/// An object with links to many greenlets, which need no closure of their own.
///
/// For the crates of this runtime; see [`AnyGreenlet::observe`](crate::AnyGreenlet::observe).
#[doc(hidden)]
pub trait Observer: 'static {
    /// Called by the link that was made for this place.
    ///
    /// Must not panic, wait, run code of users, or add links to the greenlet.
    fn observed(self: Rc<Self>, place: u32);
}

/// The target of an entry.
pub(crate) enum Target {
    /// A waiting greenlet.
    Wake(WaitToken),
    /// An object that runs no code of users, and the place that it has passed. The link does not keep
    /// the object alive.
    Observe(u32, Weak<dyn Observer>),
    /// A function that the hub calls.
    Call(Box<dyn FnOnce()>),
    /// A function that runs in a raw greenlet of its own, entered at once.
    Spawn(Box<dyn FnOnce()>),
}

const _: () = assert!(size_of::<Target>() == 24, "a target is part of each record");

pub(super) struct Entry {
    pub(super) id: LinkId,
    pub(super) target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Notifier {
    Idle,
    Queued(u64),
    /// The direct wake of the only waiter, in this lane and wait (rule 6).
    Direct(Lane, u64),
    Running,
}

/// One of the two lanes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The default lane.
    First,
    /// The lane of the opposite side (getters beside putters), or of late waiters.
    Second,
}

/// The rule by which a pass serves an object's lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakePolicy {
    /// Serves all entries that were present when the object was last ready, whatever happens during
    /// the pass: an event.
    All,
    /// Serves one entry after the other as long as the object is ready: a semaphore.
    WhileReady,
    /// Serves the lane that the object selects, until it selects none: a bounded queue. Continues
    /// in a later turn if that takes long.
    Ordered,
}

/// Entries in order of arrival. Most lists have at most one, and the jobs of a mapping have two; these
/// are stored inline.
#[derive(Default)]
pub(super) struct Line {
    /// The first entry; `None` only if the list is empty.
    pub(super) head: Option<Entry>,
    /// The second entry; `None` only if there is no further one.
    second: Option<Entry>,
    /// The entries after the second; allocated for the third entry.
    #[expect(clippy::box_collection, reason = "nearly every line is without, and this is all it then takes")]
    rest: Option<Box<VecDeque<Entry>>>,
}

impl Line {
    const fn new() -> Line {
        Line { head: None, second: None, rest: None }
    }

    fn push(&mut self, entry: Entry) {
        if self.is_empty() {
            self.head = Some(entry);
        } else if self.second.is_none() {
            self.second = Some(entry);
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
        if self.second.is_some() {
            self.head = self.take_second();
        }
        first
    }

    /// Removes the second entry. The next one takes its place.
    #[inline]
    fn take_second(&mut self) -> Option<Entry> {
        let second = self.second.take();
        if let Some(rest) = &mut self.rest {
            self.second = rest.pop_front();
        }
        second
    }

    /// Removes an entry from any position. Ids are in ascending order, so an id below the head's
    /// has already been removed.
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
        if self.second.as_ref()?.id == id {
            return self.take_second();
        }
        let rest = self.rest.as_mut()?;
        // The entries are in order of their ids. A binary search, since thousands of waiters may be
        // killed in any order.
        let at = rest.binary_search_by_key(&id, |entry| entry.id).ok()?;
        rest.remove(at)
    }

    /// Returns the first two waiters of a list with at least that many further entries.
    #[inline]
    pub(super) fn crowd(&self, many: usize) -> Option<[Option<WaitToken>; 2]> {
        self.rest.as_ref().filter(|rest| rest.len() >= many)?;
        let token = |entry: &Option<Entry>| match entry.as_ref()?.target {
            Target::Wake(token) => Some(token),
            Target::Call(_) | Target::Spawn(_) | Target::Observe(..) => None,
        };
        Some([token(&self.head), token(&self.second)])
    }

    pub(super) fn last(&self) -> Option<&Entry> {
        let rest = self.rest.as_ref().and_then(|rest| rest.back());
        rest.or(self.second.as_ref()).or(self.head.as_ref())
    }

    #[inline]
    fn len(&self) -> usize {
        let inline = usize::from(self.head.is_some()) + usize::from(self.second.is_some());
        inline + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.head.is_none()
    }
}

/// The only entry of a list, if that is a waiter and came when the list was empty.
#[derive(Clone, Copy)]
struct Alone {
    id: LinkId,
    wait: u64,
    index: u32,
    lane: Lane,
}

impl Alone {
    #[inline(always)]
    fn token(self) -> WaitToken {
        WaitToken { index: self.index, wait: self.wait }
    }
}

/// The two lanes.
///
/// Nearly all lists have one entry at most, a waiter. It is not in its lane but apart, in a cell,
/// until a second entry comes or a pass serves the lanes.
pub(crate) struct Links {
    /// The number of entries in both lanes.
    count: Cell<usize>,
    alone: Cell<Option<Alone>>,
    first: RefCell<Line>,
    /// Allocated at its first use: greenlets never need it, and few objects do.
    second: OnceCell<Box<RefCell<Line>>>,
    pub(super) notifier: Cell<Notifier>,
    pub(super) promised: Cell<LinkId>,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Links {
            count: Cell::new(0),
            alone: Cell::new(None),
            first: RefCell::new(Line::new()),
            second: OnceCell::new(),
            notifier: Cell::new(Notifier::Idle),
            promised: Cell::new(LinkId(0)),
        }
    }

    /// Returns a lane, if it was ever used.
    #[inline]
    pub(super) fn lane(&self, lane: Lane) -> Option<&RefCell<Line>> {
        self.join_lane();
        match lane {
            Lane::First => Some(&self.first),
            Lane::Second => self.second.get().map(|line| &**line),
        }
    }

    /// Moves the waiter that is alone, if there is one, into its lane.
    #[inline]
    fn join_lane(&self) {
        if let Some(alone) = self.alone.take() {
            let target = Target::Wake(alone.token());
            self.line(alone.lane).borrow_mut().push(Entry { id: alone.id, target });
        }
    }

    /// Iterates over the lanes that were ever used.
    fn lanes(&self) -> impl DoubleEndedIterator<Item = &RefCell<Line>> {
        [Lane::First, Lane::Second].into_iter().filter_map(|lane| self.lane(lane))
    }

    #[inline]
    pub(crate) fn add(&self, lane: Lane, id: LinkId, target: Target) {
        let entry = Entry { id, target };
        if self.count.get() == 0 && lane == Lane::First {
            self.count.set(1);
            let _none = ManuallyDrop::new(self.first.borrow_mut().head.replace(entry));
        } else {
            self.add_another(lane, entry);
        }
    }

    #[inline(never)]
    fn add_another(&self, lane: Lane, entry: Entry) {
        self.count.set(self.count.get() + 1);
        self.join_lane();
        self.line(lane).borrow_mut().push(entry);
    }

    /// Adds a waiter like `add`.
    #[inline(always)]
    pub(crate) fn add_waiter(&self, lane: Lane, id: LinkId, token: WaitToken) {
        if self.count.get() > 0 {
            self.add(lane, id, Target::Wake(token));
            return;
        }
        self.count.set(1);
        self.alone.set(Some(Alone { id, wait: token.wait, index: token.index, lane }));
    }

    #[inline]
    fn line(&self, lane: Lane) -> &RefCell<Line> {
        match lane {
            Lane::First => &self.first,
            Lane::Second => self.second.get_or_init(Box::default),
        }
    }

    /// Removes an entry. Returns `false` when it was served or removed before.
    #[inline(always)]
    pub(crate) fn remove(&self, id: LinkId) -> bool {
        match self.alone.get() {
            Some(alone) if alone.id == id => {
                self.alone.set(None);
                self.count.set(0);
                true
            }
            // Usually the list is empty: it was the only entry, and has been served.
            _ => self.count.get() > 0 && self.take_out(id),
        }
    }

    #[inline(never)]
    fn take_out(&self, id: LinkId) -> bool {
        // The entry is dropped after the borrow: the captures of a closure may run user code.
        let removed = take_entry(&self.first, id)
            .or_else(|| self.second.get().and_then(|second| take_entry(second, id)));
        if removed.is_some() {
            self.count.set(self.count.get() - 1);
        }
        removed.is_some()
    }

    /// Removes the head of a lane, unless it was added after `end`.
    #[inline]
    pub(super) fn pop(&self, lane: Lane, end: Option<LinkId>) -> Option<Target> {
        let mut line = self.lane(lane)?.borrow_mut();
        let due = line.head.as_ref().is_some_and(|entry| end.is_none_or(|end| entry.id <= end));
        if !due {
            return None;
        }
        self.count.set(self.count.get() - 1);
        line.pop().map(|entry| entry.target)
    }

    /// Makes the whole pass that was queued under `ticket`, over the links of a greenlet, if it only
    /// tells at most `most` observers, of one or two. These add no further links. Returns their
    /// number; 0 if the pass was not made.
    #[inline(always)]
    pub(crate) fn pass_over_observers(&self, ticket: u64, most: usize) -> usize {
        if self.notifier.get() != Notifier::Queued(ticket) || self.count.get() > most {
            return 0;
        }
        let (head, second) = {
            let mut first = self.first.borrow_mut();
            let Some(Entry { target: Target::Observe(..), .. }) = first.head else { return 0 };
            let (None | Some(Entry { target: Target::Observe(..), .. })) = first.second else { return 0 };
            // Nothing is behind these, since there are at most two.
            (first.head.take(), first.second.take())
        };
        self.count.set(0);
        self.notifier.set(Notifier::Idle);
        if let Some(Entry { target: Target::Observe(place, observer), .. }) = head {
            tell(&observer, place);
        }
        let Some(Entry { target: Target::Observe(place, observer), .. }) = second else { return 1 };
        tell(&observer, place);
        2
    }

    /// Adds an observer as the only entry, if there is none and no pass was ever due. Returns the
    /// observer otherwise.
    #[inline]
    pub(crate) fn add_first_observer(
        &self,
        id: LinkId,
        place: u32,
        observer: Weak<dyn Observer>,
    ) -> Result<(), Weak<dyn Observer>> {
        if self.count.get() > 0 || self.notifier.get() != Notifier::Idle {
            return Err(observer);
        }
        self.count.set(1);
        let entry = Entry { id, target: Target::Observe(place, observer) };
        // The list was empty, so there is nothing to drop.
        let _none = ManuallyDrop::new(self.first.borrow_mut().head.replace(entry));
        Ok(())
    }

    /// Cancels a queued pass without entries (rules 2 and 4).
    pub(crate) fn call_off_if_empty(&self) {
        if matches!(self.notifier.get(), Notifier::Queued(_)) && self.is_empty() {
            self.notifier.set(Notifier::Idle);
        }
    }

    pub(crate) fn clear(&self) {
        self.count.set(0);
        for lane in self.lanes() {
            let entries = lane.take();
            drop(entries);
        }
    }

    /// Removes every waiting greenlet from both lanes. Getters, in the second lane, come before
    /// putters, as in gevent.
    pub(crate) fn take_waiters(&self) -> Vec<WaitToken> {
        let mut tokens = Vec::new();
        let before = self.count.get();
        for lane in self.lanes().rev() {
            let mut lane = lane.borrow_mut();
            let Line { head, second, rest } = std::mem::take(&mut *lane);
            let inline = head.into_iter().chain(second);
            for entry in inline.chain(rest.into_iter().flat_map(|rest| *rest)) {
                match entry.target {
                    Target::Wake(token) => tokens.push(token),
                    Target::Call(_) | Target::Spawn(_) | Target::Observe(..) => lane.push(entry),
                }
            }
        }
        self.count.set(before - tokens.len());
        tokens
    }

    /// Returns the number of entries in each lane.
    #[inline]
    pub(crate) fn waiting(&self) -> [usize; 2] {
        if self.count.get() == 0 {
            return [0, 0];
        }
        if let Some(alone) = self.alone.get() {
            return [usize::from(alone.lane == Lane::First), usize::from(alone.lane == Lane::Second)];
        }
        [Lane::First, Lane::Second].map(|lane| self.lane(lane).map_or(0, |line| line.borrow().len()))
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count.get()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.get() == 0
    }

    /// Returns `true` if the first entry is an observer.
    #[inline(always)]
    pub(crate) fn begin_with_observer(&self) -> bool {
        matches!(self.first.borrow().head, Some(Entry { target: Target::Observe(..), .. }))
    }

    /// Returns the only entry and its lane, if that is a waiter.
    #[inline]
    pub(crate) fn only_waiter(&self) -> Option<(Lane, WaitToken)> {
        if let Some(alone) = self.alone.get() {
            return Some((alone.lane, alone.token()));
        }
        if self.len() != 1 {
            return None;
        }
        if let Some(entry) = &self.first.borrow().head {
            return if let Target::Wake(token) = entry.target { Some((Lane::First, token)) } else { None };
        }
        Some((Lane::Second, self.first_waiter(Lane::Second)?))
    }

    /// Returns the first entry of a lane, if that is a waiter.
    #[inline]
    fn first_waiter(&self, lane: Lane) -> Option<WaitToken> {
        if let Some(alone) = self.alone.get() {
            return (alone.lane == lane).then(|| alone.token());
        }
        match self.lane(lane)?.borrow().head {
            Some(Entry { target: Target::Wake(token), .. }) => Some(token),
            _ => None,
        }
    }

    /// Promises service to every entry in the first lane (rule 5).
    #[inline]
    pub(super) fn promise(&self) {
        if let Some(alone) = self.alone.get() {
            if alone.lane == Lane::First {
                self.promised.set(alone.id);
            }
            return;
        }
        if let Some(last) = self.first.borrow().last() {
            self.promised.set(last.id);
        }
    }

    /// Returns `true` if any entry is promised service (rules 4 and 5).
    #[inline]
    pub(super) fn owes(&self) -> bool {
        if let Some(alone) = self.alone.get() {
            return alone.lane == Lane::Second || alone.id <= self.promised.get();
        }
        let first = self.first.borrow().head.as_ref().is_some_and(|entry| entry.id <= self.promised.get());
        first || self.second.get().is_some_and(|second| !second.borrow().is_empty())
    }

    /// Returns `true` if a pass is queued or running.
    #[inline(always)]
    pub(crate) fn notifying(&self) -> bool {
        match (self.notifier.get(), self.alone.get()) {
            (Notifier::Idle, _) => false,
            (Notifier::Queued(_) | Notifier::Running, _) => true,
            (Notifier::Direct(_, wait), Some(alone)) => alone.wait == wait,
            (Notifier::Direct(lane, wait), None) => self.wakes_directly(lane, wait),
        }
    }

    /// Returns `true` if the direct wake of this wait is queued, for a waiter that is in its lane.
    #[inline(never)]
    fn wakes_directly(&self, lane: Lane, wait: u64) -> bool {
        !self.is_empty() && self.first_waiter(lane).is_some_and(|token| token.wait == wait)
    }

    /// Begins the direct wake of the only waiter, in this lane and wait. No pass may be queued or
    /// running.
    #[inline]
    pub(crate) fn begin_direct(&self, lane: Lane, token: WaitToken) {
        self.notifier.set(Notifier::Direct(lane, token.wait));
    }

    /// Marks a pass as queued. No pass may be queued or running.
    pub(crate) fn begin_queue(&self, ticket: u64) {
        self.notifier.set(Notifier::Queued(ticket));
    }

    /// Returns the lane and the wait of the direct wake that was begun last, if no other pass has
    /// begun since. It may be over.
    #[inline]
    pub(crate) fn direct(&self) -> Option<(Lane, u64)> {
        match self.notifier.get() {
            Notifier::Direct(lane, wait) => Some((lane, wait)),
            _ => None,
        }
    }

    /// Ends a direct wake.
    pub(crate) fn end_direct(&self) {
        self.notifier.set(Notifier::Idle);
    }

    /// Makes a direct wake that runs an ordinary pass that runs.
    pub(super) fn run_on(&self) {
        self.notifier.set(Notifier::Running);
    }
}

/// Calls a link to an observer.
#[inline(always)]
pub(crate) fn tell(observer: &Weak<dyn Observer>, place: u32) {
    if let Some(observer) = observer.upgrade() {
        observer.observed(place);
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
