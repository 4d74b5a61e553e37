//! The service of waiters for registered sources by the loop.

use std::rc::Rc;

use super::Core;
use super::events::{IoWaiter, LinkCell};
use crate::reactor::Reactor;
use crate::reactor::poller::{Direction, Slot, SourceId};

impl Core {
    /// Returns the registered sources.
    pub(crate) fn reactor(&self) -> &Reactor<IoWaiter> {
        &self.reactor
    }

    /// Runs `f` on a source's slot, if the source is still registered.
    pub(crate) fn with_slot<R>(&self, id: SourceId, f: impl FnOnce(&mut Slot<IoWaiter>) -> R) -> Option<R> {
        self.reactor.with_slot(id, f)
    }

    /// Removes a link from its slot, if it is still there.
    pub(crate) fn take_link(&self, source: SourceId, key: u64) -> Option<Rc<LinkCell>> {
        match self.with_slot(source, |slot| slot.remove_waiter(Direction::Read, key)) {
            Some(Some(IoWaiter::Link(link))) => {
                self.add_refs(-1);
                Some(link)
            }
            _ => None,
        }
    }

    /// Calls a due link, at most once.
    pub(crate) fn call_link(&self, source: SourceId, key: u64, link: &LinkCell) {
        drop(self.take_link(source, key));
        if let Some(f) = link.take() {
            f();
        }
    }
}
