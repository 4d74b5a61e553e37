//! The part of a hub that other threads touch: a mailbox and the poller's waker. The mailbox's
//! rules apply.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use mio::Waker;

use crate::error::HubGone;
use crate::inbox::mailbox::Mailbox;
use crate::loom::Mutex;
use crate::task::WaitToken;

/// A request of another thread to the hub.
pub(crate) enum Message {
    /// Calls the function.
    Call(Box<dyn FnOnce() + Send>),
    /// Drops a value that belongs to the thread of the hub.
    Drop(Box<dyn Any + Send>),
    /// Resumes a greenlet, if it is still in this wait.
    Wake(WaitToken),
    /// Calls the link of this number to a shared object.
    Link(u64),
}

/// The state that a hub shares with other threads.
pub(crate) struct Inbox {
    mailbox: Mailbox<Message>,
    /// The poller's waker; `None` once the inbox is closed.
    waker: Mutex<Option<Waker>>,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Inbox { mailbox: Mailbox::new(), waker: Mutex::new(Some(waker)) })
    }

    /// Queues the message made from the payload and wakes the hub. Gives the payload back when the
    /// hub has ended.
    pub(crate) fn post<P>(&self, payload: P, message: impl FnOnce(P) -> Message) -> Result<(), HubGone<P>> {
        if self.mailbox.push(payload, message).map_err(HubGone)? {
            // If the waker cannot be written to, the message stays queued, and the hub finds it in
            // its next turn.
            let _ = self.waker.lock().as_ref().map(Waker::wake);
        }
        Ok(())
    }

    /// Returns `true` if a message was posted since the last `take`. One load, which the hub can
    /// afford in every turn.
    pub(crate) fn signalled(&self) -> bool {
        self.mailbox.signalled()
    }

    /// Returns the number of posted messages that were not taken.
    pub(crate) fn len(&self) -> usize {
        self.mailbox.len()
    }

    /// Takes all posted messages, in order.
    pub(crate) fn take(&self) -> VecDeque<Message> {
        self.mailbox.take()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Closes the inbox: every later message is rejected. Returns the queued messages and closes
    /// the waker's descriptor.
    pub(crate) fn close(&self) -> VecDeque<Message> {
        let queued = self.mailbox.close();
        *self.waker.lock() = None;
        queued
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("signalled", &self.signalled()).finish_non_exhaustive()
    }
}
