//! What the loop waits for: timers, sources, watchers; and what is done when one of them is due.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Core;
use crate::reactor::poller::SourceId;
use crate::task::{TaskRef, Throw, Token};
use crate::timers::TimerId;

/// A scope timeout, as the loop sees it.
pub(crate) trait Strike {
    /// The timer fired; false when the timeout was disarmed meanwhile.
    fn expire(&self) -> bool;
    /// What it throws, and into whom, if it is still wanted.
    fn strike(self: Rc<Self>) -> Option<(TaskRef, Throw)>;
}

/// A watcher, as the loop sees it.
pub(crate) trait Watch {
    fn kind(&self) -> WatchKind;
    fn priority(&self) -> i8;
    fn mark_pending(&self);
    /// Calls the callback if the event was not dropped meanwhile by a stop.
    fn fire_pending(self: Rc<Self>, core: &Core);
    /// Calls the callback of an active watcher.
    fn fire(&self, core: &Core);
}

/// When a watcher's callback is due.
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

/// What a timer does when it is due.
pub(crate) enum Expiry {
    /// Resume a sleeper, or begin a delayed greenlet.
    Wake(Token),
    /// End a wait by its own limit.
    Limit(Token),
    /// Fire a scope timeout.
    Timeout(Rc<dyn Strike>),
    /// Call a watcher.
    Watch(Rc<dyn Watch>),
}

/// A timer's payload.
pub(crate) struct Alarm {
    pub(crate) expiry: Expiry,
    /// Whether it keeps the loop alive.
    pub(crate) keeps: bool,
}

/// Something that is due in this iteration.
pub(crate) enum Event {
    Wake(Token),
    Limit(Token),
    Timeout(Rc<dyn Strike>),
    Watch(Rc<dyn Watch>),
    Link(SourceId, u64, Rc<LinkCell>),
}

impl Event {
    /// Whose wait it ends, if that is all.
    #[inline(always)]
    pub(super) fn resumed(&self) -> Option<Token> {
        if let Event::Wake(token) = self { Some(*token) } else { None }
    }
}

/// Who waits for a slot, and how it is served.
pub(crate) enum IoWaiter {
    /// A greenlet, told once.
    Greenlet(Token),
    /// A function, called once.
    Link(Rc<LinkCell>),
    /// A watcher, told as long as it is active.
    #[cfg(unix)]
    Watcher(Rc<dyn Watch>),
}

/// A function that whoever comes first takes out to call it.
pub(crate) type LinkCell = Cell<Option<Box<dyn FnOnce()>>>;

/// The active watchers of the kinds that are asked in every iteration.
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

    /// Every active watcher, for the end of the hub.
    pub(crate) fn take(&self) -> Vec<Rc<dyn Watch>> {
        self.0.take()
    }

    pub(crate) fn remove<W: Watch>(&self, watch: &W) {
        // Addresses, not fat pointers: one type may have several vtables.
        self.0.borrow_mut().retain(|other| !std::ptr::addr_eq(Rc::as_ptr(other), watch));
    }
}

impl Core {
    // Not inlined: the frame of a wait is as small as it can be, since for many that wait it is far from the cache.
    #[inline(never)]
    pub(crate) fn start_timer(&self, deadline: u64, expiry: impl FnOnce() -> Expiry, keeps: bool) -> TimerId {
        if !keeps {
            self.unref_timers.set(self.unref_timers.get() + 1);
        }
        self.timers.borrow_mut().start_with(deadline, || Alarm { expiry: expiry(), keeps })
    }

    pub(crate) fn cancel_timer(&self, id: TimerId) {
        // Bound first: the payload's destructor runs after the borrow has ended.
        let alarm = self.timers.borrow_mut().cancel(id);
        if let Some(alarm) = alarm {
            self.forget_alarm(&alarm);
        }
    }

    /// Keeps the count of a timer that has stopped, by firing or by being cancelled.
    pub(crate) fn forget_alarm(&self, alarm: &Alarm) {
        if !alarm.keeps {
            self.unref_timers.set(self.unref_timers.get() - 1);
        }
    }
}
