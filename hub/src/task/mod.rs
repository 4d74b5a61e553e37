//! The greenlet as the hub sees it: its record, its slot in the table, and the fiber that it runs
//! on. Independent of the hub.

mod blocks;
pub(crate) mod body;
mod handle;
mod interrupt;
mod links;
mod locals;
mod notify;
mod record;
mod reference;
pub(crate) mod switch;
mod table;
mod wait_token;

pub use self::handle::AnyGreenlet;
pub(crate) use self::handle::SpawnCallback;
pub(crate) use self::interrupt::{Interrupt, ScopeTimeout};
pub use self::links::{Lane, LinkId, Observer, WakePolicy};
pub(crate) use self::links::{Links, Target, tell};
pub(crate) use self::notify::{Linkable, Notification, Notified, owed};
pub(crate) use self::record::{Cold, Gone, Kind, NO_INDEX, NoBody, Run, State, Task, UnwindState};
pub(crate) use self::reference::{Record, TaskRef, WeakTaskRef};
pub(crate) use self::table::{TaskPtr, TaskTable};
pub(crate) use self::wait_token::{WaitToken, WakeReason};
