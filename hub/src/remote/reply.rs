//! A single answer from another thread to this hub, and the function that waits for it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::error::HubGone;
use crate::hub::handle::Hub;
use crate::inbox::hub_inbox::{Inbox, Message};
use crate::remote::handle::KeepAlive;
use crate::scheduler::Core;
use crate::scheduler::current;

struct Expected<F> {
    f: F,
    _alive: KeepAlive,
}

/// A one-time sender of an answer from another thread to a hub. Made by [`Hub::reply`].
///
/// If it is dropped without an answer, the hub drops the function that waits for one.
pub struct Reply<T> {
    inbox: Arc<Inbox>,
    key: usize,
    call: fn(usize, T),
    used: bool,
}

impl Hub {
    /// Registers `f` to be called in the hub with the value that another thread sends. Only the
    /// value must be `Send`, not `f`. `f` must not wait.
    ///
    /// The loop is kept alive until the answer has come. If the hub ends first, `f` is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{rc::Rc, thread};
    /// use ramie::sync::AsyncResult;
    /// use ramie::get_hub;
    ///
    /// let result = AsyncResult::new();
    /// let here = result.clone();
    /// let reply = get_hub().reply(move |answer: u32| here.set(Rc::new(answer)));
    /// thread::spawn(move || reply.send(42));
    /// assert_eq!(*result.get().unwrap(), 42);
    /// ```
    pub fn reply<T: Send + 'static>(&self, f: impl FnOnce(T) + 'static) -> Reply<T> {
        fn expect<F: FnOnce(T) + 'static, T>(f: F) -> (Box<dyn Any>, fn(usize, T)) {
            let call = |key, answer| {
                let expected = current::core().replies.borrow_mut().remove(key);
                let expected = expected.downcast::<Expected<F>>().expect("a slot belongs to one reply");
                let Expected { f, _alive } = *expected;
                f(answer);
            };
            (Box::new(Expected { f, _alive: KeepAlive::new() }), call)
        }
        let core = current::core();
        let (expected, call) = expect(f);
        let key = core.replies.borrow_mut().insert(expected);
        Reply { inbox: core.inbox.clone(), key, call, used: false }
    }
}

impl<T: Send + 'static> Reply<T> {
    /// Sends the answer, which arrives in a turn of the hub's queue. Never blocks.
    ///
    /// # Errors
    ///
    /// [`HubGone`] with the answer when the hub has ended. An answer that was accepted by a hub
    /// that ends before its turn is dropped on the hub's thread.
    pub fn send(mut self, answer: T) -> Result<(), HubGone<T>> {
        self.used = true;
        let (key, call) = (self.key, self.call);
        self.inbox.post(answer, move |answer| Message::Call(Box::new(move || call(key, answer))))
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        match current::try_core().filter(|core| Arc::ptr_eq(&core.inbox, &self.inbox)) {
            Some(core) => forget(&core, self.key),
            None => {
                let message = |key| Message::Call(forget_later(key));
                // A hub that has ended has dropped the function.
                let _ = self.inbox.post(self.key, message);
            }
        }
    }
}

/// Returns the message that makes the hub drop a function that is never called.
fn forget_later(key: usize) -> Box<dyn FnOnce() + Send> {
    Box::new(move || forget(&current::core(), key))
}

/// Drops the function that waits for an answer, if it is still registered.
fn forget(core: &Core, key: usize) {
    // Bound first: the function's captures are dropped after the borrow has ended.
    let expected = core.replies.borrow_mut().try_remove(key);
    drop(expected);
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("hub_gone", &self.inbox.is_closed()).finish_non_exhaustive()
    }
}
