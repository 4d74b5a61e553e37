//! The events that the loop waits for: timers, sources, watchers; and the action when one of them
//! is due.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Core;
use crate::reactor::poller::SourceId;
use crate::task::{ScopeTimeout, WaitToken};

/// A watcher, as the loop uses it.
pub(crate) trait Watch {
    fn kind(&self) -> WatchKind;
    fn priority(&self) -> i8;
    fn mark_pending(&self);
    /// Calls the callback, unless a stop has dropped the event.
    fn fire_pending(self: Rc<Self>, core: &Core);
    /// Calls the callback of an active watcher.
    fn fire(&self, core: &Core);
}

/// The event at which a watcher's callback is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchKind {
    Prepare,
    Check,
    Idle,
    Timer,
    #[cfg(unix)]
    Io,
}

impl WatchKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            WatchKind::Prepare => "prepare",
            WatchKind::Check => "check",
            WatchKind::Idle => "idle",
            WatchKind::Timer => "timer",
            #[cfg(unix)]
            WatchKind::Io => "io",
        }
    }
}

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

/// The active watchers of the kinds that are checked in every iteration.
#[derive(Default)]
pub(crate) struct Watches(RefCell<Vec<Rc<dyn Watch>>>);

impl Watches {
    pub(crate) fn active(&self, kind: WatchKind) -> Vec<Rc<dyn Watch>> {
        self.0.borrow().iter().filter(|watch| watch.kind() == kind).cloned().collect()
    }

    pub(crate) fn any(&self, kind: WatchKind) -> bool {
        self.0.borrow().iter().any(|watch| watch.kind() == kind)
    }

    pub(crate) fn add(&self, watch: Rc<dyn Watch>) {
        self.0.borrow_mut().push(watch);
    }

    /// Takes every active watcher, for the end of the hub.
    pub(crate) fn take(&self) -> Vec<Rc<dyn Watch>> {
        self.0.take()
    }

    pub(crate) fn remove<W: Watch>(&self, watch: &W) {
        // Compares addresses, not fat pointers: one type may have several vtables.
        self.0.borrow_mut().retain(|other| !std::ptr::addr_eq(Rc::as_ptr(other), watch));
    }
}
