//! Guards that undo a registration when its wait is over, however the wait is left.

use crate::scheduler::current;
use crate::scheduler::{Core, TimerAction};
use crate::task::WaitToken;
use crate::task::{LinkId, Links, Notified, TaskRef};
use crate::timers::TimerId;

/// A timer that is cancelled when the wait is over.
#[derive(Debug)]
pub(crate) struct TimerGuard(Option<TimerId>);

impl TimerGuard {
    /// Ends the wait of `token` with a time-out at `deadline`.
    #[inline(always)]
    pub(crate) fn limit(core: &Core, token: WaitToken, deadline: Option<u64>) -> Self {
        TimerGuard(deadline.map(|deadline| core.start_timer(deadline, || TimerAction::Limit(token), true)))
    }

    pub(crate) fn of(timer: TimerId) -> Self {
        TimerGuard(Some(timer))
    }
}

impl Drop for TimerGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(timer) = self.0 {
            cancel(timer);
        }
    }
}

fn cancel(timer: TimerId) {
    if let Some(core) = current::try_core() {
        core.cancel_timer(timer);
    }
}

/// An entry in a list of links, removed when the wait is over.
pub(crate) struct LinkGuard<'a> {
    links: &'a Links,
    id: LinkId,
    /// The greenlet that the links belong to, and the waiter: a queued pass over the links of a
    /// greenlet stays queued without waiters. That of an object is cancelled.
    greenlet: Option<(&'a TaskRef, WaitToken)>,
}

impl<'a> LinkGuard<'a> {
    /// Creates the guard of an entry in the links of an object.
    #[inline(always)]
    pub(crate) fn new(links: &'a Links, id: LinkId) -> Self {
        LinkGuard { links, id, greenlet: None }
    }

    /// Creates the guard of a waiter for the end of a greenlet.
    #[inline(always)]
    pub(crate) fn of_greenlet(record: &'a TaskRef, id: LinkId, token: WaitToken) -> Self {
        LinkGuard { links: &record.task.links, id, greenlet: Some((record, token)) }
    }

    /// Leaves a pass queued in place of a direct wake, unless the wake has ended the wait.
    #[inline(always)]
    fn keep_pass(&self, record: &TaskRef, token: WaitToken) {
        if let Some(core) = current::try_core().filter(|core| !core.serves(token.wait)) {
            core.make_pass(self.links, || Notified::Greenlet(record.clone()));
        }
    }
}

impl Drop for LinkGuard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some((record, token)) = self.greenlet {
            self.keep_pass(record, token);
        }
        if self.links.remove(self.id) && self.greenlet.is_none() {
            self.links.call_off_if_empty();
        }
    }
}
