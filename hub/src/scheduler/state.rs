//! The state of one thread's hub.
//!
//! Everything here is plain single-threaded state in cells. No borrow is held while a closure of the user runs or
//! a greenlet is switched to: take out what is needed, let go, then call.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::events::{Alarm, Event, IoWaiter, Watches};
use super::nested::Nested;
use super::pace::Pace;
use super::run_queue::{Item, Step};
use crate::exception::Exception;
use crate::inbox::hub_inbox::Inbox;
use crate::inbox::lease::Gates;
use crate::inbox::registry::Abroad;
use crate::inbox::thread_bound::hub_number;
#[cfg(unix)]
use crate::reactor::fd_table::FdTable;
use crate::reactor::poller::Poller;
use crate::scheduler::report::Reports;
use crate::scheduler::thread_exit::ThreadExit;
use crate::stack::StackPool;
use crate::stack::fault;
use crate::task::LinkId;
use crate::task::{Kind, NoBody, Record, SpawnCallback, State, Task, TaskRef, Tasks, Token};
use crate::timers::Timers;

/// Who has the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Main,
    Greenlet,
    Hub,
}

/// Where an iteration of the loop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Prepare,
    Callbacks,
    Poll,
    Invoke,
}

/// How many operations on ready sources a greenlet may do before it lets others run.
pub(super) const IO_BUDGET: u32 = 128;

/// One thread's hub.
pub(crate) struct Core {
    pub(crate) number: u64,
    epoch: Instant,
    pub(crate) mode: Cell<Mode>,
    pub(crate) phase: Cell<Phase>,
    pub(crate) main: TaskRef,
    pub(crate) tasks: Tasks,
    pub(crate) queue: RefCell<VecDeque<Item>>,
    pub(crate) agenda: RefCell<VecDeque<Step>>,
    pub(crate) events: RefCell<VecDeque<Event>>,
    /// Where events are gathered and put in order; empty between two polls, and kept for its memory.
    pub(super) due: Cell<Vec<(Reverse<i8>, u8, Event)>>,
    pub(crate) timers: RefCell<Timers<Alarm>>,
    /// What the last scope timeout has left for the next one: its memory is in the cache.
    pub(crate) spare_timeout: Cell<Option<Rc<dyn Any>>>,
    /// Running timers that do not keep the loop alive.
    pub(crate) unref_timers: Cell<usize>,
    /// Whatever else keeps the loop alive: waits for sources, watchers, keep-alive guards.
    pub(crate) refs: Cell<usize>,
    pub(crate) poller: RefCell<Poller<IoWaiter>>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) watches: Watches,
    pub(crate) idlers: RefCell<VecDeque<Token>>,
    pub(super) stacks: RefCell<StackPool>,
    /// Main's wait is over: the loop returns to it.
    pub(crate) main_resumed: Cell<bool>,
    /// The waits of destructors in callbacks that unwind, the innermost last.
    pub(super) nested: RefCell<Vec<Nested>>,
    /// What the user's code is called for that runs while an object is borrowed.
    pub(crate) borrowed: Cell<Option<&'static str>>,
    /// How often main has gone on after the loop ran.
    pub(crate) drives: Cell<u64>,
    /// How many frames of main are lent.
    pub(crate) lent: Cell<usize>,
    /// Main waits for the loop to run dry.
    pub(crate) main_joins: Cell<bool>,
    /// Exceptions for main that go before everything else.
    pub(crate) urgent: RefCell<VecDeque<Exception>>,
    next_wait: Cell<u64>,
    next_number: Cell<u64>,
    pub(crate) pace: Pace,
    pub(crate) loop_now: Cell<u64>,
    pub(crate) iterations: Cell<u64>,
    /// std counted a panic on this thread when the present task was resumed.
    pub(crate) resumed_panicking: Cell<bool>,
    /// Parked tasks that are known to be unwinding.
    pub(crate) unwinding: Cell<usize>,
    /// Tasks with a throw that waits for their unwinding to end.
    pub(crate) deferred: RefCell<Vec<TaskRef>>,
    /// Main waits for any greenlet's death.
    pub(crate) mourner: Cell<Option<Token>>,
    pub(super) io_budget: Cell<u32>,
    pub(crate) reports: Reports,
    pub(crate) spawn_callbacks: RefCell<Vec<(u64, SpawnCallback)>>,
    /// Ident numbers: those given back, and the next new one.
    pub(crate) free_idents: RefCell<BinaryHeap<Reverse<u32>>>,
    pub(crate) next_ident: Cell<u32>,
    /// What a signal from another thread does, by the number that it names.
    pub(crate) waiters: RefCell<HashMap<u64, Box<dyn Fn()>>>,
    pub(crate) gates: Gates,
    /// The functions that wait for an answer. A slot is its [`Reply`](crate::Reply)'s alone until that is used up.
    pub(crate) replies: RefCell<Slab<Box<dyn Any>>>,
    /// Who waits here for what other threads do too.
    pub(crate) abroad: Abroad,
    #[cfg(unix)]
    pub(crate) fds: FdTable,
    pub(crate) thread_exit: ThreadExit,
    /// The thread is ending, and the hub should have ended when main went on.
    pub(crate) overdue: Cell<bool>,
    _alt_stack: Option<fault::AltStack>,
}

