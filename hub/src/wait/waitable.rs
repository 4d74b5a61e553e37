//! The interface of objects that can be waited for.

use std::rc::Rc;

use crate::task::LinkId;

/// An object that [`wait`](crate::wait()) and [`iwait`](crate::iwait) can wait for, such as a
/// greenlet, an event or a semaphore.
///
/// Waiting for it takes nothing: a semaphore that is reported is not acquired.
pub trait Waitable {
    /// Returns `true` if a wait for the object would end at once.
    fn is_ready(&self) -> bool;

    /// Calls `f` in the hub when the object becomes ready, or in a later turn if it is ready. `f`
    /// must not wait.
    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId;

    /// Removes a raw link. Does nothing if the link is gone.
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
