//! The hub itself: one struct of components, and the operations that need several of them.
//!
//! A component is plain single-threaded state in private cells, in the file of its subject. Its
//! methods take values out and put values in, and return no borrow: so no borrow is held while a
//! user's closure or destructor runs or a greenlet is switched to. The exceptions take a closure
//! that runs no user code, and say so.

use std::cell::Cell;
use std::task::Waker;

pub(crate) mod borrowed;
mod bound;
pub(crate) mod callback;
mod clock;
pub(crate) mod current;
mod driver;
mod errors;
mod event_loop;
mod events;
#[cfg(all(target_os = "linux", target_env = "gnu", not(any(target_feature = "crt-static", miri))))]
mod exit_list;
#[cfg(not(all(target_os = "linux", target_env = "gnu", not(any(target_feature = "crt-static", miri)))))]
#[path = "exit_list_none.rs"]
mod exit_list;
mod hooks;
mod idents;
pub(crate) mod interrupts;
mod io_waiters;
mod lifecycle;
mod loop_state;
mod main_task;
mod nested;
mod pace;
mod park;
mod poll_once;
pub(crate) mod report;
mod ring;
mod run_queue;
mod stacks;
mod state;
mod thread_exit;
mod timer_queue;
pub(crate) mod unwind;
#[cfg(debug_assertions)]
mod wait_check;
mod watches;
mod wind_down;

pub(crate) use self::events::{IoWaiter, LinkCell, PollWakers, TimerAction};
pub use self::poll_once::Next;
pub(crate) use self::run_queue::Item;
pub(crate) use self::state::Mode;
pub(crate) use self::watches::{Watch, WatchKind};
use crate::inbox::registry::Foreign;
use crate::reactor::Reactor;
use crate::task::TaskTable;

/// The hub of one thread.
// Here, since private fields are visible in this folder and nowhere else.
pub(crate) struct Core {
    /// The numbers of waits, links and idents.
    ids: idents::Ids,
    /// The owner of the thread.
    mode: Cell<Mode>,
    /// The tasks with a slot, and the running one.
    tasks: TaskTable,
    /// The main greenlet, and its own waits and exceptions.
    main: main_task::MainTask,
    /// The items in the order of their turns, and the steps of the present one.
    queue: run_queue::RunQueue,
    /// The phase of the loop, the events that are due, and the references that keep it alive.
    loop_state: loop_state::LoopState,
    /// The times at which the clock is read and the loop polls.
    pace: pace::Pace,
    /// The clock and the running timers.
    timers: timer_queue::TimerQueue,
    /// The active watchers, and the waits for an idle loop.
    watches: watches::Watches,
    /// The poll and its sources.
    reactor: Reactor<IoWaiter>,
    /// The inbox, and everything that other threads owe the hub.
    foreign: Foreign,
    /// The waker of the last future that a greenlet has driven, for the next one.
    spare_waker: Cell<Option<Waker>>,
    /// The unwindings of the tasks, and the interrupts that wait for their ends.
    unwinding: interrupts::Unwinding,
    /// The waits of destructors in callbacks that unwind.
    nested: nested::NestedWaits,
    /// The waker of the program that runs the hub in a loop of its own.
    driver: driver::Driver,
    /// The error handler and the spawn callbacks.
    hooks: hooks::Hooks,
    /// The stacks of the greenlets.
    stacks: stacks::Stacks,
    /// The hook that runs at the end of the thread.
    thread_exit: thread_exit::ThreadExit,
}
