//! The events that the loop waits for, and the action when one of them is due.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Waker;

use super::borrowed::wake_future;
use super::watches::Watch;
use crate::reactor::poller::{Direction, SourceId};
use crate::task::{ScopeTimeout, WaitToken};

/// The action of a timer when it is due.
pub(crate) enum TimerAction {
    /// Resumes a sleeping greenlet, or starts a delayed one.
    Wake(WaitToken),
    /// Ends a wait by its own limit.
    Limit(WaitToken),
    /// Fires a scope timeout.
    Timeout(Rc<dyn ScopeTimeout>),
    /// Calls a watcher.
    Watch(Rc<dyn Watch>),
}

/// An event that is due in this iteration.
pub(crate) enum Event {
    Wake(WaitToken),
    Limit(WaitToken),
    Timeout(Rc<dyn ScopeTimeout>),
    Watch(Rc<dyn Watch>),
    Link(SourceId, u64, Rc<LinkCell>),
    Poll(Rc<PollWakers>, Direction),
}

impl Event {
    /// Returns the token of the wait that this ends, if it does nothing else.
    #[inline(always)]
    pub(super) fn resumed(&self) -> Option<WaitToken> {
        if let Event::Wake(token) = self { Some(*token) } else { None }
    }
}

/// A waiter for a slot, by the way it is served.
pub(crate) enum IoWaiter {
    /// A greenlet, woken once.
    Greenlet(WaitToken),
    /// A function, called once.
    Link(Rc<LinkCell>),
    /// The wakers of futures, registered for both directions as long as the source is.
    Poll(Rc<PollWakers>),
    /// A watcher, called as long as it is active.
    #[cfg(unix)]
    Watcher(Rc<dyn Watch>),
}

/// A callback that runs at most once: the first caller takes it.
pub(crate) type LinkCell = Cell<Option<Box<dyn FnOnce()>>>;

/// The wakers of the futures that poll a source, one for each direction: the last one wins.
#[derive(Default)]
pub(crate) struct PollWakers([Cell<Option<Waker>>; 2]);

impl PollWakers {
    /// Replaces the waker of a direction. Returns the old one, since its destructor is user code.
    pub(crate) fn replace(&self, direction: Direction, waker: Waker) -> Option<Waker> {
        self.0[direction as usize].replace(Some(waker))
    }

    /// Wakes the future of a direction, if one waits.
    // Not inlined: the loop has no use for the code in most iterations.
    #[inline(never)]
    pub(crate) fn wake(&self, direction: Direction) {
        if let Some(waker) = self.0[direction as usize].take() {
            wake_future(waker);
        }
    }
}
