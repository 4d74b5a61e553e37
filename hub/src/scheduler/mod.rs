//! The hub itself: its state, and its operations on tasks.

pub(crate) mod borrowed;
mod bound;
pub(crate) mod callback;
pub(crate) mod current;
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
mod interrupts;
mod lifecycle;
mod loop_state;
mod main_task;
mod nested;
mod pace;
mod park;
pub(crate) mod report;
mod run_queue;
mod sources;
mod stacks;
mod state;
mod thread_exit;
mod timer_queue;
pub(crate) mod unwind;
#[cfg(debug_assertions)]
mod wait_check;
mod watches;
mod wind_down;

pub(crate) use self::events::{IoWaiter, LinkCell, TimerAction};
pub(crate) use self::run_queue::Item;
pub(crate) use self::state::{Core, Mode};
pub(crate) use self::watches::{Watch, WatchKind};
