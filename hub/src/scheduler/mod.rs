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
mod idents;
pub(crate) mod interrupts;
mod lifecycle;
mod nested;
mod pace;
mod park;
pub(crate) mod report;
mod run_queue;
mod sources;
mod state;
mod thread_exit;
pub(crate) mod unwind;
#[cfg(debug_assertions)]
mod wait_check;
mod wind_down;

pub(crate) use self::events::{IoWaiter, LinkCell, Strike, TimerAction, Watch, WatchKind};
pub(crate) use self::run_queue::{Item, Step};
pub(crate) use self::state::{Core, Mode};
