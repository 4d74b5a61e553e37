//! The events that the loop waits for, and the action when one of them is due.

use std::cell::Cell;
use std::rc::Rc;

use super::watches::Watch;
use crate::reactor::poller::SourceId;
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
    /// A watcher, called as long as it is active.
    #[cfg(unix)]
    Watcher(Rc<dyn Watch>),
}

/// A callback that runs at most once: the first caller takes it.
pub(crate) type LinkCell = Cell<Option<Box<dyn FnOnce()>>>;
