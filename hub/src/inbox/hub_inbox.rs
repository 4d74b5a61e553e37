//! The only part of a hub that other threads touch: a mailbox and the poller's waker. Its rules are the mailbox's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use mio::Waker;

use crate::error::HubGone;
use crate::inbox::mailbox::Mailbox;
use crate::loom::Mutex;
use crate::task::Token;

/// What another thread wants of the hub.
pub(crate) enum Message {
    /// Run this.
    Call(Box<dyn FnOnce() + Send>),
    /// Resume a greenlet, if it is still in this wait.
    Wake(Token),
    /// Call the link to a shared object that has this number.
    Link(u64),
}

/// What a hub shares with other threads.
pub(crate) struct Inbox {
    mailbox: Mailbox<Message>,
    /// `None` once it is closed.
    waker: Mutex<Option<Waker>>,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Inbox { mailbox: Mailbox::new(), waker: Mutex::new(Some(waker)) })
    }

    /// Queues what `message` makes of the payload and wakes the hub; gives the payload back when the hub is gone.
    pub(crate) fn post<P>(&self, payload: P, message: impl FnOnce(P) -> Message) -> Result<(), HubGone<P>> {
        if self.mailbox.push(payload, message).map_err(HubGone)? {
            // A waker that cannot be written to leaves the message queued; the hub finds it on its next turn.
            let _ = self.waker.lock().as_ref().map(Waker::wake);
        }
        Ok(())
    }

    /// Whether something was posted since the last taking. One load, for the hub to call in every turn.
    pub(crate) fn signalled(&self) -> bool {
        self.mailbox.signalled()
    }

    /// How much was posted and is not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.mailbox.len()
    }

    /// Takes everything that was posted, in order.
    pub(crate) fn take(&self) -> VecDeque<Message> {
        self.mailbox.take()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Refuses everything from now on and returns what was queued. Gives the waker's descriptor back.
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
