//! A flag that greenlets wait for.

use std::cell::Cell;
use std::fmt;

use crate::task::{Lane, LinkId, WakePolicy};
use crate::wait::limit::Limit;
use crate::wait::wait_queue::{WaitQueue, Waits};
use crate::wait::waitable::Waitable;

#[derive(Debug)]
struct Flag(Cell<bool>);

impl Waits for Flag {
    const RULE: WakePolicy = WakePolicy::All;

    fn is_ready(&self) -> bool {
        self.0.get()
    }

    fn kind(&self) -> &'static str {
        "event"
    }
}

/// A flag that greenlets wait for: gevent's and Python's `Event`. Clones are the same event.
///
/// # Examples
///
/// ```
/// use ramie::sync::Event;
/// use ramie::spawn;
///
/// let event = Event::new();
/// let waiter = spawn({
///     let event = event.clone();
///     move || event.wait()
/// });
/// event.set();
/// waiter.join();
/// ```
#[derive(Clone)]
pub struct Event {
    queue: WaitQueue<Flag>,
}

impl Event {
    /// Creates an event that is not set.
    pub fn new() -> Self {
        Event { queue: WaitQueue::new(Flag(Cell::new(false))) }
    }

    /// Returns `true` if the flag is set.
    pub fn is_set(&self) -> bool {
        self.queue.0.get()
    }

    /// Sets the flag and queues the wake-up of all waiters, in order. Does not let other greenlets
    /// run.
    pub fn set(&self) {
        self.queue.0.set(true);
        self.queue.check();
    }

    /// Clears the flag. Greenlets that were waiting when it was set are still woken.
    pub fn clear(&self) {
        self.queue.0.set(false);
    }

    /// Waits until the event is set.
    ///
    /// Does not let other greenlets run when the flag is set already, except while other waiters
    /// are being notified: then the call waits until those waiters have had their turn. Also
    /// returns when the event was set and cleared again during the wait.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn wait(&self) {
        self.wait_for(Limit::Never);
    }

    /// Waits until the event is set, for at most `timeout`. Returns `true` if it was set.
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.wait_for(timeout.into())
    }

    /// Returns the number of waiters and links.
    pub fn linkcount(&self) -> usize {
        self.queue.linkcount()
    }

    // Inlined: an unwinding then crosses one frame less.
    #[inline(always)]
    fn wait_for(&self, limit: Limit) -> bool {
        if self.is_set() && !self.queue.notifying() {
            return true;
        }
        self.queue.wait(Lane::First, limit, "Event::wait").is_ok() || self.is_set()
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Waitable for Event {
    fn is_ready(&self) -> bool {
        self.is_set()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.queue.rawlink(f)
    }

    fn unlink(&self, id: LinkId) {
        self.queue.unlink(id);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).field("links", &self.linkcount()).finish()
    }
}
