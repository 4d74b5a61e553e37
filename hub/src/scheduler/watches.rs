//! Watchers: callbacks of the loop itself, and the waits for an idle loop.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::Core;
use super::unwind::guard_drop;
use crate::task::WaitToken;

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

/// The active watchers of the kinds that are checked in every iteration, and the waits for an idle
/// loop.
#[derive(Default)]
pub(super) struct Watches {
    active: RefCell<Vec<Rc<dyn Watch>>>,
    idlers: RefCell<VecDeque<WaitToken>>,
}

impl Watches {
    #[inline]
    pub(super) fn active(&self, kind: WatchKind) -> Vec<Rc<dyn Watch>> {
        if self.active.borrow().is_empty() { Vec::new() } else { self.of_kind(kind) }
    }

    #[inline(never)]
    fn of_kind(&self, kind: WatchKind) -> Vec<Rc<dyn Watch>> {
        self.active.borrow().iter().filter(|watch| watch.kind() == kind).cloned().collect()
    }

    /// Returns `true` if an idle loop has something to do.
    #[inline]
    pub(super) fn wants_idle(&self) -> bool {
        let idle = |watch: &Rc<dyn Watch>| watch.kind() == WatchKind::Idle;
        !self.idlers.borrow().is_empty() || self.active.borrow().iter().any(idle)
    }

    /// Takes the waits for an idle loop.
    #[inline]
    pub(super) fn take_idlers(&self) -> VecDeque<WaitToken> {
        self.idlers.take()
    }

    /// Drops every watcher.
    pub(super) fn close(&self) {
        guard_drop(self.active.take());
        drop(self.idlers.take());
    }
}

/// Watchers and waits for an idle loop, for other folders.
impl Core {
    /// Activates a watcher of a kind that is checked in every iteration.
    pub(crate) fn add_watch(&self, watch: Rc<dyn Watch>) {
        self.watches.active.borrow_mut().push(watch);
        if self.watches.wants_idle() {
            self.alert_driver();
        }
    }

    /// Deactivates a watcher, which the caller keeps.
    pub(crate) fn remove_watch<W: Watch>(&self, watch: &W) {
        // Compares addresses, not fat pointers: one type may have several vtables.
        self.watches.active.borrow_mut().retain(|other| !std::ptr::addr_eq(Rc::as_ptr(other), watch));
    }

    /// Registers a wait that ends when the loop is idle.
    pub(crate) fn add_idler(&self, token: WaitToken) {
        self.watches.idlers.borrow_mut().push_back(token);
    }

    /// Withdraws a wait for an idle loop.
    pub(crate) fn remove_idler(&self, token: WaitToken) {
        self.watches.idlers.borrow_mut().retain(|other| *other != token);
    }
}
