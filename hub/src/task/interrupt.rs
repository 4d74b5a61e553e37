//! An exception on its way into a task.

use std::rc::Rc;

use crate::exception::Exception;

/// The sender of an interrupt, which may withdraw it: a scope timeout.
pub(crate) trait Sender {
    /// Claims the interrupt for delivery. Returns `false` when it has become void.
    fn claim(&self) -> bool;
    /// Takes the claim back, because the interrupt was not raised.
    fn unclaim(&self);
    /// Records that the interrupt was raised, and caught by code that did not read it.
    fn swallowed(&self);
    /// For a scope opened during unwinding: the greenlet's exception count at that time. While the
    /// count is unchanged, the scope catches the interrupt before it can escape the destructor.
    fn began_after(&self) -> Option<u64>;
}

/// An exception on its way into a task.
#[derive(Clone)]
pub(crate) struct Interrupt {
    pub(crate) exception: Exception,
    /// The scope timeout that sent the interrupt. Once the timeout is closed or cancelled, the
    /// interrupt is void.
    pub(crate) sender: Option<Rc<dyn Sender>>,
}

impl Interrupt {
    pub(crate) fn new(exception: Exception) -> Self {
        Interrupt { exception, sender: None }
    }

    /// Takes the claim back.
    pub(crate) fn unclaimed(self) -> Self {
        if let Some(sender) = &self.sender {
            sender.unclaim();
        }
        self
    }

    /// Returns `true` if a scope inside the destructor that the task waits in will catch the
    /// interrupt before it leaves the destructor. `raises` is the task's exception count.
    pub(crate) fn stays_inside(&self, raises: u64) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.began_after() == Some(raises))
    }

    /// Claims the interrupt for delivery. Returns `false` if it need not be delivered any more.
    pub(crate) fn claim(&self) -> bool {
        self.sender.as_ref().is_none_or(|sender| sender.claim())
    }
}
