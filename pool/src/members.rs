//! The set of living members that groups and pools share: who is in, who was killed, and the slots they hold.
//!
//! Rules of the state (all on one thread):
//! 1. A greenlet is a member from `enter` until its link of the set has its turn or it is discarded, whichever is first.
//! 2. `empty` is set exactly while there is no member. It is set before a slot is released, so that who joins is told
//!    before who waits for the slot.
//! 3. A member holds as many permits of `slots` as it was added with, and gives all of them back when it leaves.
//! 4. Nothing of the user's is called or dropped under a borrow.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::{Rc, Weak};

use ramie_hub::{AnyGreenlet, Builder, Event, Failure, Limit, LinkId, Semaphore};

struct Member {
    greenlet: AnyGreenlet,
    link: Option<LinkId>,
    /// How many slots it holds.
    slots: usize,
    /// Whether it was killed through the group.
    dying: bool,
}

/// The members by the number that each was given when it came, which is their order.
#[derive(Default)]
struct Table {
    members: BTreeMap<u64, Member>,
    numbers: HashMap<AnyGreenlet, u64>,
    next: u64,
}

/// Somebody who joins and wants to hear of failures.
struct Listener {
    /// It hears of the members with smaller numbers: those who were there when it came.
    below: u64,
    first: RefCell<Option<Failure>>,
}

pub(crate) struct Members {
    pub(crate) builder: Builder,
    /// The free slots; `None` without a limit.
    pub(crate) slots: Option<Semaphore>,
    table: RefCell<Table>,
    empty: Event,
    listeners: RefCell<Vec<Rc<Listener>>>,
    len: Cell<usize>,
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
            len: Cell::new(0),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    pub(crate) fn contains(&self, greenlet: &AnyGreenlet) -> bool {
        self.table.borrow().numbers.contains_key(greenlet)
    }

    /// The members in the order in which they came.
    pub(crate) fn greenlets(&self) -> Vec<AnyGreenlet> {
        self.table.borrow().members.values().map(|member| member.greenlet.clone()).collect()
    }

    // --- coming and going ---------------------------------------------------------------------------------------

    /// Waits for a slot, if there is a limit; says whether it got one.
    pub(crate) fn acquire(&self, limit: Limit) -> bool {
        match (&self.slots, limit) {
            (None, _) => true,
            (Some(slots), Limit::Never) => {
                slots.acquire();
                true
            }
            (Some(slots), Limit::After(timeout)) => slots.acquire_timeout(timeout),
            (Some(slots), Limit::At(deadline)) => slots.acquire_deadline(deadline),
        }
    }

    pub(crate) fn try_acquire(&self) -> bool {
        self.slots.as_ref().is_none_or(Semaphore::try_acquire)
    }

    /// Takes in a greenlet that has a slot. Does not let others run.
    pub(crate) fn enter(self: &Rc<Self>, greenlet: &AnyGreenlet) {
        let slots = usize::from(self.slots.is_some());
        let number = {
            let mut table = self.table.borrow_mut();
            if let Some(number) = table.numbers.get(greenlet).copied() {
                let member = table.members.get_mut(&number).expect("both maps have the same members");
                member.slots += slots;
                number
            } else {
                let number = table.next;
                table.next += 1;
                table.numbers.insert(greenlet.clone(), number);
                table
                    .members
                    .insert(number, Member { greenlet: greenlet.clone(), link: None, slots, dying: false });
                self.len.set(table.members.len());
                number
            }
        };
        self.empty.clear();
        // Once more for one that is in already: somebody may have removed all of its links. Whichever comes first counts.
        // The member does not keep the group: nobody could ask a group without handles for anything.
        let group: Weak<Self> = Rc::downgrade(self);
        let link = greenlet.rawlink(move |_| {
            if let Some(group) = group.upgrade() {
                group.leave(number);
            }
        });
        if let Some(member) = self.table.borrow_mut().members.get_mut(&number) {
            member.link = Some(link);
        }
    }

    /// Lets a member go; a stranger is none of its business.
    pub(crate) fn discard(&self, greenlet: &AnyGreenlet) {
        let number = self.table.borrow().numbers.get(greenlet).copied();
        if let Some(link) = number.and_then(|number| self.leave(number)) {
            greenlet.unlink(link);
        }
    }

    /// Returns the link, which a discarded member still has.
    fn leave(&self, number: u64) -> Option<LinkId> {
        let member = {
            let mut table = self.table.borrow_mut();
            let member = table.members.remove(&number)?;
            let key = table.numbers.remove_entry(&member.greenlet);
            self.len.set(table.members.len());
            (member, key)
        };
        let (member, _key) = member;
        if let Some(failure) = member.greenlet.exception() {
            for listener in self.listeners.borrow().iter().filter(|listener| number < listener.below) {
                listener.first.borrow_mut().get_or_insert_with(|| failure.clone());
            }
        }
        if self.len() == 0 {
            self.empty.set();
        }
        if let Some(slots) = &self.slots {
            for _ in 0..member.slots {
                slots.release();
            }
        }
        member.link
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Waits until the set is empty; says whether it was.
    pub(crate) fn join(&self, limit: Limit) -> bool {
        // Not even a set without members is looked at: who joins while others are told of its end comes after them.
        match limit {
            Limit::Never => {
                self.empty.wait();
                true
            }
            Limit::After(timeout) => self.empty.wait_timeout(timeout),
            Limit::At(deadline) => self.empty.wait_deadline(deadline),
        }
    }

    /// Waits until the set is empty, and returns the first failure of those who are in now.
    pub(crate) fn join_raising(&self, limit: Limit) -> Result<bool, Failure> {
        struct Listening<'a>(&'a Members, Rc<Listener>);
        impl Drop for Listening<'_> {
            fn drop(&mut self) {
                self.0.listeners.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.1));
            }
        }
        let below = self.table.borrow().next;
        let listener = Rc::new(Listener { below, first: RefCell::new(None) });
        self.listeners.borrow_mut().push(listener.clone());
        let listening = Listening(self, listener);
        let joined = self.join(limit);
        let first = listening.1.first.take();
        // One that has ended in this very turn has not been told of yet.
        let first = first.or_else(|| {
            let table = self.table.borrow();
            table.members.range(..below).find_map(|(_, member)| member.greenlet.exception())
        });
        first.map_or(Ok(joined), Err)
    }

    // --- killing ------------------------------------------------------------------------------------------------

    /// Marks a member as killed; false for a stranger and for one that was killed before.
    pub(crate) fn condemn(&self, greenlet: &AnyGreenlet) -> bool {
        let mut table = self.table.borrow_mut();
        let number = table.numbers.get(greenlet).copied();
        let member = number.and_then(|number| table.members.get_mut(&number));
        member.is_some_and(|member| !std::mem::replace(&mut member.dying, true))
    }

    /// Marks every member as killed, and returns those who were not before.
    pub(crate) fn condemn_all(&self) -> Vec<AnyGreenlet> {
        let mut table = self.table.borrow_mut();
        let members = table.members.values_mut();
        members
            .filter_map(|member| {
                (!std::mem::replace(&mut member.dying, true)).then(|| member.greenlet.clone())
            })
            .collect()
    }
}
