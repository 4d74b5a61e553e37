//! The set of living members that groups and pools share: who is in, who was killed, and the slots they hold.
//!
//! Rules of the state (all on one thread):
//! 1. A greenlet is a member from `enter` until its link of the set has its turn or it is discarded, whichever is first.
//! 2. `empty` is set exactly while there is no member. It is set before a slot is released, so that who joins is told
//!    before who waits for the slot.
//! 3. A member holds as many permits of `slots` as it was added with, and gives all of them back when it leaves.
//! 4. Nothing of the user's is called or dropped under a borrow.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use ramie_hub::{AnyGreenlet, Builder, Event, Failure, Limit, LinkId, Semaphore, Waitable};

use crate::roster::{Key, Roster};

struct Member {
    greenlet: AnyGreenlet,
    link: Cell<Option<LinkId>>,
    /// How many slots it holds.
    slots: Cell<usize>,
    /// Whether it was killed through the group.
    dying: Cell<bool>,
}

/// Up to so many members are looked through for one.
const FEW: usize = 8;

/// The members in the order in which they came.
#[derive(Default)]
struct Table {
    members: Roster<Member>,
    /// The key of each member. Nobody asks for one in most pools, so it is made for the first who does; it goes when
    /// the last member leaves.
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

    fn push(&mut self, member: Member) -> Key {
        let greenlet = self.keys.is_some().then(|| member.greenlet.clone());
        let key = self.members.push(member);
        if let Some((keys, greenlet)) = self.keys.as_mut().zip(greenlet) {
            keys.insert(greenlet, key);
        }
        key
    }

    /// Takes a member out. What else kept its greenlet is returned too, to be dropped after the borrow.
    fn remove(&mut self, key: Key) -> Option<(Member, Option<AnyGreenlet>)> {
        let member = self.members.remove(key)?;
        let entry = self.keys.as_mut().and_then(|keys| keys.remove_entry(&member.greenlet));
        if self.members.len() == 0 {
            self.keys = None;
        }
        Some((member, entry.map(|(greenlet, _)| greenlet)))
    }
}

/// Somebody who joins and wants to hear of failures.
struct Listener {
    /// It hears of the members with smaller numbers: those who were there when it came.
    below: usize,
    first: RefCell<Option<Failure>>,
    /// Those of them that were discarded, and may have failed since.
    discarded: RefCell<Vec<AnyGreenlet>>,
}

/// A slot that is not a member's yet.
pub(crate) struct Slot<'a>(Option<&'a Semaphore>);

impl Slot<'_> {
    /// Leaves it to a member.
    pub(crate) fn pass_on(mut self) {
        self.0 = None;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some(slots) = self.0 {
            slots.release();
        }
    }
}

pub(crate) struct Members {
    pub(crate) builder: Builder,
    /// The free slots; `None` without a limit.
    pub(crate) slots: Option<Semaphore>,
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

    /// The members in the order in which they came.
    pub(crate) fn greenlets(&self) -> Vec<AnyGreenlet> {
        self.table.borrow().members.iter().map(|(_, member)| member.greenlet.clone()).collect()
    }

    // --- coming and going ---------------------------------------------------------------------------------------

    /// Waits for a slot, if there is a limit; says whether it got one.
    pub(crate) fn acquire(&self, limit: Limit) -> bool {
        self.slots.as_ref().is_none_or(|slots| slots.acquire_timeout(limit))
    }

    pub(crate) fn try_acquire(&self) -> bool {
        self.slots.as_ref().is_none_or(Semaphore::try_acquire)
    }

