//! The queue of all work that is not immediate, and the remaining steps of the present item.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::Core;
use super::callback::CallbackState;
use super::unwind::guard_drop;
use crate::exception::Exception;
use crate::inbox::hub_inbox::Message;
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
pub(super) enum Step {
    Wake(WaitToken, WakeReason),
    Throw(TaskRef, Interrupt),
    Serve(Notification),
}

/// The items in the order of their turns, and the agenda: the remaining steps of the present item.
#[derive(Default)]
pub(super) struct RunQueue {
    items: RefCell<VecDeque<Item>>,
    agenda: RefCell<VecDeque<Step>>,
}

impl RunQueue {
    pub(super) fn len(&self) -> usize {
        self.items.borrow().len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.items.borrow().is_empty()
    }

    #[inline]
    pub(super) fn push(&self, item: Item) {
        self.items.borrow_mut().push_back(item);
    }

    /// Queues an item that comes before all others.
    #[inline]
    pub(super) fn push_front(&self, item: Item) {
        self.items.borrow_mut().push_front(item);
    }

    /// Pushes an item that `make` constructs directly in its slot. Building it on the stack first
    /// would copy it right after writing it, a store-forwarding stall.
    #[inline(always)]
    fn push_made(&self, make: impl FnOnce() -> Item) {
        let mut items = self.items.borrow_mut();
        if items.len() == items.capacity() {
            items.reserve(1);
        }
        if items.len() < items.capacity() {
            items.push_back(make());
        }
    }

    /// Takes the next item if it ends a wait, as nearly all items do. With `many` items left behind
    /// it, also returns the waits that the next two of them end.
    #[inline(always)]
    pub(super) fn pop_resume(&self, many: usize) -> Option<(WaitToken, Option<[Option<WaitToken>; 2]>)> {
        let mut items = self.items.borrow_mut();
        // Read in place: moving it out first costs more than the rest of a wake-up.
        let Some(&Item::Resume(token)) = items.front() else { return None };
        let _nothing_to_drop = ManuallyDrop::new(items.pop_front());
        let ahead = (items.len() >= many).then(|| [items.front(), items.get(1)].map(|item| item?.resumed()));
        Some((token, ahead))
    }

    /// Takes the next item of any kind.
    #[inline(always)]
    pub(super) fn pop(&self) -> Option<Item> {
        self.items.borrow_mut().pop_front()
    }

    /// Returns `true` if steps of the present item remain.
    #[inline]
    pub(super) fn has_steps(&self) -> bool {
        !self.agenda.borrow().is_empty()
    }

    #[inline(always)]
    pub(super) fn pop_step(&self) -> Option<Step> {
        self.agenda.borrow_mut().pop_front()
    }

    /// Adds a step that comes before all others.
    #[inline(always)]
    pub(super) fn push_step_front(&self, step: Step) {
        self.agenda.borrow_mut().push_front(step);
    }

    pub(super) fn push_step(&self, step: Step) {
        self.agenda.borrow_mut().push_back(step);
    }

    /// Drops every step and every item. Their values are user values.
    pub(super) fn close(&self) {
        self.agenda.take().into_iter().for_each(guard_drop);
        self.items.take().into_iter().for_each(guard_drop);
    }
}

impl Core {
    pub(crate) fn push(&self, item: Item) {
        self.queue.push(item);
    }

    /// Queues the end of a wait, or the start of a greenlet, which nearly all items are.
    #[inline]
    pub(crate) fn push_resume(&self, token: WaitToken) {
        self.queue.push_made(|| Item::Resume(token));
    }

    /// Returns the number of queued items.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Ends the wait of a greenlet: at once if the hub calls it, otherwise in the token's turn of
    /// the queue.
    pub(crate) fn wake(&self, token: WaitToken) {
        if self.in_hub() {
            self.queue.push_step_front(Step::Wake(token, WakeReason::Woken));
        } else {
            self.push_resume(token);
        }
    }

    /// Interrupts a task before everything that is queued. Returns the wait that ends afterwards;
    /// none in the hub, where the interrupt comes next.
    pub(crate) fn throw_first(&self, record: TaskRef, exception: Exception) -> Option<WaitToken> {
        if self.in_hub() {
            self.queue.push_step_front(Step::Throw(record, Interrupt::new(exception)));
            return None;
        }
        let token = self.token();
        self.queue.push_front(Item::throw(vec![record], exception, Some(token)));
        Some(token)
    }

    /// Queues a pass over an object's links, unless one is queued or running or there are no links.
    pub(crate) fn notify(&self, of: Notified) {
        let ticket = self.new_number();
        if of.links().begin_queue(ticket) {
            self.queue.push_made(|| Item::Notify(of, ticket));
        }
    }
}
