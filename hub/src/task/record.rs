//! The state of a greenlet: its fiber, its progress, its links, and what its body must offer.
//!
//! The hub's slab holds the record of a task from its start until its end; handles may hold it
//! longer.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::mem::offset_of;
use std::panic::Location;
use std::rc::Rc;
use std::thread;

use super::interrupt::{Interrupt, ScopeTimeout};
use super::locals::Locals;
use super::reference::WeakTaskRef;
use super::switch::FiberCell;
use super::wait_token::{WaitToken, WakeReason};
use crate::exception::{Exception, Failure};
use crate::fiber;
use crate::stack::overflow::OverflowInfo;
use crate::task::Links;
use crate::timers::TimerId;

/// The operations of a body that the hub needs.
pub(crate) trait Run: 'static {
    /// Runs the closure and stores its value; catches every exception and panic. Called once, on
    /// the greenlet's own stack.
    fn run(&self) -> thread::Result<Result<(), Exception>>;
    /// Drops a closure that will never run.
    fn discard(&self);
    /// Drops the value that the body returned, if it was not taken.
    fn drop_value(&self);
    /// Returns the cell of the value, for a downcast by the handle that knows the type.
    fn value(&self) -> &dyn Any;
}

/// The body of a main greenlet, which has none.
pub(crate) struct NoBody;

impl Run for NoBody {
    fn run(&self) -> thread::Result<Result<(), Exception>> {
        Ok(Ok(()))
    }

    fn discard(&self) {}

    fn drop_value(&self) {}

    fn value(&self) -> &dyn Any {
        &()
    }
}

/// The kind of a greenlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The main greenlet, on the thread's own stack.
    Main,
    /// A greenlet with a result, with links, and with kills that depend on whether it ran.
    Greenlet,
    /// A bare coroutine: a link's body, or `spawn_raw`.
    Raw,
}

/// The progress of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Created,
    /// Queued or delayed, not yet run.
    Started,
    /// Has begun to run.
    Running,
    /// Its result is recorded.
    Ready,
}

/// The known unwinding state of a parked task, which decides whether an interrupt would hit a
/// destructor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnwindState {
    /// The task is not unwinding.
    No,
    /// The task is unwinding: an interrupt must wait.
    Yes,
    /// The task waited while another greenlet of the thread was suspended during its unwinding, and
    /// std's count cannot distinguish the two.
    Unknown,
}

/// The state of a greenlet except its body.
// In this order, so that the fields that a switch reads are on the same two or three cache lines.
#[repr(C)]
pub(crate) struct Task {
    pub(crate) kind: Kind,
    pub(crate) state: Cell<State>,
    pub(crate) dead: Cell<bool>,
    pub(crate) verdict: Cell<WakeReason>,
    pub(crate) unwind_state: Cell<UnwindState>,
    /// `true` if it has raised an exception of ramie and not caught it yet.
    pub(crate) raised: Cell<bool>,
    /// `true` while it waits for borrowers of its frames: interrupts then go to `masked` and only
    /// wake it.
    pub(crate) shielded: Cell<bool>,
    /// `true` if it is resumed to raise `thrown` instead of returning from its wait.
    pub(crate) interrupted: Cell<bool>,
    /// Its slot in the hub while it is started and not dead; `u32::MAX` otherwise.
    pub(crate) index: Cell<u32>,
    /// The number of the wait that it is parked in; 0 while it runs or before it starts.
    pub(crate) wait: Cell<u64>,
    /// The exception that the task raises when it is resumed as interrupted.
    pub(crate) thrown: Cell<Option<Exception>>,
    rare: OnceCell<Box<Cold>>,
    pub(crate) reason: Cell<&'static str>,
    pub(crate) fiber: FiberCell,
    pub(crate) overflow: OverflowInfo,
    /// The number of the hub that it was started in; 0 before the start.
    pub(crate) hub: Cell<u64>,
    /// The number of exceptions that it has raised.
    pub(crate) raises: Cell<u64>,
    pub(crate) stack_size: usize,
    pub(crate) links: Links,
    pub(crate) spawner: Option<WeakTaskRef>,
    /// The values of its tree, until it ends. See [`Task::tree`].
    tree: Cell<Option<Rc<Locals>>>,
}

/// An observer of the complete end of a task.
pub(crate) trait Gone {
    /// Called when the task's closure and fiber are gone. Calls `wake` with the waiter for that, if
    /// there is one.
    fn gone(self: Rc<Self>, task: &Task, wake: &mut dyn FnMut(WaitToken));
}

/// The fields that few tasks need.
#[derive(Default)]
pub(crate) struct Cold {
    /// The failure that the task has ended with.
    pub(crate) failure: OnceCell<Failure>,
    /// The timer of a start with a delay, until the task begins.
    pub(crate) start_timer: Cell<Option<TimerId>>,
    /// The number for its name, once it was asked for.
    pub(crate) ident: Cell<Option<u32>>,
    pub(crate) locals: Locals,
    /// The exception raised at its last wait, to distinguish it from an exception that the code
    /// there raises itself.
    pub(crate) delivered: Cell<Option<Exception>>,
    /// The scope timeout that has sent the delivered exception, if one has.
    pub(crate) timeout: Cell<Option<Rc<dyn ScopeTimeout>>>,
    /// An interrupt that was raised in the task and caught by code that did not read it.
    pub(crate) swallowed: Cell<Option<Exception>>,
    /// Interrupts that arrived while it was unwinding.
    pub(crate) masked: RefCell<VecDeque<Interrupt>>,
    /// The exception that the scope around the task has killed it with. An end with this exception
    /// is not a failure to report.
    pub(crate) recalled: Cell<Option<Exception>>,
    /// The observer to notify when its closure and fiber are gone.
    pub(crate) child: Cell<Option<Rc<dyn Gone>>>,
}

