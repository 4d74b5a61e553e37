//! The state of one thread's hub.
//!
//! All of it is plain single-threaded state in cells. No borrow is held while a user's closure runs
//! or a greenlet is switched to: take the value out, end the borrow, then call.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;

use super::events::IoWaiter;
use super::hooks::Hooks;
use super::idents::Ids;
use super::loop_state::LoopState;
use super::nested::Nested;
use super::pace::Pace;
use super::run_queue::{Item, Step};
use super::stacks::Stacks;
use super::timer_queue::TimerQueue;
use super::watches::Watches;
use crate::exception::Exception;
use crate::inbox::hub_inbox::Inbox;
use crate::inbox::lease::Gates;
use crate::inbox::registry::ForeignWaits;
use crate::inbox::thread_bound::hub_number;
use crate::reactor::Reactor;
use crate::scheduler::thread_exit::ThreadExit;
use crate::task::{Kind, NoBody, Record, State, Task, TaskRef, TaskTable, WaitToken};

/// The owner of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Main,
    Greenlet,
    Hub,
}

/// The hub of one thread.
pub(crate) struct Core {
    pub(super) ids: Ids,
    pub(crate) mode: Cell<Mode>,
    pub(crate) main: TaskRef,
    pub(crate) tasks: TaskTable,
    pub(crate) queue: RefCell<VecDeque<Item>>,
    pub(crate) agenda: RefCell<VecDeque<Step>>,
    pub(super) loop_state: LoopState,
    pub(super) timers: TimerQueue,
    pub(super) reactor: Reactor<IoWaiter>,
    pub(crate) inbox: Arc<Inbox>,
    pub(super) watches: Watches,
    pub(super) stacks: Stacks,
    /// Set when main's wait is over: the loop then returns to main.
    pub(crate) main_resumed: Cell<bool>,
    /// The waits of destructors in callbacks that unwind, the innermost last.
    pub(super) nested: RefCell<Vec<Nested>>,
    /// The operation that calls user code while an object is borrowed.
    pub(crate) borrowed: Cell<Option<&'static str>>,
    /// The number of times that main has continued after the loop ran.
    pub(crate) drives: Cell<u64>,
    /// The number of frames of main that are lent.
    pub(crate) lent: Cell<usize>,
    /// Set while `Hub::join` waits until the loop has nothing left.
    pub(crate) main_joins: Cell<bool>,
    /// Exceptions for main that are delivered before everything else.
    pub(crate) urgent: RefCell<VecDeque<Exception>>,
    pub(super) pace: Pace,
    /// `true` if std counted a panic on this thread when the present task was resumed.
    pub(crate) resumed_panicking: Cell<bool>,
    /// The number of parked tasks that are known to be unwinding.
    pub(crate) unwinding: Cell<usize>,
    /// The tasks with an interrupt that waits for the end of their unwinding.
    pub(crate) deferred: RefCell<Vec<TaskRef>>,
    /// Set while `Hub::kill_all` waits for the next greenlet to die.
    pub(crate) death_waiter: Cell<Option<WaitToken>>,
    pub(super) hooks: Hooks,
    /// The action of a signal from another thread, by the number of the signal.
    pub(crate) waiters: RefCell<HashMap<u64, Box<dyn Fn()>>>,
    pub(crate) gates: Gates,
    /// The functions that wait for an answer. A slot belongs to its [`Reply`](crate::Reply) alone
    /// until the reply is used.
    pub(crate) replies: RefCell<Slab<Box<dyn Any>>>,
    /// The waits and links of this hub in objects shared between threads.
    pub(crate) abroad: ForeignWaits,
    pub(crate) thread_exit: ThreadExit,
    /// `true` if the thread is ending, and the hub should have ended when main continued.
    pub(crate) overdue: Cell<bool>,
}

impl Core {
    /// Creates a hub, if the system has descriptors left for its poll.
    pub(crate) fn new(thread_exit: ThreadExit) -> io::Result<Rc<Core>> {
        let (reactor, waker) = Reactor::new()?;
        let mut main = Task::new(Kind::Main, Location::caller(), 0, None, None);
        main.state = Cell::new(State::Running);
        main.hub = Cell::new(hub_number());
        let main: TaskRef = Rc::new(Record { task: main, body: NoBody });
        Ok(Rc::new(Core {
            ids: Ids::new(hub_number()),
            mode: Cell::new(Mode::Main),
            tasks: TaskTable::new(&main),
            main,
            queue: RefCell::new(VecDeque::new()),
            agenda: RefCell::new(VecDeque::new()),
            loop_state: LoopState::new(),
            timers: TimerQueue::new(),
            reactor,
            inbox: Inbox::new(waker),
            watches: Watches::default(),
            stacks: Stacks::new(),
            main_resumed: Cell::new(false),
            nested: RefCell::default(),
            borrowed: Cell::new(None),
            drives: Cell::new(0),
            lent: Cell::new(0),
            main_joins: Cell::new(false),
            urgent: RefCell::new(VecDeque::new()),
            pace: Pace::new(),
            resumed_panicking: Cell::new(false),
            unwinding: Cell::new(0),
            deferred: RefCell::new(Vec::new()),
            death_waiter: Cell::new(None),
            hooks: Hooks::new(),
            waiters: RefCell::default(),
            gates: Gates::default(),
            replies: RefCell::default(),
            abroad: ForeignWaits::default(),
            thread_exit,
            overdue: Cell::new(false),
        }))
    }

    // --- the running task ---------------------------------------------------------------------------------------

    /// Returns the running task; in the hub that is main, since the hub runs on main's stack.
    pub(crate) fn current(&self) -> TaskRef {
        self.tasks.current()
    }

    pub(crate) fn in_hub(&self) -> bool {
        self.mode.get() == Mode::Hub
    }

    /// Runs `f`, which must not unwind, under the rules of the hub: a wait inside is refused.
    pub(crate) fn as_hub<R>(&self, f: impl FnOnce() -> R) -> R {
        let mode = self.mode.replace(Mode::Hub);
        let result = f();
        self.mode.set(mode);
        result
    }

    /// Creates the token of a new wait of the running task, for its wakers. The wait begins with
    /// [`park`](Core::park).
    pub(crate) fn token(&self) -> WaitToken {
        WaitToken { index: self.tasks.running().index.get(), wait: self.ids.new_wait() }
    }
}
