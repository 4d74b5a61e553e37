//! The queue, in which everything is that is not immediate, and the agenda of the item whose turn it is.

use std::rc::Rc;

use super::events::Strike;
use super::state::Core;
use crate::exception::Exception;
use crate::inbox::hub_inbox::Message;
use crate::scheduler::callback::CallbackState;
use crate::task::{Notified, Pass};
use crate::task::{TaskRef, Throw, Token, Verdict};

/// One entry of the callback queue.
pub(crate) enum Item {
    /// Resume a task, if it is still in this wait.
    Resume(Token),
    /// A wait's own limit was reached.
    Limit(Token),
    /// A scope timeout is due.
    Timeout(Rc<dyn Strike>),
    /// Serve links.
    Notify(Notified, u64),
    /// Throw into tasks, then wake the one who asked.
    Throw(Box<(Vec<TaskRef>, Exception, Option<Token>)>),
    /// Tell tasks that what they wait on was closed.
    Close(Vec<Token>),
    /// Run a callback.
    Call(Rc<CallbackState>),
    /// Run a closure that another thread posted.
    Posted(Box<dyn FnOnce() + Send>),
    /// Call the link to a shared object that has this number.
    SharedLink(u64),
    /// The rest of a death that was interrupted by a system error.
    Bury(TaskRef),
}

// The largest kind sets the size of all, and nearly all are small: the large and rare are boxed.
const _: () = assert!(size_of::<Item>() <= 32);

impl Item {
    /// Whose wait it ends, if that is all.
    #[inline(always)]
    pub(super) fn resumed(&self) -> Option<Token> {
        if let Item::Resume(token) = self { Some(*token) } else { None }
    }

    pub(crate) fn throw(into: Vec<TaskRef>, exception: Exception, killer: Option<Token>) -> Item {
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

/// What is left to do in the turn of one item, before the next one's.
pub(crate) enum Step {
    Wake(Token, Verdict),
    Throw(TaskRef, Throw),
    Serve(Pass),
}

impl Core {
    pub(crate) fn push(&self, item: Item) {
        self.queue.borrow_mut().push_back(item);
    }

    /// Queues an item that is made where nothing can unwind any more, so that it is written in its place. Made earlier it
    /// would be copied from the stack, and the copying would wait for the writing to arrive.
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

    /// Queues the end of a wait, or the beginning of a greenlet: nearly all items are one.
    #[inline]
    pub(crate) fn push_resume(&self, token: Token) {
        self.push_made(|| Item::Resume(token));
    }

    /// Ends the wait of a greenlet: at once if the hub itself says so, else in the token's turn of the queue.
    pub(crate) fn wake(&self, token: Token) {
        if self.in_hub() {
            self.agenda.borrow_mut().push_front(Step::Wake(token, Verdict::Woken));
        } else {
            self.push_resume(token);
        }
    }

    /// Queues a pass over somebody's links, unless one is under way or nobody is there.
    pub(crate) fn notify(&self, of: Notified) {
        let ticket = self.new_number();
        if of.links().begin_queue(ticket) {
            self.push_made(|| Item::Notify(of, ticket));
        }
    }
}
