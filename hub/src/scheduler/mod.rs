//! The hub itself: its state, and its operations on tasks.

pub(crate) mod callback;
pub(crate) mod current;
mod errors;
mod event_loop;
mod events;
mod idents;
mod interrupts;
mod lifecycle;
mod park;
pub(crate) mod report;
mod run_queue;
mod sources;
mod state;
mod thread_exit;
pub(crate) mod unwind;

pub(crate) use self::events::{Expiry, IoWaiter, LinkCell, Strike, Watch, WatchKind};
pub(crate) use self::run_queue::{Item, Step};
pub(crate) use self::state::{Core, Mode, nanos};
