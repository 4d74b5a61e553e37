//! The creation of a hub, the owner of its thread, and the tokens of waits.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::task::Waker;

use super::Core;
use super::driver::Driver;
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
use crate::task::{TaskPtr, TaskRef, TaskTable, WaitToken};

/// The owner of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Main,
    Greenlet,
    Hub,
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
            queue: RunQueue::new(),
            loop_state: LoopState::new(),
            timers: TimerQueue::new(),
            reactor,
            foreign: Foreign::new(Inbox::new(waker)),
            watches: Watches::default(),
            stacks: Stacks::new(),
            nested: NestedWaits::default(),
            pace: Pace::new(),
            spare_waker: Cell::new(None),
            unwinding: Unwinding::new(),
            driver: Driver::default(),
            hooks: Hooks::new(),
            thread_exit,
        }))
    }

    /// Returns the running task; in the hub that is main, since the hub runs on main's stack.
    pub(crate) fn current(&self) -> TaskRef {
        self.tasks.current()
    }

    /// Returns the running task, without a reference; see [`TaskTable`] for its rules.
    pub(crate) fn running(&self) -> TaskPtr {
        self.tasks.running()
    }

    /// Returns the number of greenlets that were started and have not ended, except main.
    pub(crate) fn greenlet_count(&self) -> usize {
        self.tasks.len() - 1
    }

    /// Returns the owner of the thread.
    pub(crate) fn mode(&self) -> Mode {
        self.mode.get()
    }

    #[inline]
    pub(crate) fn in_hub(&self) -> bool {
        self.mode.get() == Mode::Hub
    }

    /// Runs `f`, which must not unwind, under the rules of the hub: a wait inside is refused.
    pub(crate) fn as_hub<R>(&self, f: impl FnOnce() -> R) -> R {
        let mode = self.mode.replace(Mode::Hub);
        let result = f();
        self.mode.set(mode);
        if self.queue.has_steps() {
            self.alert_driver();
        }
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

    /// Takes the waker of the last future that a greenlet has driven. No clone of it is left.
    #[inline]
    pub(crate) fn take_spare_waker(&self) -> Option<Waker> {
        self.spare_waker.take()
    }

    /// Keeps a waker for the next future.
    #[inline]
    pub(crate) fn keep_spare_waker(&self, waker: Waker) {
        self.spare_waker.set(Some(waker));
    }

    /// Creates the token of a new wait of the running task, for its wakers. The wait begins with
    /// [`park`](Core::park).
    #[inline]
    pub(crate) fn token(&self) -> WaitToken {
        WaitToken { index: self.tasks.running().index.get(), wait: self.ids.new_wait() }
    }
}
