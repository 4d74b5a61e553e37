//! The greenlets of one scope: the children that may still access their borrows, and the outcome of
//! the others.
//!
//! A child is *gone* when its closure has been run or dropped and its fiber, if it had one, has
//! returned. This is later than `ready` (its greenlet-locals are dropped after that, and may wait).
//! The state differs from `dead` (a child that never ran is dead before its closure has been
//! dropped). Links cannot be used, because any holder may remove them. The scheduler therefore
//! reports it directly, from [`Core::gone`].
//!
//! The list owns the closures of its children. A record holds only an [`Errand`], which asks the
//! list for the closure when it is run or dropped. The order of events that user code causes is
//! therefore irrelevant: a record that outlives its scope finds nothing in the list, and a record
//! that is started in a later hub of the thread gets nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::borrow::frame_guard::Borrowers;
use crate::error::NotRun;
use crate::exception::{Exception, Failure, SystemExit};
use crate::inbox::thread_bound::hub_number;
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::scheduler::{Core, Item};
use crate::task::body::ScopedBody;
use crate::task::{AnyGreenlet, Gone, Task, TaskRef, WaitToken};

/// The work of a child. It may borrow from the frame of the scope; its type does not say so.
pub(crate) type Work = Box<dyn FnOnce() -> Result<(), Exception>>;

/// A child that is not gone.
struct Living {
    record: TaskRef,
    /// The closure, until it is run or dropped.
    work: Option<Work>,
}

/// The children of one scope.
pub(crate) struct Children {
    /// The number of the hub that the scope was made in.
    home: u64,
    /// The children that are not gone, in order of creation.
    living: RefCell<BTreeMap<u64, Living>>,
    parent: Cell<Option<WaitToken>>,
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

/// The body of a child: it runs, or drops, the closure that the list of children has for it.
pub(crate) struct Errand(Rc<Child>);

impl ScopedBody for Errand {
    type Value = ();
    type Error = Exception;

    fn run(self) -> Result<(), Exception> {
        let work = self.0.take_work().ok_or_else(|| Exception::new(NotRun))?;
        work()
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        drop(self.0.take_work());
    }
}

impl Child {
    /// Takes the closure out of the list. Returns `None` when it was taken before, or when the hub
    /// of the scope has ended: the borrows of the closure may then be gone with the thread, so the
    /// closure is leaked.
    fn take_work(&self) -> Option<Work> {
        let work = self.children.living.borrow_mut().get_mut(&self.number)?.work.take()?;
        if self.children.home == hub_number() {
            Some(work)
        } else {
            let _leaked = ManuallyDrop::new(work);
            None
        }
    }
}

impl Children {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Children {
            home: hub_number(),
            living: RefCell::default(),
            parent: Cell::new(None),
            recalled: Cell::new(false),
            failed: RefCell::default(),
        })
    }

    /// Creates a child that runs `work`, without starting it. Calls no user code. The caller gets
    /// the only other reference to the child's record, which is in the list already.
    pub(crate) fn adopt(
        self: &Rc<Self>,
        core: &Core,
        work: Work,
        make: impl FnOnce(Errand) -> TaskRef,
    ) -> (TaskRef, Ask) {
        let child = Rc::new(Child {
            children: self.clone(),
            number: core.new_number(),
            seen: Cell::new(false),
            forgotten: Cell::new(false),
        });
        let record = make(Errand(child.clone()));
        record.task.cold().child.set(Some(child.clone()));
        let living = Living { record: record.clone(), work: Some(work) };
        self.living.borrow_mut().insert(child.number, living);
        (record, Ask(child))
    }

    fn records(&self) -> Vec<TaskRef> {
        self.living.borrow().values().map(|living| living.record.clone()).collect()
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
    fn gone(self: Rc<Self>, task: &Task, wake: &mut dyn FnMut(WaitToken)) {
        let children = self.children.clone();
        let failure = task.failure().filter(|failure| {
            // A system error goes to main, whether it is also read elsewhere or not.
            !self.seen.get() && !failure.is_exit() && !failure.is::<SystemExit>()
        });
        let number = self.number;
        if let Some(failure) = failure {
            children.failed.borrow_mut().push((self, failure.clone()));
        }
        let living = children.living.borrow_mut().remove(&number);
        drop(living);
        if children.left() == 0 {
            if let Some(parent) = children.parent.take() {
                // The parent is woken in its turn of the queue, and so after the child's links.
                wake(parent);
            }
        }
        guard_drop(children.thin_out());
    }
}

impl Borrowers for Children {
    fn left(&self) -> usize {
        self.living.borrow().len()
    }

    fn tell(&self, token: WaitToken) {
        self.parent.set(Some(token));
    }

    fn interrupt(&self, core: &Core, exception: &Exception) -> Option<Exception> {
        self.recalled.set(true);
        let living = self.records();
        let mut raised = None;
        let mut running = Vec::new();
        for record in living {
            record.task.cold().recalled.set(Some(exception.clone()));
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

    fn describe(&self) -> String {
        let tell = |record: TaskRef| {
            let task = &record.task;
            format!("\n  {:?}, in {}", AnyGreenlet::from(&record), task.reason.get())
        };
        self.records().into_iter().map(tell).collect()
    }
}