    /// Gives the slot that the caller has back, unless it is passed on.
    pub(crate) fn hold_slot(&self) -> Slot<'_> {
        Slot(self.slots.as_ref())
    }

    /// Takes in a greenlet that has a slot. Does not let others run.
    pub(crate) fn enter(self: &Rc<Self>, greenlet: &AnyGreenlet) {
        let mut table = self.table.borrow_mut();
        if let Some(key) = table.find(greenlet) {
            let member = table.members.get(key).expect("who was found is in");
            member.slots.set(member.slots.get() + self.share());
            drop(table);
            // Once more: somebody may have removed all of its links. Whichever comes first counts.
            self.await_end(greenlet, key);
        } else {
            drop(table);
            self.enter_new(greenlet);
        }
    }

    /// Takes in a greenlet that has a slot and was made just now, and starts it. Does not let others run.
    pub(crate) fn start_new(self: &Rc<Self>, greenlet: &AnyGreenlet) {
        self.enter_new(greenlet);
        greenlet.start();
    }

    fn enter_new(self: &Rc<Self>, greenlet: &AnyGreenlet) {
        let key = self.table.borrow_mut().push(Member {
            greenlet: greenlet.clone(),
            link: Cell::new(None),
            slots: Cell::new(self.share()),
            dying: Cell::new(false),
        });
        self.await_end(greenlet, key);
    }

    /// Links a member, to hear of its end.
    fn await_end(self: &Rc<Self>, greenlet: &AnyGreenlet, key: Key) {
        self.empty.clear();
        // The member does not keep the group: nobody could ask a group without handles for anything.
        let group: Weak<Self> = Rc::downgrade(self);
        let link = Waitable::rawlink(
            greenlet,
            Box::new(move || {
                if let Some(group) = group.upgrade() {
                    group.leave(key);
                }
            }),
        );
        if let Some(member) = self.table.borrow().members.get(key) {
            member.link.set(Some(link));
        }
    }

    /// How many slots one takes who comes once.
    fn share(&self) -> usize {
        usize::from(self.slots.is_some())
    }

    /// Lets a member go; a stranger is none of its business.
    pub(crate) fn discard(&self, greenlet: &AnyGreenlet) {
        let key = self.table.borrow_mut().find(greenlet);
        if let Some(link) = key.and_then(|key| self.leave(key)) {
            greenlet.unlink(link);
        }
    }

    /// Returns the link, which a discarded member still has.
    fn leave(&self, key: Key) -> Option<LinkId> {
        let removed = self.table.borrow_mut().remove(key);
        let (member, _greenlet) = removed?;
        let failure = member.greenlet.exception();
        for listener in self.listeners.borrow().iter().filter(|listener| key.number() < listener.below) {
            match &failure {
                Some(failure) => drop(listener.first.borrow_mut().get_or_insert_with(|| failure.clone())),
                None if member.greenlet.ready() => {}
                None => listener.discarded.borrow_mut().push(member.greenlet.clone()),
            }
        }
        if self.len() == 0 {
            self.empty.set();
        }
        if let Some(slots) = &self.slots {
            for _ in 0..member.slots.get() {
                slots.release();
            }
        }
        member.link.get()
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Waits until the set is empty; says whether it was.
    pub(crate) fn join(&self, limit: Limit) -> bool {
        // Not even a set without members is looked at: who joins while others are told of its end comes after them.
        self.empty.wait_timeout(limit)
    }

    /// Waits until the set is empty, and returns the first failure of those who are in now.
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
        // One that has ended in this very turn has not been told of yet.
        let first = first.or_else(|| {
            let table = self.table.borrow();
            let before = table.members.iter().take_while(|(key, _)| key.number() < below);
            before.into_iter().find_map(|(_, member)| member.greenlet.exception())
        });
        let first = first.or_else(|| discarded.iter().find_map(AnyGreenlet::exception));
        first.map_or(Ok(joined), Err)
    }

    // --- killing ------------------------------------------------------------------------------------------------

    /// Marks a member as killed; false for a stranger and for one that was killed before.
    pub(crate) fn condemn(&self, greenlet: &AnyGreenlet) -> bool {
        let mut table = self.table.borrow_mut();
        let key = table.find(greenlet);
        let member = key.and_then(|key| table.members.get(key));
        member.is_some_and(|member| !member.dying.replace(true))
    }

    /// Marks every member as killed, and returns those who were not before.
    pub(crate) fn condemn_all(&self) -> Vec<AnyGreenlet> {
        let table = self.table.borrow();
        let members = table.members.iter().map(|(_, member)| member);
        members.filter(|member| !member.dying.replace(true)).map(|member| member.greenlet.clone()).collect()
    }
}
