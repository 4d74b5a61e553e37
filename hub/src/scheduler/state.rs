//! The state of one thread's hub.
//!
//! All of it is plain single-threaded state in cells. No borrow is held while a user's closure runs
//! or a greenlet is switched to: take the value out, end the borrow, then call.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::events::IoWaiter;
use super::hooks::Hooks;
use super::idents::Ids;
use super::interrupts::Unwinding;
use super::loop_state::LoopState;
use super::main_task::MainTask;
use super::nested::NestedWaits;
use super::pace::Pace;
use super::run_queue::RunQueue;
use super::stacks::Stacks;
use super::timer_queue::TimerQueue;
use super::watches::Watches;
use crate::inbox::hub_inbox::Inbox;
use crate::inbox::registry::{Foreign, Owed};
use crate::inbox::thread_bound::hub_number;
use crate::reactor::Reactor;
use crate::scheduler::thread_exit::ThreadExit;
use crate::task::{TaskRef, TaskTable, WaitToken};

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
    pub(super) main: MainTask,
    pub(crate) tasks: TaskTable,
    pub(super) queue: RunQueue,
    pub(super) loop_state: LoopState,
    pub(super) timers: TimerQueue,
    pub(super) reactor: Reactor<IoWaiter>,
    pub(super) foreign: Foreign,
    pub(super) watches: Watches,
    pub(super) stacks: Stacks,
    pub(super) nested: NestedWaits,
    pub(super) pace: Pace,
    pub(super) unwinding: Unwinding,
    pub(super) hooks: Hooks,
    pub(crate) thread_exit: ThreadExit,
}

impl Core {
    /// Creates a hub, if the system has descriptors left for its poll.
    pub(crate) fn new(thread_exit: ThreadExit) -> io::Result<Rc<Core>> {
        let (reactor, waker) = Reactor::new()?;
        let main = MainTask::new(hub_number());
        Ok(Rc::new(Core {
            ids: Ids::new(hub_number()),
            mode: Cell::new(Mode::Main),
            tasks: TaskTable::new(main.record()),
            main,
            queue: RunQueue::default(),
            loop_state: LoopState::new(),
            timers: TimerQueue::new(),
            reactor,
            foreign: Foreign::new(Inbox::new(waker)),
            watches: Watches::default(),
            stacks: Stacks::new(),
            nested: NestedWaits::default(),
            pace: Pace::new(),
            unwinding: Unwinding::new(),
            hooks: Hooks::new(),
            thread_exit,
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

    /// Returns the inbox, and the registry of what other threads owe the hub.
    #[inline]
    pub(crate) fn foreign(&self) -> &Foreign {
        &self.foreign
    }

    /// Registers what another thread owes the hub. Returns its number.
    pub(crate) fn expect(&self, owed: Owed) -> u64 {
        let number = self.ids.new_number();
        self.foreign.insert(number, owed);
        number
    }

    /// Creates the token of a new wait of the running task, for its wakers. The wait begins with
    /// [`park`](Core::park).
    pub(crate) fn token(&self) -> WaitToken {
        WaitToken { index: self.tasks.running().index.get(), wait: self.ids.new_wait() }
    }
}