/// The number of cache lines of a record that a switch reads: all in front of the overflow info.
const HOT_LINES: usize = offset_of!(Task, overflow).div_ceil(64) + 1;

/// The slot of a task that is in no slab.
pub(crate) const NO_INDEX: u32 = u32::MAX;

impl Task {
    // Inlined, since otherwise the value would be copied once more.
    #[inline(always)]
    pub(crate) fn new(
        kind: Kind,
        site: &'static Location<'static>,
        stack_size: usize,
        spawner: Option<WeakTaskRef>,
        tree: Option<Rc<Locals>>,
    ) -> Self {
        Task {
            kind,
            hub: Cell::new(0),
            state: Cell::new(State::Created),
            dead: Cell::new(false),
            verdict: Cell::new(WakeReason::Woken),
            unwind_state: Cell::new(UnwindState::No),
            raised: Cell::new(false),
            shielded: Cell::new(false),
            interrupted: Cell::new(false),
            index: Cell::new(NO_INDEX),
            wait: Cell::new(0),
            thrown: Cell::new(None),
            rare: OnceCell::new(),
            reason: Cell::new("start"),
            fiber: FiberCell::new(),
            overflow: OverflowInfo::new(site),
            raises: Cell::new(0),
            stack_size,
            links: Links::new(),
            spawner,
            tree: Cell::new(tree),
        }
    }

    /// Takes the observer to notify when the task is gone.
    pub(crate) fn take_child(&self) -> Option<Rc<dyn Gone>> {
        self.rare.get()?.child.take()
    }

    /// Returns `true` if the task has ended with the exception that the scope around it has killed
    /// it with.
    pub(crate) fn was_recalled(&self, failure: &Failure) -> bool {
        let recalled = self.rare.get().and_then(|rare| rare.recalled.take());
        recalled
            .is_some_and(|recalled| failure.exception().is_some_and(|exception| exception.same(&recalled)))
    }

    /// Returns the rare fields, which are allocated now if necessary.
    pub(crate) fn cold(&self) -> &Cold {
        self.rare.get_or_init(Box::default)
    }

    /// Returns the rare fields, if any of them was ever set.
    #[inline(always)]
    pub(crate) fn cold_if_used(&self) -> Option<&Cold> {
        self.rare.get().map(|rare| &**rare)
    }

    /// Returns the failure that the task has ended with.
    #[inline]
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.rare.get()?.failure.get()
    }

    /// Returns the place in the program where the task was spawned.
    pub(crate) fn site(&self) -> &'static Location<'static> {
        self.overflow.site()
    }

    /// Returns `true` if an interrupt waits for the end of the task's unwinding.
    #[inline]
    pub(crate) fn has_masked(&self) -> bool {
        self.rare.get().is_some_and(|rare| !rare.masked.borrow().is_empty())
    }

    /// Records the scope timeout that sends the exception that is about to be raised in the task.
    #[inline]
    pub(crate) fn note_timeout(&self, timeout: Option<Rc<dyn ScopeTimeout>>) {
        if timeout.is_some() || self.rare.get().is_some() {
            self.cold().timeout.set(timeout);
        }
    }

    /// Sets the exception that the task raises when the hub resumes it, which is next.
    pub(crate) fn interrupt(&self, exception: Exception) {
        self.thrown.set(Some(exception));
        self.interrupted.set(true);
    }

    /// Returns the values of the tree that it belongs to. It begins one if it has none.
    pub(crate) fn tree(&self) -> Rc<Locals> {
        let tree = self.tree.take().unwrap_or_default();
        self.tree.set(Some(tree.clone()));
        tree
    }

    /// Takes the values of the tree from a task that has ended.
    #[inline]
    pub(crate) fn take_tree(&self) -> Option<Rc<Locals>> {
        self.tree.take()
    }

    /// Defers an interrupt.
    pub(crate) fn mask(&self, throw: Interrupt) {
        self.cold().masked.borrow_mut().push_back(throw);
    }

    /// Prefetches the cache lines of this record that a switch reads. A hint.
    #[inline(always)]
    pub(crate) fn fetch(&self) {
        fiber::fetch(std::ptr::from_ref(self).addr(), HOT_LINES);
    }

    /// Returns `true` if the task belongs to an earlier hub of this thread. Such a task was
    /// abandoned or has ended; it never runs again.
    pub(crate) fn of_another(&self, hub: u64) -> bool {
        self.hub.get() != 0 && self.hub.get() != hub
    }

    /// Returns `true` if its result is recorded.
    #[inline]
    pub(crate) fn ready(&self) -> bool {
        self.state.get() == State::Ready
    }

    /// Returns `true` if the task is started and has no result: gevent's truth value of a greenlet.
    pub(crate) fn started(&self) -> bool {
        matches!(self.state.get(), State::Started | State::Running)
    }

    /// Returns `true` if it ended well: it returned, or left by `GreenletExit`.
    pub(crate) fn successful(&self) -> bool {
        self.ready() && self.failure().is_none_or(Failure::is_exit)
    }

    /// Returns the token of the wait that it is parked in.
    pub(crate) fn token(&self) -> WaitToken {
        WaitToken { index: self.index.get(), wait: self.wait.get() }
    }
}
