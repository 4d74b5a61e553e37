//! The set of living members behind groups and pools, with the slots that the members hold.
//!
//! Rules of the state (all on one thread):
//! 1. A greenlet is a member from `enter` until the set's link to it is called or it is discarded,
//!    whichever comes first.
//! 2. `empty` is set exactly while there is no member. It is set before a slot is released, so that
//!    joiners are woken before waiters for the slot.
//! 3. A member holds one permit of `slots` for each time it was added, and gives all of them back
//!    when it leaves.
//! 4. No user code is called and no user value is dropped under a borrow.
//! 5. When all slots are held by members that wait for mappings of this set, and a mapping waits
//!    for a slot, one extra slot is released. It is taken back from the next member that leaves.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::Location;
use std::rc::{Rc, Weak};

use ramie_hub::{
    AnyGreenlet, Body, Builder, Event, Failure, Greenlet, Limit, LinkId, Observer, ScopedBody, Semaphore,
    Waitable, getcurrent,
};

use crate::ordered_slab::{Key, OrderedSlab};

struct Member {
    greenlet: AnyGreenlet,
    /// The link to it.
    link: LinkId,
    /// The number of slots that this member holds.
    slots: Cell<usize>,
    /// `true` once the member was killed through the group.
    dying: Cell<bool>,
    /// `true` while it waits for a mapping of this set.
    waits: Cell<bool>,
}

/// The largest number of members that are searched without an index.
const FEW: usize = 8;

/// The members.
#[derive(Default)]
struct Table {
    members: OrderedSlab<Member>,
    /// An index of the members. Most pools never search for one, so the first search in a large
    /// table builds it. It is dropped when the last member leaves.
    keys: Option<HashMap<AnyGreenlet, Key>>,
}

impl Table {
    fn find(&mut self, greenlet: &AnyGreenlet) -> Option<Key> {
        let mut all = self.members.iter().map(|(key, member)| (&member.greenlet, key));
        if self.members.len() <= FEW {
            return all.find(|(member, _)| *member == greenlet).map(|(_, key)| key);
        }
        let collect = || all.map(|(member, key)| (member.clone(), key)).collect();
        self.keys.get_or_insert_with(collect).get(greenlet).copied()
    }

    /// Inserts a member with the key that the table has returned for the next one.
    fn insert(&mut self, key: Key, member: Member) {
        if let Some(keys) = &mut self.keys {
            keys.insert(member.greenlet.clone(), key);
        }
        self.members.insert(key, member);
    }

    /// Removes a member. Also returns the index's reference to the greenlet, which must be dropped
    /// after the borrow ends.
    fn remove(&mut self, key: Key) -> Option<(Member, Option<AnyGreenlet>)> {
        self.members.get(key)?;
        self.take(key.place()).map(|(_, member, indexed)| (member, indexed))
    }

    /// Removes the member at this place, as [`remove`](Table::remove) does. Also returns its number.
    #[inline]
    fn take(&mut self, place: u32) -> Option<(usize, Member, Option<AnyGreenlet>)> {
        let (number, member) = self.members.take(place)?;
        let indexed = if self.keys.is_none() { None } else { self.take_key(&member.greenlet) };
        Some((number, member, indexed))
    }

    #[inline(never)]
    fn take_key(&mut self, greenlet: &AnyGreenlet) -> Option<AnyGreenlet> {
        let entry = self.keys.as_mut()?.remove_entry(greenlet);
        if self.members.len() == 0 {
            self.keys = None;
        }
        entry.map(|(greenlet, _)| greenlet)
    }
}

/// A joiner that collects failures.
struct Listener {
    /// The number of members inserted before this joiner came. It collects the failures of members
    /// with smaller numbers.
    below: usize,
    first: RefCell<Option<Failure>>,
    /// Members among these that were discarded and may have failed since.
    discarded: RefCell<Vec<AnyGreenlet>>,
}

/// The holders of the slots.
#[derive(Default)]
struct Held {
    /// The number of slots held by members.
    all: Cell<usize>,
    /// The number of slots held by members that wait for a mapping of this set.
    waiting: Cell<usize>,
    /// The number of mappings that wait for a slot.
    mappings: Cell<usize>,
    /// The number of slots beyond the limit.
    lent: Cell<usize>,
}

fn add(count: &Cell<usize>, more: usize) {
    count.set(count.get() + more);
}

