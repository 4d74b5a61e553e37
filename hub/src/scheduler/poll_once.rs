//! One iteration of the loop, for a program that runs the hub in a loop of its own.
//!
//! The iteration is that of the [loop](super::event_loop), in the same order: the callbacks, a poll,
//! the events. Main waits twice in it. First for its own item, which it queues behind everything
//! that is queued already: so greenlets that always yield have one turn each. Then for its own
//! event, behind all events of the poll. Between the two waits main polls, without waiting.
//!
//! When the batch of callbacks has used up its time, the loop would poll next. Main then leaves the
//! first wait, and the rest of the batch is left to the next iteration. Main's item stays in the
//! queue; its wait is over, so its turn does nothing.

use std::time::{Duration, Instant};

use super::Core;
use super::events::Event;
use crate::exception::Exception;
use crate::task::WakeReason;

/// The reason of main's waits.
const REASON: &str = "Hub::poll_once";

/// The time at which a hub wants its next iteration, as [`Hub::poll_once`](crate::Hub::poll_once)
/// returns it.
// Not `#[non_exhaustive]`: soon, later and not by itself are all there is, and an embedder with an
// arm for anything else could do nothing right in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once, since something is queued.
    Now,
    /// At this time, which may have passed already, or earlier when the descriptor is readable or the
    /// driver is woken.
    At(Instant),
    /// Only when the descriptor is readable or the driver is woken.
    Idle,
}

impl Next {
    /// Returns the time for which the program may wait at `now`; `None` if there is no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use ramie::hub::Next;
    ///
    /// let now = Instant::now();
    /// let second = Duration::from_secs(1);
    /// assert_eq!(Next::Now.timeout(now), Some(Duration::ZERO));
    /// assert_eq!(Next::At(now + second).timeout(now), Some(second));
    /// assert_eq!(Next::At(now).timeout(now + second), Some(Duration::ZERO));
    /// assert_eq!(Next::Idle.timeout(now), None);
    /// ```
    pub fn timeout(self, now: Instant) -> Option<Duration> {
        match self {
            Next::Now => Some(Duration::ZERO),
            Next::At(deadline) => Some(deadline.saturating_duration_since(now)),
            Next::Idle => None,
        }
    }
}

impl Core {
    /// Runs one iteration that never blocks. Only main may call this, outside the hub.
    pub(crate) fn poll_once(&self) -> Next {
        struct Iteration<'a>(&'a Core);
        impl Drop for Iteration<'_> {
            fn drop(&mut self) {
                self.0.main.set_polls_once(false);
            }
        }
        self.disarm_driver();
        self.main.set_polls_once(true);
        let iteration = Iteration(self);
        // The messages of other threads come before main's item.
        self.take_posted();
        let item = self.token();
        self.push_resume(item);
        self.park(item, REASON);
        // A nested wait in a callback may have moved the loop on to any phase. Events that it has left
        // come before those of this poll.
        // Always a system call, even with no sources: it also takes the message of the hub's waker
        // from the descriptor.
        if let Err(error) = self.reactor.poll(Some(Duration::ZERO)) {
            drop(iteration);
            self.raise(Exception::new(error));
        }
        let more = self.reactor.has_more();
        self.begin_invoke();
        let last = self.token();
        self.loop_state.push_event(Event::Wake(last));
        self.park(last, REASON);
        drop(iteration);
        if more || self.has_work() {
            return Next::Now;
        }
        self.arm_driver();
        self.next_deadline().map_or(Next::Idle, Next::At)
    }

    /// Ends the first wait of an iteration of main, if there is one, before the loop polls.
    #[cold]
    #[inline(never)]
    pub(super) fn cut_iteration(&self) {
        let main = self.main.task();
        if self.main.polls_once() && main.wait.get() != 0 {
            main.verdict.set(WakeReason::Woken);
            main.wait.set(0);
            self.main.set_resumed(true);
        }
    }

    /// Returns `true` if the loop would not wait if it polled now.
    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty()
            || self.queue.has_steps()
            || self.loop_state.has_events()
            || self.foreign.inbox().signalled()
            || self.main.has_urgent()
            || self.watches.wants_idle()
    }

    /// Returns the deadline of the earliest timer.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline().and_then(|deadline| self.timers.instant(deadline))
    }
}
