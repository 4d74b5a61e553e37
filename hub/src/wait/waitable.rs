//! What several things that can be waited for have in common.

use std::rc::Rc;

use crate::task::LinkId;

/// Something that [`wait`](crate::wait()) and [`iwait`](crate::iwait) can wait for: greenlets, events, semaphores.
///
/// Waiting for it takes nothing: a semaphore that is reported is not acquired.
pub trait Waitable {
    /// Whether waiting for it would be over at once.
    fn is_ready(&self) -> bool;

    /// Calls `f` in the hub when it becomes ready, or in a later turn if it is. `f` must not wait.
    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId;

    /// Removes a raw link. One that is gone is no error.
    fn unlink(&self, id: LinkId);
}

impl<W: Waitable + ?Sized> Waitable for &W {
    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        (**self).rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        (**self).unlink(id);
    }
}

impl<W: Waitable + ?Sized> Waitable for Rc<W> {
    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        (**self).rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        (**self).unlink(id);
    }
}
