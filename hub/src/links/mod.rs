//! The ordered lists of those who want to be told: links, raw links and waiting greenlets, in order of arrival.
//!
//! One type serves greenlets and every waitable object. Telling is a *pass*: one item of the hub's queue, in whose
//! turn the entries are served one after another ([`Pass::next`] hands them out). A greenlet that is resumed by
//! a pass runs until it waits again before the next entry has its turn.
//!
//! Rules of the state (all on one thread):
//! 1. An entry is removed before it is served, so it is served at most once.
//! 2. `notifier` is `Queued(ticket)` from the moment a pass is queued until it begins or is called off, and
//!    `Running` until it ends. A queued item whose ticket differs was called off.
//! 3. Where one line is served ([`Rule::Everybody`], [`Rule::WhileReady`]), a pass serves those who were there when
//!    it began; entries added meanwhile wait for the next one, which is queued when the pass ends and the object is
//!    still ready. A greenlet's pass, and one over two lanes, serves whoever comes meanwhile as well, but only so many of
//!    them (`MOST_NEWCOMERS`): two that serve each other may go on for ever, and others want their turn.
//! 4. Under [`Rule::Everybody`] the second lane is for the late: who waits on an object that is ready while its pass
//!    is queued or running is served at the end of that pass. As long as anybody stands there the pass is not called
//!    off, and another one is owed, ready or not.
//! 5. There `promised` is the last in the first lane when the object was last seen ready. A pass serves up to it, and it
//!    may grow meanwhile: who came while the object was no longer ready is not told of what was before, and who was
//!    promised is told of it even if the object was ready for a moment only, in the middle of a pass.

mod list;
mod pass;

pub use self::list::{Lane, LinkId, Rule};
pub(crate) use self::list::{Links, Target};
pub(crate) use self::pass::{Linkable, Notified, Pass, owed};
