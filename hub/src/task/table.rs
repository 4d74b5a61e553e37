//! The tasks with a slot in the hub, and the running task.
//!
//! The hub looks a task up for every switch, and the running task looks itself up for every wait.
//! Both get a [`TaskPtr`], which is a pointer: it changes no reference count.
//!
//! The rules that keep these pointers valid:
//! 1. A task has a slot from its start to its end. [`TaskTable::remove`] is called for a task after its
//!    fiber has returned, by the hub after the switch, and for a task that has not run and never
//!    will. Main is never removed.
//! 2. The resident of a running or parked task is therefore valid until the task's code has ended.
//!    The task's own frames may hold it across a switch; if they are abandoned, so is the record.
//! 3. Other code holds a resident only until the next call that may end a task.

#![expect(unsafe_code, reason = "points to running tasks without counting references")]

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::ptr::NonNull;

use slab::Slab;

use super::switch::{self, Home};
use super::{NO_INDEX, Task, TaskRef, WaitToken};

/// A task with a slot. Must not be stored in a value that outlives the call it is used in.
#[derive(Clone, Copy)]
pub(crate) struct TaskPtr(NonNull<Task>);

impl TaskPtr {
    pub(crate) fn of(record: &TaskRef) -> TaskPtr {
        TaskPtr(NonNull::from(&record.task))
    }

    /// Returns `true` if both are the same task.
    #[inline(always)]
    pub(crate) fn is(self, other: TaskPtr) -> bool {
        self.0 == other.0
    }
}

impl Deref for TaskPtr {
    type Target = Task;

    #[inline(always)]
    fn deref(&self) -> &Task {
        // SAFETY: the pointer was made from a record, which does not move in memory and which the
        // slab holds as long as residents of it are in use, by the rules above.
        unsafe { self.0.as_ref() }
    }
}

/// The tasks with a slot in the hub.
pub(crate) struct TaskTable {
    records: RefCell<Slab<TaskRef>>,
    /// The residents by slot: a record needs a lookup of its type to find its task, and is twice as
    /// large.
    residents: RefCell<Vec<Option<TaskPtr>>>,
    running: Cell<TaskPtr>,
    main: TaskPtr,
    home: Home,
}

impl TaskTable {
    /// Creates the tasks of a new hub: main, which runs.
    pub(crate) fn new(main: &TaskRef) -> TaskTable {
        let tasks = TaskTable {
            records: RefCell::default(),
            residents: RefCell::default(),
            running: Cell::new(TaskPtr::of(main)),
            main: TaskPtr::of(main),
            home: Home::default(),
        };
        tasks.insert(main);
        tasks
    }

    /// Assigns a slot to a task.
    pub(crate) fn insert(&self, record: &TaskRef) {
        let place = self.records.borrow_mut().insert(record.clone());
        let index = u32::try_from(place).ok().filter(|index| *index != NO_INDEX);
        record.task.index.set(index.expect("fewer than 2^32 greenlets are alive"));
        let mut residents = self.residents.borrow_mut();
        if place == residents.len() {
            residents.push(None);
        }
        residents[place] = Some(TaskPtr::of(record));
    }

    /// Removes a task that has ended, or that has not run and never will.
    pub(crate) fn remove(&self, index: u32) -> TaskRef {
        self.residents.borrow_mut()[index as usize] = None;
        self.records.borrow_mut().remove(index as usize)
    }

    /// Returns the number of tasks, including main.
    pub(crate) fn len(&self) -> usize {
        self.records.borrow().len()
    }

    /// Returns all tasks, main first.
    pub(crate) fn records(&self) -> Vec<TaskRef> {
        self.records.borrow().iter().map(|(_, record)| record.clone()).collect()
    }

    /// Returns the task that is in this wait, if there is one.
    #[inline(always)]
    pub(crate) fn parked(&self, token: WaitToken) -> Option<TaskPtr> {
        let residents = self.residents.borrow();
        let task = (*residents.get(token.index as usize)?)?;
        (task.wait.get() == token.wait).then_some(task)
    }

    /// Prefetches the record of the task of this token. A hint.
    #[inline(always)]
    pub(crate) fn fetch_record(&self, token: WaitToken) {
        if let Some(Some(task)) = self.residents.borrow().get(token.index as usize) {
            task.fetch();
        }
    }

    /// Prefetches the stack of the task that is in this wait. A hint.
    #[inline(always)]
    pub(crate) fn fetch_stack(&self, token: WaitToken) {
        if let Some(task) = self.parked(token) {
            switch::fetch_stack(&task.fiber);
        }
    }

    /// Returns the running task; in the hub that is main, since the hub runs on main's stack.
    #[inline(always)]
    pub(crate) fn running(&self) -> TaskPtr {
        self.running.get()
    }

    /// Runs `f` on the record of the running task.
    pub(crate) fn with_current<R>(&self, f: impl FnOnce(&TaskRef) -> R) -> R {
        let index = self.running.get().index.get();
        f(self.records.borrow().get(index as usize).expect("a running task has a slot"))
    }

    /// Returns the record of the running task.
    pub(crate) fn current(&self) -> TaskRef {
        self.with_current(TaskRef::clone)
    }

    /// Records that a task is switched to.
    #[inline(always)]
    pub(crate) fn enter(&self, task: TaskPtr) {
        self.running.set(task);
    }

    /// Records that the hub has control again. Returns the task that ran last.
    #[inline(always)]
    pub(crate) fn leave(&self) -> TaskPtr {
        self.running.replace(self.main)
    }

    /// Returns the resumption point of the hub, for [`switch::resume`].
    #[inline(always)]
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }
}