fn take(count: &Cell<usize>, less: usize) {
    count.set(count.get() - less);
}

/// A guard of a member that waits for a mapping of its own set.
pub(crate) struct Waiting {
    members: Rc<Members>,
    key: Key,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // A member that was discarded during the wait has settled this when it left.
        if let Some(member) = self.members.table.borrow().members.get(self.key) {
            member.waits.set(false);
            take(&self.members.held.waiting, member.slots.get());
        }
    }
}

/// A body that can be taken back from a greenlet that has not run.
struct Returnable<B>(Rc<Cell<Option<B>>>);

impl<B: Body> ScopedBody for Returnable<B> {
    type Value = B::Value;
    type Error = B::Error;

    fn run(self) -> Result<B::Value, B::Error> {
        let body = self.0.take().expect("a greenlet whose body was taken back has ended");
        body.run()
    }
}

/// The set as it is told of the end of a member, by the place of the member in the table. The first
/// link to a member is there no longer than the member.
impl Observer for Members {
    fn observed(self: Rc<Self>, place: u32) {
        let taken = self.table.borrow_mut().take(place);
        if let Some((number, member, _greenlet)) = taken {
            self.left(number, &member);
        }
    }
}

pub(crate) struct Members {
    pub(crate) builder: Builder,
    /// The free slots; `None` without a limit.
    pub(crate) slots: Option<Semaphore>,
    held: Held,
    table: RefCell<Table>,
    empty: Event,
    listeners: RefCell<Vec<Rc<Listener>>>,
}

