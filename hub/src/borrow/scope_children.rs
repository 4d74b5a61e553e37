//! The greenlets of one scope: which of them still may touch what they borrowed, and how those that are gone have ended.
//!
//! A child is *gone* when its closure has been run or dropped and its fiber, if it had one, has returned. That is later than
//! `ready` (its greenlet-locals are dropped after that, and may wait) and not the same as `dead` (which one that never ran
//! is before its closure has been dropped); and links will not do, as anybody may remove them. So the hub says it itself,
//! in [`Core::gone`], where it buries.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::borrow::frame_guard::Debts;
use crate::exception::{Exception, Failure, SystemExit};
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::scheduler::{Core, Item};
use crate::task::{AnyGreenlet, Gone, Task, TaskRef, Token};

/// The children of one scope.
#[derive(Default)]
pub(crate) struct Children {
    /// Those that are not gone, in the order in which they were made.
    living: RefCell<BTreeMap<u64, TaskRef>>,
    parent: Cell<Option<Token>>,
    recalled: Cell<bool>,
    /// Failures nobody has been told of, in the order in which they came: of those that still can be joined, and the
    /// first of the others.
    failed: RefCell<Vec<(Rc<Child>, Failure)>>,
}

/// What a child and its handle know of the scope.
pub(crate) struct Child {
    children: Rc<Children>,
    number: u64,
    seen: Cell<bool>,
    /// Its handle is dropped: nobody will ask.
    forgotten: Cell<bool>,
}

/// What the handle of a child holds: the right to ask how it has ended.
pub(crate) struct Ask(Rc<Child>);

impl Children {
    /// Makes a greenlet that has not been started one of the children.
    pub(crate) fn adopt(self: &Rc<Self>, core: &Core, record: &TaskRef) -> Ask {
        let child = Rc::new(Child {
            children: self.clone(),
            number: core.new_number(),
            seen: Cell::new(false),
            forgotten: Cell::new(false),
        });
        record.task.rare().child.set(Some(child.clone()));
        self.living.borrow_mut().insert(child.number, record.clone());
        Ask(child)
    }

    /// Takes out a failure that nobody will be told of: of those that are forgotten the first is enough.
    fn thin_out(&self) -> Option<(Rc<Child>, Failure)> {
        let mut failed = self.failed.borrow_mut();
        let forgotten = |(_, (child, _)): &(usize, &(Rc<Child>, Failure))| child.forgotten.get();
        let second = failed.iter().enumerate().filter(forgotten).nth(1).map(|(at, _)| at);
        second.map(|at| failed.remove(at))
    }

    /// The first failure that nobody was told of, at the end of the scope. After the scope has killed its children there is
    /// none: what they ended with is its own.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let mut failed = self.failed.take().into_iter();
        let first = failed.next();
        failed.for_each(guard_drop);
        first.filter(|_| !self.recalled.get()).map(|(_, failure)| failure)
    }
}

impl Ask {
    /// Somebody is told how it ended.
    pub(crate) fn see(&self) {
        self.0.seen.set(true);
        let mut failed = self.0.children.failed.borrow_mut();
        let at = failed.iter().position(|(child, _)| child.number == self.0.number);
        let told = at.map(|at| failed.remove(at));
        drop(failed);
        drop(told);
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        self.0.forgotten.set(true);
        drop(self.0.children.thin_out());
    }
}

impl Gone for Child {
    fn gone(self: Rc<Self>, task: &Task, wake: &mut dyn FnMut(Token)) {
        let children = self.children.clone();
        let failure = task.failure.get().filter(|failure| {
            // A system error goes to main, whoever else is told.
            !self.seen.get() && !failure.is_exit() && !failure.is::<SystemExit>()
        });
        let number = self.number;
        if let Some(failure) = failure {
            children.failed.borrow_mut().push((self, failure.clone()));
        }
        let record = children.living.borrow_mut().remove(&number);
        drop(record);
        if children.left() == 0 {
            if let Some(parent) = children.parent.take() {
                // In its turn of the queue, and so behind the child's links.
                wake(parent);
            }
        }
        guard_drop(children.thin_out());
    }
}

impl Debts for Children {
    fn left(&self) -> usize {
        self.living.borrow().len()
    }

    fn tell(&self, token: Token) {
        self.parent.set(Some(token));
    }

    fn recall(&self, core: &Core, exception: &Exception) -> Option<Exception> {
        self.recalled.set(true);
        let living: Vec<TaskRef> = self.living.borrow().values().cloned().collect();
        let mut raised = None;
        let mut running = Vec::new();
        for record in living {
            let child = AnyGreenlet { record };
            // Drops the closures of those that have not run, whose destructors may wait and be interrupted.
            match guard(|| child.needs_throw(core, exception)) {
                Ok(true) => running.push(child.record),
                Ok(false) => {}
                Err(Escape::Exception(exception)) => raised = raised.or(Some(exception)),
                Err(escape) => escape.resume(),
            }
        }
        if !running.is_empty() {
            core.push(Item::throw(running, exception.clone(), None));
        }
        raised
    }

    fn debtors(&self) -> String {
        let living: Vec<TaskRef> = self.living.borrow().values().cloned().collect();
        let tell = |record: TaskRef| {
            let task = &record.task;
            format!("\n  {:?}, in {}", AnyGreenlet::from(&record), task.reason.get())
        };
        living.into_iter().map(tell).collect()
    }
}
