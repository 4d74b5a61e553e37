//! The numbers that a hub assigns, and the names of greenlets in reports.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use super::Core;
use crate::error::Waiting;
use crate::scheduler::current;
use crate::task::{AnyGreenlet, Cold, Kind, LinkId, Task, TaskRef};

/// The numbers that a hub assigns. Only an ident is assigned again, when its record is gone.
pub(super) struct Ids {
    hub: u64,
    next_wait: Cell<u64>,
    next_number: Cell<u64>,
    free_idents: RefCell<BinaryHeap<Reverse<u32>>>,
    next_ident: Cell<u32>,
}

impl Ids {
    /// Creates the numbers of the hub with this number. The numbers of waits, links and waiters of
    /// an earlier hub of this thread do not occur in this hub.
    pub(super) fn new(hub: u64) -> Ids {
        let first = (hub << 32) + 1;
        Ids {
            hub,
            next_wait: Cell::new(first),
            next_number: Cell::new(first),
            free_idents: RefCell::default(),
            next_ident: Cell::new(0),
        }
    }

    /// Returns the number of the hub.
    #[inline(always)]
    pub(super) fn hub(&self) -> u64 {
        self.hub
    }

    /// Returns the number of a new wait.
    #[inline(always)]
    pub(super) fn new_wait(&self) -> u64 {
        let wait = self.next_wait.get();
        self.next_wait.set(wait + 1);
        wait
    }

    /// Returns the number of waits that have begun.
    pub(super) fn waits_begun(&self) -> u64 {
        self.next_wait.get() - (self.hub << 32) - 1
    }

    /// Returns a number that no other link or ticket of this hub has.
    #[inline(always)]
    pub(super) fn new_number(&self) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        number
    }

    /// Returns the smallest number that no living record of this hub has, assigned at the first
    /// call.
    fn ident(&self, task: &Task) -> u32 {
        let place = &task.cold().ident;
        if let Some(ident) = place.get() {
            return ident;
        }
        let free = self.free_idents.borrow_mut().pop();
        let ident = match free {
            Some(Reverse(ident)) => ident,
            None => self.next_ident.replace(self.next_ident.get() + 1),
        };
        place.set(Some(ident));
        ident
    }

    /// Releases the number of a record that is gone.
    fn free_ident(&self, ident: u32) {
        self.free_idents.borrow_mut().push(Reverse(ident));
    }
}

impl Core {
    /// Returns the number of the hub, which no other hub of this process has.
    #[inline(always)]
    pub(crate) fn number(&self) -> u64 {
        self.ids.hub()
    }

    /// Returns the number of waits that have begun in this hub, including the starts of greenlets.
    pub(crate) fn waits_begun(&self) -> u64 {
        self.ids.waits_begun()
    }

    /// Returns a number that no other link or ticket of this hub has.
    #[inline]
    pub(crate) fn new_number(&self) -> u64 {
        self.ids.new_number()
    }

    #[inline]
    pub(crate) fn new_link(&self) -> LinkId {
        LinkId(self.new_number())
    }

    pub(crate) fn ident(&self, task: &Task) -> u32 {
        self.ids.ident(task)
    }

    /// Returns all suspended greenlets, main first.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let suspended = |record: &&TaskRef| record.task.wait.get() != 0;
        self.tasks.records().iter().filter(suspended).map(|record| self.describe(record)).collect()
    }

    /// Returns the name of a greenlet, with the place where it was spawned and the call it waits in.
    pub(super) fn describe(&self, record: &TaskRef) -> Waiting {
        let site = (record.task.kind != Kind::Main).then(|| record.task.site());
        Waiting { name: self.name(record), site, reason: record.task.reason.get() }
    }

    pub(crate) fn name(&self, record: &TaskRef) -> String {
        if let Some(name) = record.task.overflow.name() {
            return name.as_ref().to_owned();
        }
        match record.task.kind {
            Kind::Main => "main greenlet".to_owned(),
            Kind::Greenlet => format!("Greenlet-{}", self.ident(&record.task)),
            Kind::Raw => format!("raw greenlet {}", self.ident(&record.task)),
        }
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        if let (Some(ident), Some(core)) = (self.ident.get(), current::try_core()) {
            core.ids.free_ident(ident);
        }
    }
}

impl fmt::Debug for AnyGreenlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = &self.record.task;
        let name = match task.overflow.name() {
            Some(name) => name.as_ref().to_owned(),
            None if current::try_core().is_some() => current::core().name(&self.record),
            None => "Greenlet".to_owned(),
        };
        write!(f, "<{name} {:?}", task.state.get())?;
        if task.kind != Kind::Main {
            write!(f, ", spawned at {}", task.site())?;
        }
        f.write_str(">")
    }
}
