//! The hub itself: its state, and what happens to the tasks in it.

mod bound;
mod due;
mod errors;
mod life;
mod masking;
mod names;
mod nested;
mod queue;
mod sources;
mod state;
mod switching;
mod turn;

pub(crate) use self::due::{Expiry, IoWaiter, LinkCell, Strike, Watch, WatchKind};
pub(crate) use self::queue::{Item, Step};
pub(crate) use self::state::{Core, Mode, nanos};
