//! What every object that greenlets wait for is built on: a line of waiters, told by a pass of the hub.
//!
//! An object keeps its state in an `Rc` that is [`Linkable`]; whoever changes it so that it becomes ready calls
//! [`check`], and whoever has to wait calls [`wait_once`]. Nothing here decides who gets what: a waiter that is told
//! looks at the object itself, and waits again if somebody was faster.

use std::rc::Rc;

use crate::current;
use crate::links::{LinkId, Linkable, Notified, Target};
use crate::task::Verdict;
use crate::wait_guard::{LinkGuard, TimerGuard};

/// Queues a pass over the links of an object that is ready, if anybody is there. Lets nobody run.
///
/// Without waiters it does not even ask for the hub, so it may be called while the thread ends.
pub(crate) fn check(object: &Rc<impl Linkable>) {
    if object.ready() && !object.links().is_empty() {
        current::core().notify(Notified::Object(object.clone()));
    }
}

/// Puts a function in line, to be called in the hub.
pub(crate) fn link(object: &Rc<impl Linkable>, f: Box<dyn FnOnce()>) -> LinkId {
    let id = current::core().new_link();
    object.links().add(id, Target::Call(f));
    check(object);
    id
}

/// Takes an entry out of the line.
pub(crate) fn unlink(object: &Rc<impl Linkable>, id: LinkId) {
    if object.links().remove(id) {
        object.links().call_off_if_empty();
    }
}

/// Waits in line until it is told or the deadline is reached; leaves the line either way.
///
/// On an object that is ready already it waits for the end of the pass that is queued or running.
pub(crate) fn wait_once(object: &Rc<impl Linkable>, deadline: Option<u64>, reason: &'static str) -> Verdict {
    let core = current::core();
    let links = object.links();
    let token = core.token();
    let id = core.new_link();
    if object.ready() {
        links.add_late(id, Target::Wake(token));
    } else {
        links.add(id, Target::Wake(token));
    }
    let _place = LinkGuard::new(links, id, true);
    let _timer = TimerGuard::limit(&core, token, deadline);
    core.park(token, reason)
}
