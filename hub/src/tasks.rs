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

use crate::task::{Task, TaskRef, Token};

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

/// A place: the record, and where its task is, as finding that out from a record takes a look at its type.
struct Place {
    task: Resident,
    record: TaskRef,
}

/// The tasks with a place in the hub.
pub(crate) struct Tasks {
    places: RefCell<Slab<Place>>,
    running: Cell<Resident>,
    main: Resident,
}

impl Tasks {
    /// The tasks of a new hub: main, which runs.
    pub(crate) fn new(main: &TaskRef) -> Tasks {
        let tasks = Tasks {
            places: RefCell::default(),
            running: Cell::new(Resident::of(main)),
            main: Resident::of(main),
        };
        tasks.insert(main);
        tasks
    }

    /// Gives a task its place.
    pub(crate) fn insert(&self, record: &TaskRef) {
        let place = Place { task: Resident::of(record), record: record.clone() };
        let index = self.places.borrow_mut().insert(place);
        record
            .task
            .index
            .set(u32::try_from(index).expect("memory ends long before four thousand million tasks"));
    }

    /// Takes a task out that has ended, or that has not run and never will.
    pub(crate) fn remove(&self, index: u32) -> TaskRef {
        self.places.borrow_mut().remove(index as usize).record
    }

    /// How many there are, main included.
    pub(crate) fn len(&self) -> usize {
        self.places.borrow().len()
    }

    /// All of them, main first.
    pub(crate) fn records(&self) -> Vec<TaskRef> {
        self.places.borrow().iter().map(|(_, place)| place.record.clone()).collect()
    }

    /// The task that is in this wait, if one is.
    #[inline(always)]
    pub(crate) fn parked(&self, token: Token) -> Option<Resident> {
        let places = self.places.borrow();
        let task = places.get(token.index as usize)?.task;
        (task.wait.get() == token.wait).then_some(task)
    }

    /// The running task; in the hub, main, on whose stack the hub runs.
    #[inline(always)]
    pub(crate) fn running(&self) -> Resident {
        self.running.get()
    }

    /// The record of the running task.
    pub(crate) fn current(&self) -> TaskRef {
        let places = self.places.borrow();
        let index = self.running.get().index.get();
        places.get(index as usize).expect("a running task has a place").record.clone()
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
