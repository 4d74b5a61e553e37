//! The hub itself: its state, and what happens to the tasks in it.

mod due;
mod masking;
mod names;
mod state;
mod turn;

pub(crate) use self::due::{Expiry, IoWaiter, LinkCell, Strike, Watch, WatchKind};
pub(crate) use self::state::{Core, Item, Mode, Step, nanos};
