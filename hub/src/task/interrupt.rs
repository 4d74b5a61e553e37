//! An exception on its way into a task.

use std::rc::Rc;

use super::reference::TaskRef;
use crate::exception::Exception;

/// A scope timeout, as the hub uses it: its timer fires it, and the interrupt that it sends may
/// become void before it is delivered.
pub(crate) trait ScopeTimeout {
    /// Records that the timer has fired. Returns `false` when the timeout was disarmed before.
    fn expire(&self) -> bool;
    /// Returns the interrupt and its target, if it is still wanted.
    fn fire(self: Rc<Self>) -> Option<(TaskRef, Interrupt)>;
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
    pub(crate) timeout: Option<Rc<dyn ScopeTimeout>>,
}

impl Interrupt {
    pub(crate) fn new(exception: Exception) -> Self {
        Interrupt { exception, timeout: None }
    }

    /// Takes the claim back.
    pub(crate) fn unclaimed(self) -> Self {
        if let Some(timeout) = &self.timeout {
            timeout.unclaim();
        }
        self
    }

    /// Returns `true` if a scope inside the destructor that the task waits in will catch the
    /// interrupt before it leaves the destructor. `raises` is the task's exception count.
    pub(crate) fn stays_inside(&self, raises: u64) -> bool {
        self.timeout.as_ref().is_some_and(|timeout| timeout.began_after() == Some(raises))
    }

    /// Claims the interrupt for delivery. Returns `false` if it need not be delivered any more.
    pub(crate) fn claim(&self) -> bool {
        self.timeout.as_ref().is_none_or(|timeout| timeout.claim())
    }
}
