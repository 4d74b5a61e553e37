//! The greenlets of one scope: the children that may still access their borrows, and the outcome of
//! the others.
//!
//! A child is *gone* when its closure has been run or dropped and its fiber, if it had one, has
//! returned. This is later than `ready` (its greenlet-locals are dropped after that, and may wait).
//! The state differs from `dead` (a child that never ran is dead before its closure has been
//! dropped). Links cannot be used, because any holder may remove them. The scheduler therefore
//! reports it directly, from [`Core::gone`].

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
    /// The children that are not gone, in order of creation.
    living: RefCell<BTreeMap<u64, TaskRef>>,
    parent: Cell<Option<Token>>,
    recalled: Cell<bool>,
    /// Failures that were not reported, in order of time: of children that can still be joined, and
    /// the first of the others.
    failed: RefCell<Vec<(Rc<Child>, Failure)>>,
}

/// The state that a child and its handle share with the scope.
pub(crate) struct Child {
    children: Rc<Children>,
    number: u64,
    seen: Cell<bool>,
    /// `true` once its handle is dropped: its outcome cannot be read any more.
    forgotten: Cell<bool>,
}

/// The right of a child's handle to read the outcome.
pub(crate) struct Ask(Rc<Child>);

impl Children {
    /// Adds a greenlet that has not been started to the children.
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

    /// Removes a failure that will never be reported: of children without handles only the first is
    /// needed.
    fn thin_out(&self) -> Option<(Rc<Child>, Failure)> {
        let mut failed = self.failed.borrow_mut();
        let forgotten = |(_, (child, _)): &(usize, &(Rc<Child>, Failure))| child.forgotten.get();
        let second = failed.iter().enumerate().filter(forgotten).nth(1).map(|(at, _)| at);
        second.map(|at| failed.remove(at))
    }

    /// Returns the first unreported failure, at the end of the scope. After the scope has killed
    /// its children there is none: their outcome is their own.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let mut failed = self.failed.take().into_iter();
        let first = failed.next();
        failed.for_each(guard_drop);
        first.filter(|_| !self.recalled.get()).map(|(_, failure)| failure)
    }
}

impl Ask {
    /// Marks the outcome as read.
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
            // A system error goes to main, whether it is also read elsewhere or not.
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
                // The parent is woken in its turn of the queue, and so after the child's links.
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
            // Drops the closures of children that have not run. The destructors may wait and be
            // interrupted.
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
