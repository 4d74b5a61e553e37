//! The state of one thread's hub.
//!
//! All of it is plain single-threaded state in cells. No borrow is held while a user's closure runs
//! or a greenlet is switched to: take the value out, end the borrow, then call.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::events::{Event, IoWaiter, TimerEntry, Watches};
use super::hooks::Hooks;
use super::idents::Ids;
use super::nested::Nested;
use super::pace::Pace;
use super::run_queue::{Item, Step};
use crate::exception::Exception;
use crate::inbox::hub_inbox::Inbox;
use crate::inbox::lease::Gates;
use crate::inbox::registry::ForeignWaits;
use crate::inbox::thread_bound::hub_number;
#[cfg(unix)]
use crate::reactor::fd_table::FdTable;
use crate::reactor::poller::Poller;
use crate::scheduler::thread_exit::ThreadExit;
use crate::stack::StackPool;
use crate::stack::fault;
use crate::task::{Kind, NoBody, Record, State, Task, TaskRef, TaskTable, WaitToken};
use crate::timers::Timers;

/// The owner of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Main,
    Greenlet,
    Hub,
}

/// The phase of an iteration of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Prepare,
    Callbacks,
    Poll,
    Invoke,
}

/// The number of operations on ready sources that a greenlet may do before it lets other greenlets
/// run.
pub(super) const IO_BUDGET: u32 = 128;

/// The hub of one thread.
pub(crate) struct Core {
    pub(super) ids: Ids,
    epoch: Instant,
    pub(crate) mode: Cell<Mode>,
    pub(crate) phase: Cell<Phase>,
    pub(crate) main: TaskRef,
    pub(crate) tasks: TaskTable,
    pub(crate) queue: RefCell<VecDeque<Item>>,
    pub(crate) agenda: RefCell<VecDeque<Step>>,
    pub(crate) events: RefCell<VecDeque<Event>>,
    /// Scratch buffer for sorting the events of one poll. Empty between polls; kept to reuse its
    /// allocation.
    pub(super) due: Cell<Vec<(Reverse<i8>, u8, Event)>>,
    pub(crate) timers: RefCell<Timers<TimerEntry>>,
    /// The allocation of the last scope timeout, kept for the next one: it is in the cache.
    pub(crate) spare_timeout: Cell<Option<Rc<dyn Any>>>,
    /// The number of running timers that do not keep the loop alive.
    pub(crate) unref_timers: Cell<usize>,
    /// The number of other reasons that keep the loop alive: waits for sources, watchers,
    /// keep-alive guards.
    pub(crate) refs: Cell<usize>,
    pub(crate) poller: RefCell<Poller<IoWaiter>>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) watches: Watches,
    pub(crate) idlers: RefCell<VecDeque<WaitToken>>,
    pub(super) stacks: RefCell<StackPool>,
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
    pub(crate) pace: Pace,
    pub(crate) loop_now: Cell<u64>,
    pub(crate) iterations: Cell<u64>,
    /// `true` if std counted a panic on this thread when the present task was resumed.
    pub(crate) resumed_panicking: Cell<bool>,
    /// The number of parked tasks that are known to be unwinding.
    pub(crate) unwinding: Cell<usize>,
    /// The tasks with an interrupt that waits for the end of their unwinding.
    pub(crate) deferred: RefCell<Vec<TaskRef>>,
    /// Set while `Hub::kill_all` waits for the next greenlet to die.
    pub(crate) death_waiter: Cell<Option<WaitToken>>,
    pub(super) io_budget: Cell<u32>,
    pub(super) hooks: Hooks,
    /// The action of a signal from another thread, by the number of the signal.
    pub(crate) waiters: RefCell<HashMap<u64, Box<dyn Fn()>>>,
    pub(crate) gates: Gates,
    /// The functions that wait for an answer. A slot belongs to its [`Reply`](crate::Reply) alone
    /// until the reply is used.
    pub(crate) replies: RefCell<Slab<Box<dyn Any>>>,
    /// The waits and links of this hub in objects shared between threads.
    pub(crate) abroad: ForeignWaits,
    #[cfg(unix)]
    pub(crate) fds: FdTable,
    pub(crate) thread_exit: ThreadExit,
    /// `true` if the thread is ending, and the hub should have ended when main continued.
    pub(crate) overdue: Cell<bool>,
    _alt_stack: Option<fault::AltStack>,
}

impl Core {
    /// Creates a hub, if the system has descriptors left for its poll.
    pub(crate) fn new(thread_exit: ThreadExit) -> io::Result<Rc<Core>> {
        fault::install();
        let (poller, waker) = Poller::new()?;
        let mut main = Task::new(Kind::Main, Location::caller(), 0, None, None);
        main.state = Cell::new(State::Running);
        main.hub = Cell::new(hub_number());
        let main: TaskRef = Rc::new(Record { task: main, body: NoBody });
        Ok(Rc::new(Core {
            ids: Ids::new(hub_number()),
            epoch: Instant::now(),
            mode: Cell::new(Mode::Main),
            phase: Cell::new(Phase::Prepare),
            tasks: TaskTable::new(&main),
            main,
            queue: RefCell::new(VecDeque::new()),
            agenda: RefCell::new(VecDeque::new()),
            events: RefCell::new(VecDeque::new()),
            due: Cell::default(),
            timers: RefCell::new(Timers::new()),
            spare_timeout: Cell::new(None),
            unref_timers: Cell::new(0),
            refs: Cell::new(0),
            poller: RefCell::new(poller),
            inbox: Inbox::new(waker),
            watches: Watches::default(),
            idlers: RefCell::new(VecDeque::new()),
            stacks: RefCell::new(StackPool::new()),
            main_resumed: Cell::new(false),
            nested: RefCell::default(),
            borrowed: Cell::new(None),
            drives: Cell::new(0),
            lent: Cell::new(0),
            main_joins: Cell::new(false),
            urgent: RefCell::new(VecDeque::new()),
            pace: Pace::new(),
            loop_now: Cell::new(0),
            iterations: Cell::new(0),
            resumed_panicking: Cell::new(false),
            unwinding: Cell::new(0),
            deferred: RefCell::new(Vec::new()),
            death_waiter: Cell::new(None),
            io_budget: Cell::new(IO_BUDGET),
            hooks: Hooks::new(),
            waiters: RefCell::default(),
            gates: Gates::default(),
            replies: RefCell::default(),
            abroad: ForeignWaits::default(),
            #[cfg(unix)]
            fds: FdTable::default(),
            thread_exit,
            overdue: Cell::new(false),
            _alt_stack: fault::ensure_alt_stack(),
        }))
    }

    // --- time ---------------------------------------------------------------------------------------------------

    /// Returns the present time, in nanoseconds since this hub was created.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// Converts a point in time to the hub's time. A time before the hub's creation becomes 0.
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.epoch))
    }

    /// Returns the time `after` from now.
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(nanos(after))
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

/// Converts a duration to nanoseconds. More than 584 years count as no limit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
