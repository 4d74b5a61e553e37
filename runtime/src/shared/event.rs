//! An event that any thread can set and wait for.

use std::fmt;

use ramie_hub::shared::{WaitQueue, Waits};
use ramie_hub::{Lane, Limit, LinkId, Waitable};

#[derive(Debug, Default)]
struct Flag {
    set: bool,
    /// The number of times the event was set. A waiter returns after this has changed, even if the
    /// event was cleared again.
    times: u64,
}

impl Waits for Flag {
    fn ready(&self, _lane: Lane) -> usize {
        if self.set { usize::MAX } else { 0 }
    }
}

/// A flag that greenlets and threads wait for: the thread-safe counterpart of
/// [`sync::Event`](crate::sync::Event). Clones are the same event.
///
/// # Examples
///
/// ```
/// use std::thread;
/// use ramie::shared::Event;
///
/// let loaded = Event::new();
/// thread::spawn({
///     let loaded = loaded.clone();
///     move || loaded.set()
/// });
/// loaded.wait();
/// assert!(loaded.is_set());
/// ```
#[derive(Clone)]
pub struct Event {
    queue: WaitQueue<Flag>,
}

impl Event {
    /// Creates an event that is not set.
    pub fn new() -> Self {
        Event { queue: WaitQueue::new(Flag::default()) }
    }

    /// Returns `true` if the event is set.
    pub fn is_set(&self) -> bool {
        self.queue.lock().set
    }

    /// Sets the event and wakes all waiters, in order. Memory written before this call is visible
    /// to each waiter that it wakes. Does not let other greenlets run.
    pub fn set(&self) {
        let mut flag = self.queue.lock();
        flag.set = true;
        flag.times = flag.times.wrapping_add(1);
    }

    /// Clears the event. Waiters that were waiting when it was set still return. Does not let other
    /// greenlets run.
    pub fn clear(&self) {
        self.queue.lock().set = false;
    }

    /// Waits until the event is set. Lets other greenlets run only if it waits.
    ///
    /// Also returns if the event is set and cleared again before the waiter runs.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn wait(&self) {
        self.wait_for(Limit::Never);
    }

    /// Waits at most `timeout` until the event is set. Returns `true` if it was set.
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.wait_for(timeout.into())
    }

    /// Returns the number of waiters and links that are not yet notified.
    pub fn linkcount(&self) -> usize {
        self.queue.lock().waiting().iter().sum()
    }

    fn wait_for(&self, limit: Limit) -> bool {
        let mut since = None;
        let waited = self.queue.wait(Lane::First, limit, "shared::Event::wait", |flag, _| {
            let since = *since.get_or_insert(flag.times);
            (flag.set || flag.times != since).then_some(())
        });
        waited.is_ok()
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
        f.debug_struct("Event").field("set", &self.is_set()).finish_non_exhaustive()
    }
}
