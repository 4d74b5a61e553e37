//! Raw links to a shared state, so that `select!`, `wait` and `iwait` can wait for it among other things.

use std::sync::Arc;

use super::queue::{WaitQueue, Waits};
use super::waiter::{Registered, Target};
use crate::core::Core;
use crate::current;
use crate::links::{Lane, LinkId};
use crate::remote::KeepAlive;
use crate::report::ErrorContext;
use crate::waitable::Waitable;

/// A function that stands in a line for this thread's hub to call it.
pub(super) struct Link {
    place: Registered,
    f: Box<dyn FnOnce()>,
    _alive: KeepAlive,
}

impl Link {
    /// Gives up its place, and lets go of the function.
    pub(super) fn leave(self) {
        self.place.queue.unlink(self.place.lane, self.place.ticket);
    }
}

impl<S: Waits> WaitQueue<S> {
    /// Puts a function in a lane, to be called in the hub of this thread when it is its turn. It keeps the loop alive until
    /// then. It takes nothing, and who comes after it is told as well; when it is called, somebody may have been faster.
    pub fn rawlink_in(&self, lane: Lane, f: Box<dyn FnOnce()>) -> LinkId {
        let core = current::core();
        let id = core.new_link();
        let mut locked = self.lock();
        let ticket = locked.ticket();
        let place = Registered { queue: self.inner.clone(), lane, ticket };
        core.abroad.links.borrow_mut().insert(id.0, Link { place, f, _alive: KeepAlive::new() });
        locked.enter(lane, ticket, Target::Link(Arc::clone(&core.inbox), id.0));
        id
    }
}

/// Ready when somebody in the first lane could go on. Links work on the thread that made them.
impl<S: Waits> Waitable for WaitQueue<S> {
    fn is_ready(&self) -> bool {
        self.lock().ready(Lane::First) > 0
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.rawlink_in(Lane::First, f)
    }

    fn unlink(&self, id: LinkId) {
        let Some(core) = current::try_core() else { return };
        // Bound first: the function's captures are dropped after the borrow has ended.
        let link = core.abroad.links.borrow_mut().remove(&id.0);
        if let Some(link) = link {
            link.leave();
        }
    }
}

impl Core {
    /// Calls a link that was told, unless it was removed meanwhile.
    pub(crate) fn call_shared_link(&self, number: u64) {
        let link = self.abroad.links.borrow_mut().remove(&number);
        let Some(Link { place, f, _alive }) = link else { return };
        place.queue.unlink(place.lane, place.ticket);
        self.call(|| ErrorContext::ObjectLink("shared object"), f);
    }
}