impl Core {
    /// Makes a hub, if the system has descriptors left for its poll.
    pub(crate) fn new(thread_exit: ThreadExit) -> io::Result<Rc<Core>> {
        fault::install();
        let (poller, waker) = Poller::new()?;
        let mut main = Task::new(Kind::Main, Location::caller(), 0, None, None);
        main.state = Cell::new(State::Running);
        main.hub = Cell::new(hub_number());
        let main: TaskRef = Rc::new(Record { task: main, body: NoBody });
        Ok(Rc::new(Core {
            number: hub_number(),
            epoch: Instant::now(),
            mode: Cell::new(Mode::Main),
            phase: Cell::new(Phase::Prepare),
            tasks: Tasks::new(&main),
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
            // Waits, links and waiters of an earlier hub of this thread are none of this one's.
            next_wait: Cell::new((hub_number() << 32) + 1),
            next_number: Cell::new((hub_number() << 32) + 1),
            pace: Pace::new(),
            loop_now: Cell::new(0),
            iterations: Cell::new(0),
            resumed_panicking: Cell::new(false),
            unwinding: Cell::new(0),
            deferred: RefCell::new(Vec::new()),
            mourner: Cell::new(None),
            io_budget: Cell::new(IO_BUDGET),
            reports: Reports::default(),
            spawn_callbacks: RefCell::new(Vec::new()),
            free_idents: RefCell::new(BinaryHeap::new()),
            next_ident: Cell::new(0),
            waiters: RefCell::default(),
            gates: Gates::default(),
            replies: RefCell::default(),
            abroad: Abroad::default(),
            #[cfg(unix)]
            fds: FdTable::default(),
            thread_exit,
            overdue: Cell::new(false),
            _alt_stack: fault::ensure_alt_stack(),
        }))
    }

    // --- time ---------------------------------------------------------------------------------------------------

    /// The time of the clock, in nanoseconds since this hub was made.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// A time of the clock as the hub counts it; what lies before the hub's birth is 0.
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.epoch))
    }

    /// The time `after` from now.
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(nanos(after))
    }

    // --- who runs -----------------------------------------------------------------------------------------------

    /// The running task; in the hub, that of main, on whose stack the hub runs.
    pub(crate) fn current(&self) -> TaskRef {
        self.tasks.current()
    }

    pub(crate) fn in_hub(&self) -> bool {
        self.mode.get() == Mode::Hub
    }

    /// Runs `f`, which does not unwind, under the rules of the hub: whatever waits in it is refused.
    pub(crate) fn as_hub<R>(&self, f: impl FnOnce() -> R) -> R {
        let mode = self.mode.replace(Mode::Hub);
        let result = f();
        self.mode.set(mode);
        result
    }

    /// A new wait of the running task, for those who are to wake it. It begins with [`park`](Core::park).
    pub(crate) fn token(&self) -> Token {
        Token { index: self.tasks.running().index.get(), wait: self.new_wait() }
    }

    pub(super) fn new_wait(&self) -> u64 {
        let wait = self.next_wait.get();
        self.next_wait.set(wait + 1);
        wait
    }

    /// How many waits have begun in this hub, the starts of greenlets among them.
    pub(crate) fn waits_begun(&self) -> u64 {
        self.next_wait.get() - (self.number << 32) - 1
    }

    /// A number that no other link or ticket of this hub has.
    pub(crate) fn new_number(&self) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        number
    }

    pub(crate) fn new_link(&self) -> LinkId {
        LinkId(self.new_number())
    }
}

/// A duration in nanoseconds; more than 584 years is as long as for ever.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
