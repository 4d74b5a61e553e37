//! The tasks of a hub that have a place, and the one that runs.
//!
//! The hub looks a task up for every switch, and the running task looks itself up for every wait. Both get a
//! [`Resident`], which is a pointer: no count of references goes up and down for it.
//!
//! The rules that keep those pointers good:
//! 1. A task has a place from its start to its end: [`Tasks::remove`] is called for one whose fiber has returned, by
//!    the hub after the switch, and for one that has not run and never will. Main's is never removed.
//! 2. So the resident of a task that runs or is parked in the middle is good until its code has ended. Its own frames
//!    may hold it across a switch; if they are abandoned, so is the record.
//! 3. Nobody else holds one any longer than until the next call that may end a task.

#![expect(unsafe_code, reason = "points to running tasks without counting references")]

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::ptr::NonNull;

use slab::Slab;

use super::{NO_INDEX, Task, TaskRef, Token, switch};

/// A task that has a place. Not kept in anything that outlives the call it is used in.
#[derive(Clone, Copy)]
pub(crate) struct Resident(NonNull<Task>);

impl Resident {
    pub(crate) fn of(record: &TaskRef) -> Resident {
        Resident(NonNull::from(&record.task))
    }
}

impl Deref for Resident {
    type Target = Task;

    #[inline(always)]
    fn deref(&self) -> &Task {
        // SAFETY: it was made from a record, which stays where it is in memory and which the slab holds as long as
        // residents of it are in use, by the rules above.
        unsafe { self.0.as_ref() }
    }
}

/// The tasks with a place in the hub.
pub(crate) struct Tasks {
    records: RefCell<Slab<TaskRef>>,
    /// The same by place: a record is asked for its type before it tells where its task is, and is twice as large.
    residents: RefCell<Vec<Option<Resident>>>,
    running: Cell<Resident>,
    main: Resident,
}

impl Tasks {
    /// The tasks of a new hub: main, which runs.
    pub(crate) fn new(main: &TaskRef) -> Tasks {
        let tasks = Tasks {
            records: RefCell::default(),
            residents: RefCell::default(),
            running: Cell::new(Resident::of(main)),
            main: Resident::of(main),
        };
        tasks.insert(main);
        tasks
    }

    /// Gives a task its place.
    pub(crate) fn insert(&self, record: &TaskRef) {
        let place = self.records.borrow_mut().insert(record.clone());
        let index = u32::try_from(place).ok().filter(|index| *index != NO_INDEX);
        record.task.index.set(index.expect("fewer than 2^32 greenlets are alive"));
        let mut residents = self.residents.borrow_mut();
        if place == residents.len() {
            residents.push(None);
        }
        residents[place] = Some(Resident::of(record));
    }

    /// Takes a task out that has ended, or that has not run and never will.
    pub(crate) fn remove(&self, index: u32) -> TaskRef {
        self.residents.borrow_mut()[index as usize] = None;
        self.records.borrow_mut().remove(index as usize)
    }

    /// How many there are, main included.
    pub(crate) fn len(&self) -> usize {
        self.records.borrow().len()
    }

    /// All of them, main first.
    pub(crate) fn records(&self) -> Vec<TaskRef> {
        self.records.borrow().iter().map(|(_, record)| record.clone()).collect()
    }

    /// The task that is in this wait, if one is.
    #[inline(always)]
    pub(crate) fn parked(&self, token: Token) -> Option<Resident> {
        let residents = self.residents.borrow();
        let task = (*residents.get(token.index as usize)?)?;
        (task.wait.get() == token.wait).then_some(task)
    }

    /// Has the record of the task fetched into the cache that will wait for this one's turn. A hint.
    #[inline(always)]
    pub(crate) fn fetch_record(&self, token: Token) {
        if let Some(Some(task)) = self.residents.borrow().get(token.index as usize) {
            task.fetch();
        }
    }

    /// Has the stack fetched into the cache of the task that is in this wait. A hint.
    #[inline(always)]
    pub(crate) fn fetch_stack(&self, token: Token) {
        if let Some(task) = self.parked(token) {
            switch::fetch_stack(&task.fiber);
        }
    }

    /// The running task; in the hub, main, on whose stack the hub runs.
    #[inline(always)]
    pub(crate) fn running(&self) -> Resident {
        self.running.get()
    }

    /// Runs `f` on the record of the running task.
    pub(crate) fn with_current<R>(&self, f: impl FnOnce(&TaskRef) -> R) -> R {
        let index = self.running.get().index.get();
        f(self.records.borrow().get(index as usize).expect("a running task has a place"))
    }

    /// The record of the running task.
    pub(crate) fn current(&self) -> TaskRef {
        self.with_current(TaskRef::clone)
    }

    /// Notes that a task is switched to.
    #[inline(always)]
    pub(crate) fn enter(&self, task: Resident) {
        self.running.set(task);
    }

    /// Notes that the hub has control again.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.running.set(self.main);
    }
}
