//! A flag that greenlets wait for.

use std::cell::Cell;
use std::fmt;

use crate::shared;
use crate::sync::sharing::{Local, Queue, Shared, Sharing};
use crate::task::{Lane, LinkId, WakePolicy};
use crate::wait::future::WaitFuture;
use crate::wait::limit::Limit;
use crate::wait::turn::Turn;
use crate::wait::wait_queue;
use crate::wait::waitable::Waitable;

#[derive(Debug)]
struct Flag(Cell<bool>);

impl Flag {
    /// Makes one check of a wait.
    fn look(&self, turn: Turn) -> Option<()> {
        (turn.notified || self.0.get()).then_some(())
    }
}

impl wait_queue::Waits for Flag {
    const RULE: WakePolicy = WakePolicy::All;

    fn is_ready(&self) -> bool {
        self.0.get()
    }

    fn kind(&self) -> &'static str {
        "event"
    }
}

impl shared::Waits for Flag {
    fn ready(&self, _lane: Lane) -> usize {
        if self.0.get() { usize::MAX } else { 0 }
    }
}

/// A flag that greenlets wait for. Clones are the same event.
///
/// Programs name it `ramie::sync::Event` for the greenlets of one thread, and
/// `ramie::shared::Event` for any thread.
pub struct Event<K: Sharing> {
    queue: K::Queue<Flag>,
}

impl<K: Sharing> Event<K> {
    /// Creates an event that is not set.
    pub fn new() -> Self {
        Event { queue: Queue::new(Flag(Cell::new(false))) }
    }

    /// Returns `true` if the flag is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.queue.with(|flag| flag.0.get())
    }

    /// Sets the flag and queues the wake-up of all waiters, in order. Does not let other greenlets
    /// run. Memory written before this call is visible to each waiter that it wakes.
    pub fn set(&self) {
        self.queue.change(|flag| flag.0.set(true));
    }

    /// Clears the flag. Waiters that were waiting when it was set are still woken. Does not let
    /// other greenlets run.
    pub fn clear(&self) {
        self.queue.with(|flag| flag.0.set(false));
    }

    /// Waits until the event is set. Also returns when the event was set and cleared again during
    /// the wait.
    ///
    /// Does not let other greenlets run when the flag is set already, with one exception for the
    /// greenlets of one thread: while other waiters are being notified, the call waits until those
    /// waiters have had their turn.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves nothing behind.
    pub fn wait(&self) {
        self.wait_for(Limit::Never);
    }

    /// Waits until the event is set, for at most `timeout`. Returns `true` if it was set. Lets
    /// other greenlets run as [`wait`](Event::wait) does.
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait`](Event::wait).
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.wait_for(timeout.into())
    }

    /// Returns the number of waiters and links that are not yet notified.
    pub fn linkcount(&self) -> usize {
        self.queue.waiting().iter().sum()
    }

    // Inlined: an unwinding then crosses one frame less.
    #[inline(always)]
    fn wait_for(&self, limit: Limit) -> bool {
        self.queue.wait(Lane::First, limit, "Event::wait", Flag::look).is_ok()
    }
}

impl Event<Shared> {
    /// Returns a future that is ready when the event is set, for executors on any thread; see
    /// [`wait`](Event::wait). It does nothing before its first poll.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped leaves nothing behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::task::{Context, Waker};
    /// use std::pin::pin;
    /// use ramie::shared::Event;
    ///
    /// let event = Event::new();
    /// let mut set = pin!(event.wait_async());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(set.as_mut().poll(&mut cx).is_pending());
    /// event.set();
    /// assert!(set.poll(&mut cx).is_ready());
    /// ```
    pub fn wait_async(&self) -> impl Future<Output = ()> + Send + Unpin + use<> {
        self.queue.wait_async(Lane::First, |flag: &mut Flag, turn| flag.look(turn))
    }
}

/// Awaiting a reference waits until the event is set, also if it is cleared again before the future
/// is polled. For executors on the same thread that let the hub run; see [`WaitFuture`]. An event
/// that is set already makes the future ready at once.
impl<'a> IntoFuture for &'a Event<Local> {
    type Output = ();
    type IntoFuture = WaitFuture<&'a Event<Local>, ()>;

    fn into_future(self) -> Self::IntoFuture {
        WaitFuture::new(self, |_| ())
    }
}

impl<K: Sharing> Clone for Event<K> {
    fn clone(&self) -> Self {
        Event { queue: self.queue.clone() }
    }
}

impl<K: Sharing> Default for Event<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Sharing> Waitable for Event<K> {
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

impl<K: Sharing> fmt::Debug for Event<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).field("links", &self.linkcount()).finish()
    }
}