impl Members {
    pub(crate) fn new(builder: Builder, size: Option<usize>) -> Rc<Self> {
        let empty = Event::new();
        empty.set();
        Rc::new(Members {
            builder,
            slots: size.map(Semaphore::new),
            held: Held::default(),
            table: RefCell::default(),
            empty,
            listeners: RefCell::default(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.table.borrow().members.len()
    }

    pub(crate) fn contains(&self, greenlet: &AnyGreenlet) -> bool {
        self.table.borrow_mut().find(greenlet).is_some()
    }

    /// Returns the members in order of insertion.
    pub(crate) fn greenlets(&self) -> Vec<AnyGreenlet> {
        self.table.borrow().members.in_order().map(|(_, member)| member.greenlet.clone()).collect()
    }

    // --- coming and going ---------------------------------------------------------------------------------------

    /// Waits for a slot, if there is a limit. Returns `true` if it took one or there is no limit.
    #[inline]
    pub(crate) fn acquire(&self, limit: Limit) -> bool {
        // A free slot is taken without the loop of a wait.
        self.slots.as_ref().is_none_or(|slots| slots.try_acquire() || slots.acquire_timeout(limit))
    }

    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        self.slots.as_ref().is_none_or(Semaphore::try_acquire)
    }

    /// Returns `true` if a greenlet that is added now would have to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.slots.as_ref().is_some_and(Semaphore::locked)
    }

    /// Creates a greenlet, waits for a slot, adds the greenlet and starts it.
    ///
    /// All greenlets that are created here are added in this order, as in gevent.
    /// `Builder::prepare` is user code and may itself spawn here; it must not find that the slot it
    /// needs is held for the greenlet that it prepares.
    #[track_caller]
    pub(crate) fn spawn<B: Body>(
        self: &Rc<Self>,
        body: B,
        site: Option<&'static Location<'static>>,
    ) -> Greenlet<B::Value> {
        let greenlet = self.make(body, site);
        self.acquire(Limit::Never);
        self.start_new(&greenlet);
        greenlet
    }

    /// Spawns like [`spawn`](Members::spawn) for a mapping, which members of this set may be
    /// waiting for.
    pub(crate) fn spawn_mapped<B: Body>(
        self: &Rc<Self>,
        body: B,
        site: &'static Location<'static>,
    ) -> Greenlet<B::Value> {
        struct WaitsForSlot<'a>(&'a Held);
        impl Drop for WaitsForSlot<'_> {
            fn drop(&mut self) {
                take(&self.0.mappings, 1);
            }
        }
        let greenlet = self.make(body, Some(site));
        {
            add(&self.held.mappings, 1);
            let _waits = WaitsForSlot(&self.held);
            self.lend_if_stuck();
            self.acquire(Limit::Never);
        }
        self.start_new(&greenlet);
        greenlet
    }

    /// Records that the caller, if it is a member of a set with a limit, waits for a mapping of
    /// this set.
    pub(crate) fn wait_for_mapping(self: &Rc<Self>) -> Option<Waiting> {
        self.slots.as_ref()?;
        let me = getcurrent();
        if me.is_main() {
            return None;
        }
        let key = {
            let mut table = self.table.borrow_mut();
            let key = table.find(&me)?;
            let member = table.members.get(key)?;
            if member.waits.replace(true) {
                return None;
            }
            add(&self.held.waiting, member.slots.get());
            key
        };
        let waiting = Waiting { members: self.clone(), key };
        self.lend_if_stuck();
        Some(waiting)
    }

    /// Applies rule 5.
    #[inline]
    fn lend_if_stuck(&self) {
        let Some(slots) = &self.slots else { return };
        let Held { all, waiting, mappings, lent } = &self.held;
        let stuck = waiting.get() > 0 && waiting.get() == all.get() && slots.locked();
        if stuck && mappings.get() > 0 {
            add(lent, 1);
            slots.release();
        }
    }

    /// Spawns like [`spawn`](Members::spawn), waiting for a slot within `limit`; with `None` this
    /// does not wait.
    ///
    /// Gives the body back when there was no slot. A greenlet that was created for the body has
    /// then ended without running.
    #[track_caller]
    pub(crate) fn spawn_within<B: Body>(
        self: &Rc<Self>,
        body: B,
        limit: Option<Limit>,
        site: Option<&'static Location<'static>>,
    ) -> Result<Greenlet<B::Value>, B> {
        if limit.is_none() && self.is_full() {
            return Err(body);
        }
        let body = Rc::new(Cell::new(Some(body)));
        let greenlet = self.make(Returnable(body.clone()), site);
        if limit.map_or_else(|| self.try_acquire(), |limit| self.acquire(limit)) {
            self.start_new(&greenlet);
            return Ok(greenlet);
        }
        // `Builder::prepare` may have started the greenlet: then it runs, and is not a member.
        let Some(body) = body.take() else { return Ok(greenlet) };
        greenlet.kill_nowait();
        Err(body)
    }

    #[track_caller]
    fn make<B: Body>(&self, body: B, site: Option<&'static Location<'static>>) -> Greenlet<B::Value> {
        match site {
            None => self.builder.create(body),
            Some(site) => self.builder.create_at(body, site),
        }
    }

    /// Adds a greenlet that holds a slot. Does not let other greenlets run.
    pub(crate) fn enter(self: &Rc<Self>, greenlet: &AnyGreenlet) {
        let mut table = self.table.borrow_mut();
        if let Some(key) = table.find(greenlet) {
            let member = table.members.get(key).expect("the key returned by find is valid");
            add(&member.slots, self.share());
            add(&self.held.all, self.share());
            if member.waits.get() {
                add(&self.held.waiting, self.share());
            }
            drop(table);
            // Links once more, since any holder may have removed all links of the greenlet. The
            // first link that is called counts.
            self.link_again(greenlet, key);
        } else {
            drop(table);
            self.enter_new(greenlet);
        }
    }

    /// Adds a new greenlet that holds a slot, and starts it. Does not let other greenlets run.
    #[inline]
    fn start_new(self: &Rc<Self>, greenlet: &AnyGreenlet) {
        self.enter_new(greenlet);
        greenlet.start();
    }

    fn enter_new(self: &Rc<Self>, greenlet: &AnyGreenlet) {
        let mut table = self.table.borrow_mut();
        if table.members.len() == 0 {
            self.empty.clear();
        }
        // The member does not keep the group alive: a group without handles cannot be observed.
        // The link is called in a later turn, even if the greenlet has ended.
        let key = table.members.next_key();
        let group: Weak<Self> = Rc::downgrade(self);
        let link = greenlet.observe(group, key.place());
        let member = Member {
            greenlet: greenlet.clone(),
            link,
            slots: Cell::new(self.share()),
            dying: Cell::new(false),
            waits: Cell::new(false),
        };
        table.insert(key, member);
        add(&self.held.all, self.share());
    }

    /// Links a member that is added once more.
    fn link_again(self: &Rc<Self>, greenlet: &AnyGreenlet, key: Key) {
        let group: Weak<Self> = Rc::downgrade(self);
        Waitable::rawlink(
            greenlet,
            Box::new(move || {
                if let Some(group) = group.upgrade() {
                    drop(group.leave(key));
                }
            }),
        );
    }

    /// Returns the number of slots that one addition takes.
    fn share(&self) -> usize {
        usize::from(self.slots.is_some())
    }

    /// Removes a member. Does nothing if the greenlet is not one.
    pub(crate) fn discard(&self, greenlet: &AnyGreenlet) {
        let key = self.table.borrow_mut().find(greenlet);
        if let Some(member) = key.and_then(|key| self.leave(key)) {
            greenlet.unlink(member.link);
        }
    }

    /// Removes a member and returns it. Its links remain.
    fn leave(&self, key: Key) -> Option<Member> {
        let removed = self.table.borrow_mut().remove(key);
        let (member, _greenlet) = removed?;
        self.left(key.number(), &member);
        Some(member)
    }

    /// Records that a member has left.
    #[inline]
    fn left(&self, number: usize, member: &Member) {
        if !self.listeners.borrow().is_empty() {
            self.tell_listeners(number, &member.greenlet);
        }
        if self.len() == 0 {
            self.empty.set();
        }
        let Held { all, waiting, lent, .. } = &self.held;
        let held = member.slots.get();
        take(all, held);
        if member.waits.get() {
            take(waiting, held);
        }
        if let Some(slots) = &self.slots {
            for _ in 0..held {
                match lent.get().checked_sub(1) {
                    Some(left) => lent.set(left),
                    None => drop(slots.release()),
                }
            }
            self.lend_if_stuck();
        }
    }

    /// Records the end of a member, or that it was discarded, for the joiners that collect failures.
    #[cold]
    fn tell_listeners(&self, number: usize, greenlet: &AnyGreenlet) {
        let failure = greenlet.exception();
        for listener in self.listeners.borrow().iter().filter(|listener| number < listener.below) {
            match &failure {
                Some(failure) => drop(listener.first.borrow_mut().get_or_insert_with(|| failure.clone())),
                None if greenlet.ready() => {}
                None => listener.discarded.borrow_mut().push(greenlet.clone()),
            }
        }
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Waits until the set is empty. Returns `true` if it was.
    pub(crate) fn join(&self, limit: Limit) -> bool {
        // Waits even for an empty set: while earlier joiners are being woken, a new joiner comes
        // after them.
        self.empty.wait_timeout(limit)
    }

    /// Waits until the set is empty, and returns the first failure of a present member.
    pub(crate) fn join_raising(&self, limit: Limit) -> Result<bool, Failure> {
        struct Listening<'a>(&'a Members, Rc<Listener>);
        impl Drop for Listening<'_> {
            fn drop(&mut self) {
                self.0.listeners.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.1));
            }
        }
        let below = self.table.borrow().members.pushed();
        let listener = Rc::new(Listener { below, first: RefCell::new(None), discarded: RefCell::default() });
        self.listeners.borrow_mut().push(listener.clone());
        let listening = Listening(self, listener);
        let joined = self.join(limit);
        let first = listening.1.first.take();
        let discarded = listening.1.discarded.take();
        // A member that has ended in this very turn has not called its link yet.
        let first = first.or_else(|| {
            let table = self.table.borrow();
            let before = table.members.in_order().take_while(|(key, _)| key.number() < below);
            before.into_iter().find_map(|(_, member)| member.greenlet.exception())
        });
        let first = first.or_else(|| discarded.iter().find_map(AnyGreenlet::exception));
        first.map_or(Ok(joined), Err)
    }

    // --- killing ------------------------------------------------------------------------------------------------

    /// Marks a member as killed. Returns `false` for a greenlet that is not a member or was killed
    /// before.
    pub(crate) fn mark_killed(&self, greenlet: &AnyGreenlet) -> bool {
        let mut table = self.table.borrow_mut();
        let key = table.find(greenlet);
        let member = key.and_then(|key| table.members.get(key));
        member.is_some_and(|member| !member.dying.replace(true))
    }

    /// Marks every member as killed, and returns the members that were not killed before.
    pub(crate) fn mark_all_killed(&self) -> Vec<AnyGreenlet> {
        let table = self.table.borrow();
        let members = table.members.in_order().map(|(_, member)| member);
        members.filter(|member| !member.dying.replace(true)).map(|member| member.greenlet.clone()).collect()
    }
}
