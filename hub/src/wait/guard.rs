//! Guards that undo a registration when its wait is over, however the wait is left.

use crate::scheduler::current;
use crate::scheduler::{Core, TimerAction};
use crate::task::WaitToken;
use crate::task::{LinkId, Links};
use crate::timers::TimerId;

/// A timer that is cancelled when the wait is over.
#[derive(Debug)]
pub(crate) struct TimerGuard(Option<TimerId>);

impl TimerGuard {
    /// Ends the wait of `token` with a time-out at `deadline`.
    pub(crate) fn limit(core: &Core, token: WaitToken, deadline: Option<u64>) -> Self {
        TimerGuard(deadline.map(|deadline| core.start_timer(deadline, || TimerAction::Limit(token), true)))
    }

    pub(crate) fn of(timer: TimerId) -> Self {
        TimerGuard(Some(timer))
    }
}

impl Drop for TimerGuard {
    fn drop(&mut self) {
        if let (Some(timer), Some(core)) = (self.0, current::try_core()) {
            core.cancel_timer(timer);
        }
    }
}

/// An entry in a list of links, removed when the wait is over.
#[derive(Debug)]
pub(crate) struct LinkGuard<'a> {
    links: &'a Links,
    id: LinkId,
    /// `true` if a queued pass without waiters is cancelled: for objects, not for greenlets.
    calls_off: bool,
}

impl<'a> LinkGuard<'a> {
    pub(crate) fn new(links: &'a Links, id: LinkId, calls_off: bool) -> Self {
        LinkGuard { links, id, calls_off }
    }
}

impl Drop for LinkGuard<'_> {
    fn drop(&mut self) {
        if self.links.remove(self.id) && self.calls_off {
            self.links.call_off_if_empty();
        }
    }
}
