//! Raw links to a shared state, so that `select!`, `wait` and `iwait` can include it among other
//! objects.

use std::sync::Arc;

use super::wait_queue::{WaitQueue, Waits};
use super::waiter::Target;
use crate::inbox::registry::{Link, Owed, Registration};
use crate::remote::handle::KeepAlive;
use crate::scheduler::current;
use crate::task::{Lane, LinkId};
use crate::wait::waitable::Waitable;

impl<S: Waits> WaitQueue<S> {
    /// Adds a function to a lane, to be called in the hub of this thread in the lane's order. The
    /// link keeps the loop alive until then. A link takes nothing: the next waiter is notified as
    /// well, and another caller may take the state before `f` acts on it.
    pub fn rawlink_in(&self, lane: Lane, f: Box<dyn FnOnce()>) -> LinkId {
        let core = current::core();
        let mut locked = self.lock();
        let ticket = locked.ticket();
        let place = Registration { queue: self.inner.clone(), lane, ticket };
        core.add_refs(1);
        let number = core.expect(Owed::Link(Link { place, f }));
        locked.enter(lane, ticket, Target::Link(Arc::clone(core.foreign().inbox()), number));
        LinkId(number)
    }
}

/// Ready when a waiter in the first lane could proceed. Links work on the thread that added them.
impl<S: Waits> Waitable for WaitQueue<S> {
    fn is_ready(&self) -> bool {
        self.lock().ready(Lane::First) > 0
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.rawlink_in(Lane::First, f)
    }

    fn unlink(&self, id: LinkId) {
        let Some(core) = current::try_core() else { return };
        if let Some(link) = core.foreign().take_link(id.0) {
            let _alive = KeepAlive::counted(&core);
            link.leave();
        }
    }
}
