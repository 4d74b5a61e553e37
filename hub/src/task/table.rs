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

use std::cell::{Cell, UnsafeCell};
use std::ops::Deref;
use std::ptr::NonNull;

use slab::Slab;

use super::reference::Record;
use super::switch::{self, Home};
use super::{NO_INDEX, Task, TaskRef, WaitToken, WeakTaskRef, blocks};

/// A task with a slot. Must not be stored in a value that outlives the call it is used in.
#[derive(Clone, Copy)]
pub(crate) struct TaskPtr(NonNull<Record>);

impl TaskPtr {
    #[inline(always)]
    pub(crate) fn of(record: &TaskRef) -> TaskPtr {
        TaskPtr(record.as_ptr())
    }

    /// Returns a reference that does not keep the task alive.
    #[inline(always)]
    pub(crate) fn downgrade(self) -> WeakTaskRef {
        // SAFETY: as in `record`.
        unsafe { WeakTaskRef::another(self.0) }
    }

    /// Returns a reference to the record.
    #[inline(always)]
    pub(crate) fn record(self) -> TaskRef {
        // SAFETY: the pointer is the address of a record, and the slab holds a reference as long as
        // residents of it are in use, by the rules above.
        unsafe { TaskRef::another(self.0) }
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
        &unsafe { self.0.as_ref() }.task
    }
}

/// The tasks with a slot in the hub.
pub(crate) struct TaskTable {
    /// Accessed by [`slab`](TaskTable::slab) alone.
    records: UnsafeCell<Slab<TaskRef>>,
    running: Cell<TaskPtr>,
    main: TaskPtr,
    home: Home,
}

impl TaskTable {
    /// Creates the tasks of a new hub: main, which runs.
    pub(crate) fn new(main: &TaskRef) -> TaskTable {
        // Miri finds a use of a dropped record if its memory is not used again.
        if !cfg!(miri) {
            blocks::open();
        }
        let tasks = TaskTable {
            records: UnsafeCell::default(),
            running: Cell::new(TaskPtr::of(main)),
            main: TaskPtr::of(main),
            home: Home::default(),
        };
        tasks.insert(main);
        tasks
    }

    /// Calls `f` with the slab. `f` must drop no record and call nothing but methods of the slab
    /// and of references.
    #[inline(always)]
    fn slab<R>(&self, f: impl FnOnce(&mut Slab<TaskRef>) -> R) -> R {
        // SAFETY: the table is not shared between threads. Only the methods of this table call this
        // one, with functions that cannot come back here: they run no code of others, except the
        // allocator, which uses no greenlets.
        f(unsafe { &mut *self.records.get() })
    }

    /// Assigns a slot to a task.
    #[inline]
    pub(crate) fn insert(&self, record: &TaskRef) {
        let place = self.slab(|slab| slab.insert(record.clone()));
        // The run queue uses the top bit of an index as a mark.
        let index = u32::try_from(place).ok().filter(|index| *index <= NO_INDEX / 2);
        record.task.index.set(index.expect("at most 2^31 greenlets are alive"));
    }

    /// Removes a task that has ended, or that has not run and never will.
    #[inline]
    pub(crate) fn remove(&self, index: u32) -> TaskRef {
        self.slab(|slab| slab.remove(index as usize))
    }

    /// Returns the number of tasks, including main.
    pub(crate) fn len(&self) -> usize {
        self.slab(|slab| slab.len())
    }

    /// Returns all tasks, main first.
    pub(crate) fn records(&self) -> Vec<TaskRef> {
        self.slab(|slab| slab.iter().map(|(_, record)| record.clone()).collect())
    }

    /// Returns the task that is in this wait, if there is one.
    #[inline(always)]
    pub(crate) fn parked(&self, token: WaitToken) -> Option<TaskPtr> {
        let task = self.at(token)?;
        (task.wait.get() == token.wait).then_some(task)
    }

    /// Returns the task in the slot of this token.
    #[inline(always)]
    fn at(&self, token: WaitToken) -> Option<TaskPtr> {
        self.slab(|slab| slab.get(token.index as usize).map(TaskPtr::of))
    }

    /// Prefetches the record of the task of this token. A hint.
    #[inline(always)]
    pub(crate) fn fetch_record(&self, token: WaitToken) {
        if let Some(task) = self.at(token) {
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

    /// Returns the record of the running task.
    #[inline(always)]
    pub(crate) fn current(&self) -> TaskRef {
        self.running.get().record()
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

    /// Frees the memory that is kept for the records of further tasks.
    pub(crate) fn close(&self) {
        blocks::close();
    }
}
