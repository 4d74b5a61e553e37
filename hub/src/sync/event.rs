//! A flag to wait for.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

use crate::task::{Lane, LinkId, Rule};
use crate::wait::limit::Limit;
use crate::wait::wait_queue::{WaitQueue, Waits};
use crate::wait::waitable::Waitable;

#[derive(Debug)]
struct Flag(Cell<bool>);

impl Waits for Flag {
    const RULE: Rule = Rule::Everybody;

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
/// use ramie_hub::{Event, spawn};
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
    /// An event that is not set.
    pub fn new() -> Self {
        Event { queue: WaitQueue::new(Flag(Cell::new(false))) }
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.queue.0.get()
    }

    /// Sets the flag and queues the wake-up of everybody who waits, in order. Does not let others run.
    pub fn set(&self) {
        self.queue.0.set(true);
        self.queue.check();
    }

    /// Clears the flag. Who was waiting when it was set is woken all the same.
    pub fn clear(&self) {
        self.queue.0.set(false);
    }

    /// Waits until the event is set.
    ///
    /// Returns without letting others run when it is set already, unless others are just being told: then it waits
    /// until they have had their turn. Returns too when the event was set and cleared again in the meantime.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn wait(&self) {
        self.wait_for(Limit::Never);
    }

    /// Waits until the event is set, at most that long; says whether it was.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_for(Limit::After(timeout))
    }

    /// Waits until the event is set, at most until then; says whether it was.
    pub fn wait_deadline(&self, deadline: Instant) -> bool {
        self.wait_for(Limit::At(deadline))
    }

    /// How many wait for it or are linked.
    pub fn linkcount(&self) -> usize {
        self.queue.linkcount()
    }

    // Inlined: a frame that an unwinding need not cross.
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
