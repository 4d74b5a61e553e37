//! The queue of all work that is not immediate, and the remaining steps of the present item.

use std::rc::Rc;

use super::state::Core;
use crate::exception::Exception;
use crate::inbox::hub_inbox::Message;
use crate::scheduler::callback::CallbackState;
use crate::task::{Interrupt, ScopeTimeout, TaskRef, WaitToken, WakeReason};
use crate::task::{Notification, Notified};

/// An entry of the callback queue.
pub(crate) enum Item {
    /// Resumes a task, if it is still in this wait.
    Resume(WaitToken),
    /// Ends a wait that reached its own limit.
    Limit(WaitToken),
    /// Fires a scope timeout.
    Timeout(Rc<dyn ScopeTimeout>),
    /// Serves links.
    Notify(Notified, u64),
    /// Continues a pass over links that a poll has interrupted.
    Continue(Box<Notification>),
    /// Interrupts tasks, then wakes the caller.
    Throw(Box<(Vec<TaskRef>, Exception, Option<WaitToken>)>),
    /// Ends the waits of tasks on a closed object.
    Close(Vec<WaitToken>),
    /// Runs a callback.
    Call(Rc<CallbackState>),
    /// Runs a closure that another thread posted.
    Posted(Box<dyn FnOnce() + Send>),
    /// Calls the link of this number to a shared object.
    SharedLink(u64),
    /// Marks a task as dead after its SystemExit was delivered to main.
    Bury(TaskRef),
}

// The largest variant sets the size of all, and nearly all are small: large and rare variants are
// boxed.
const _: () = assert!(size_of::<Item>() <= 32);

impl Item {
    /// Returns the token of the wait that this ends, if it does nothing else.
    #[inline(always)]
    pub(super) fn resumed(&self) -> Option<WaitToken> {
        if let Item::Resume(token) = self { Some(*token) } else { None }
    }

    pub(crate) fn throw(into: Vec<TaskRef>, exception: Exception, killer: Option<WaitToken>) -> Item {
        Item::Throw(Box::new((into, exception, killer)))
    }
}

impl From<Message> for Item {
    fn from(message: Message) -> Self {
        match message {
            Message::Call(f) => Item::Posted(f),
            Message::Wake(token) => Item::Resume(token),
            Message::Link(number) => Item::SharedLink(number),
        }
    }
}

/// A remaining step of the present item, taken before the next item.
pub(crate) enum Step {
    Wake(WaitToken, WakeReason),
    Throw(TaskRef, Interrupt),
    Serve(Notification),
}

impl Core {
    pub(crate) fn push(&self, item: Item) {
        self.queue.borrow_mut().push_back(item);
    }

    /// Pushes an item that `make` constructs directly in its slot. Building it on the stack first
    /// would copy it right after writing it, a store-forwarding stall.
    #[inline(always)]
    fn push_made(&self, make: impl FnOnce() -> Item) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() == queue.capacity() {
            queue.reserve(1);
        }
        if queue.len() < queue.capacity() {
            queue.push_back(make());
        }
    }

    /// Queues the end of a wait, or the start of a greenlet, which nearly all items are.
    #[inline]
    pub(crate) fn push_resume(&self, token: WaitToken) {
        self.push_made(|| Item::Resume(token));
    }

    /// Ends the wait of a greenlet: at once if the hub calls it, otherwise in the token's turn of
    /// the queue.
    pub(crate) fn wake(&self, token: WaitToken) {
        if self.in_hub() {
            self.agenda.borrow_mut().push_front(Step::Wake(token, WakeReason::Woken));
        } else {
            self.push_resume(token);
        }
    }

    /// Queues a pass over an object's links, unless one is queued or running or there are no links.
    pub(crate) fn notify(&self, of: Notified) {
        let ticket = self.new_number();
        if of.links().begin_queue(ticket) {
            self.push_made(|| Item::Notify(of, ticket));
        }
    }
}
