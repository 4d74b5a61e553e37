//! An exception on its way into a task.

use std::rc::Rc;

use crate::exception::Exception;

/// Who sent a throw and may take it back: a scope timeout.
pub(crate) trait Sender {
    /// The throw is about to be delivered; false when it has become void.
    fn claim(&self) -> bool;
    /// It was not raised after all.
    fn unclaim(&self);
    /// It was raised, and caught by code that did not look at it.
    fn swallowed(&self);
    /// For a scope that began while its greenlet was unwinding: how many exceptions that one had raised by then. As
    /// long as it has raised no other, a throw is caught by the scope before it reaches the destructor around it.
    fn began_after(&self) -> Option<u64>;
}

/// An exception on its way into a task.
#[derive(Clone)]
pub(crate) struct Throw {
    pub(crate) exception: Exception,
    /// The scope timeout that sent it: once that is closed or cancelled the throw is void.
    pub(crate) sender: Option<Rc<dyn Sender>>,
}

impl Throw {
    pub(crate) fn new(exception: Exception) -> Self {
        Throw { exception, sender: None }
    }

    /// Takes the claim back.
    pub(crate) fn unclaimed(self) -> Self {
        if let Some(sender) = &self.sender {
            sender.unclaim();
        }
        self
    }

    /// Whether it will be caught before it leaves the destructor that its task waits in, by a scope inside that one. The
    /// task has raised so many exceptions.
    pub(crate) fn stays_inside(&self, raises: u64) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.began_after() == Some(raises))
    }

    /// Whether it still has to be delivered; from then on it counts as delivered.
    pub(crate) fn claim(&self) -> bool {
        self.sender.as_ref().is_none_or(|sender| sender.claim())
    }
}
