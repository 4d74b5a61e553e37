//! A flag to wait for.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::current;
use crate::links::{LinkId, Linkable, Links};
use crate::task::Verdict;
use crate::wait::Waitable;
use crate::wait_guard::Limit;
use crate::wait_queue;

struct State {
    links: Links,
    set: Cell<bool>,
}

impl Linkable for State {
    fn links(&self) -> &Links {
        &self.links
    }

    fn ready(&self) -> bool {
        self.set.get()
    }

    fn serves_all(&self) -> bool {
        true
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
    state: Rc<State>,
}

impl Event {
    /// An event that is not set.
    pub fn new() -> Self {
        Event { state: Rc::new(State { links: Links::new(), set: Cell::new(false) }) }
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.state.set.get()
    }

    /// Sets the flag and queues the wake-up of everybody who waits, in order. Does not let others run.
    pub fn set(&self) {
        self.state.set.set(true);
        wait_queue::check(&self.state);
    }

    /// Clears the flag. Who was waiting when it was set is woken all the same.
    pub fn clear(&self) {
        self.state.set.set(false);
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

    fn wait_for(&self, limit: Limit) -> bool {
        if self.is_set() && !self.state.links.notifying() {
            return true;
        }
        let deadline = limit.fixed(&current::core());
        wait_queue::wait_once(&self.state, deadline, "Event::wait") == Verdict::Woken || self.is_set()
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
        wait_queue::link(&self.state, f)
    }

    fn unlink(&self, id: LinkId) {
        wait_queue::unlink(&self.state, id);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).field("links", &self.state.links.len()).finish()
    }
}
