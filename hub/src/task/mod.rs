//! What a greenlet is to the hub: a record, its place, and the fiber that it runs on. Nothing here knows the hub.

mod handle;
mod locals;
mod record;
pub(crate) mod switch;
mod tasks;
mod throw;
mod token;

pub use self::handle::AnyGreenlet;
pub(crate) use self::handle::SpawnCallback;
pub(crate) use self::locals::Locals;
pub(crate) use self::record::{Gone, Kind, NO_INDEX, NoBody, Posture, Record, Run, State, Task, TaskRef};
pub(crate) use self::tasks::{Resident, Tasks};
pub(crate) use self::throw::{Sender, Throw};
pub(crate) use self::token::{Token, Verdict};
