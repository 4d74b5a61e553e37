//! A single answer from another thread to this hub, and the function that waits for it.

use std::fmt;
use std::sync::Arc;

use crate::error::HubGone;
use crate::inbox::hub_inbox::{Inbox, Message};
use crate::inbox::registry::Owed;
use crate::remote::handle::KeepAlive;
use crate::scheduler::current;

/// A one-time sender of an answer from another thread to a hub. Made by
/// [`Hub::reply`](crate::Hub::reply).
///
/// If it is dropped without an answer, the hub drops the function that waits for one.
pub struct Reply<T> {
    inbox: Arc<Inbox>,
    number: u64,
    call: fn(u64, T),
    used: bool,
}

impl<T: Send + 'static> Reply<T> {
    /// Registers a function for the answer, which keeps the loop alive.
    pub(crate) fn new(f: impl FnOnce(T) + 'static) -> Self {
        let alive = KeepAlive::new();
        Reply::expect(move |answer| {
            let _alive = alive;
            f(answer);
        })
    }

    /// Registers a function for the answer, which does not keep the loop alive.
    pub(crate) fn expect<F: FnOnce(T) + 'static>(f: F) -> Self {
        let call = |number, answer| {
            let Some(Owed::Answer(f)) = current::core().foreign().remove(number) else { return };
            let f = f.downcast::<F>().expect("a number belongs to one reply");
            f(answer);
        };
        let core = current::core();
        let number = core.expect(Owed::Answer(Box::new(f)));
        Reply { inbox: core.foreign().inbox().clone(), number, call, used: false }
    }

    /// Returns the number of the function in the hub's registry.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Sends the answer, which arrives in a turn of the hub's queue. Never blocks.
    ///
    /// # Errors
    ///
    /// [`HubGone`] with the answer when the hub has ended. An answer that was accepted by a hub
    /// that ends before its turn is dropped on the hub's thread.
    pub fn send(mut self, answer: T) -> Result<(), HubGone<T>> {
        self.used = true;
        let (number, call) = (self.number, self.call);
        self.inbox.post(answer, move |answer| Message::Call(Box::new(move || call(number, answer))))
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        match current::core_with(&self.inbox) {
            Some(core) => drop(core.foreign().remove(self.number)),
            None => {
                let message = |number| Message::Call(forget_later(number));
                // A hub that has ended has dropped the function.
                let _ = self.inbox.post(self.number, message);
            }
        }
    }
}

/// Returns the message that makes the hub drop a function that is never called.
fn forget_later(number: u64) -> Box<dyn FnOnce() + Send> {
    Box::new(move || drop(current::core().foreign().remove(number)))
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("hub_gone", &self.inbox.is_closed()).finish_non_exhaustive()
    }
}
