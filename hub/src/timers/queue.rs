//! The set of timers: the wheel, the near timers, and the nodes that both refer to.

use std::fmt;
use std::mem;

use super::arena::{NIL, Nodes, TimerId};
use super::current_tick::{CurrentTick, Entry};
use super::wheel::Wheel;

/// A set of timers, each a deadline and a payload, returned in the order of their deadlines.
///
/// Times are nanoseconds since an epoch that the caller chooses. Timers with equal deadlines fire
/// in the order in which they were started.
///
/// [`start_with`](Self::start_with) and [`cancel`](Self::cancel) take constant time, except for
/// deadlines within the current tick, where they take logarithmic time in the number of timers in
/// that tick.
pub(crate) struct Timers<P> {
    pub(super) nodes: Nodes<P>,
    pub(super) near: CurrentTick,
    pub(super) wheel: Wheel,
    /// The number of timers ever started, which orders equal deadlines.
    started: u64,
    /// The timer that was started last, if it has no place in the wheel or among the near timers yet;
    /// `NIL` otherwise.
    pub(super) unplaced: u32,
}

/// A timer that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due<P> {
    pub(crate) id: TimerId,
    pub(crate) deadline: u64,
    pub(crate) payload: P,
}

impl<P> Timers<P> {
    /// Creates an empty set of timers at time zero.
    pub(crate) fn new() -> Self {
        Self { nodes: Nodes::new(), near: CurrentTick::new(), wheel: Wheel::new(), started: 0, unplaced: NIL }
    }

    /// Starts a timer. Any deadline is allowed: a timer with a past deadline is due at once.
    /// `payload` is called to construct the payload in place and must not unwind.
    ///
    /// # Panics
    ///
    /// Panics if 2^32 - 1 timers are pending already.
    #[inline(always)]
    pub(crate) fn start_with(&mut self, deadline: u64, payload: impl FnOnce() -> P) -> TimerId {
        let sequence = self.started;
        self.started += 1;
        let id = self.nodes.insert(deadline, sequence, payload);
        let before = mem::replace(&mut self.unplaced, id.index());
        if before != NIL {
            self.place(before);
        }
        id
    }

    /// Puts a timer into the wheel or among the near timers.
    #[inline(always)]
    fn place(&mut self, index: u32) {
        let node = &self.nodes[index];
        match self.wheel.slot_of(node.deadline) {
            Some(slot) => self.wheel.link(&mut self.nodes, slot, index),
            None => self.near.push(Entry { deadline: node.deadline, sequence: node.sequence, index }),
        }
    }

    /// Puts the timer that was started last into its place.
    #[inline]
    fn settle(&mut self) {
        let index = mem::replace(&mut self.unplaced, NIL);
        if index != NIL {
            self.place(index);
        }
    }

    #[cfg(test)]
    pub(crate) fn start(&mut self, deadline: u64, payload: P) -> TimerId {
        self.start_with(deadline, || payload)
    }

    /// Removes a timer before it fires and returns its payload.
    ///
    /// Returns `None` if the timer has fired or was cancelled already. A stale id stays harmless
    /// forever: it never becomes the id of another timer.
    #[inline(always)]
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<P> {
        let deadline = self.nodes.get(id)?.deadline;
        if self.unplaced == id.index() {
            self.unplaced = NIL;
        } else {
            self.displace(deadline, id.index());
        }
        Some(self.nodes.remove(id.index()).payload)
    }

    #[inline(never)]
    fn displace(&mut self, deadline: u64, index: u32) {
        match self.wheel.slot_of(deadline) {
            Some(slot) => self.wheel.unlink(&mut self.nodes, slot, index),
            None => self.near.remove(index),
        }
    }

    /// Returns `true` if a timer has neither fired nor been cancelled.
    #[cfg(test)]
    pub(crate) fn is_pending(&self, id: TimerId) -> bool {
        self.nodes.get(id).is_some()
    }

    /// Returns the time until which the caller may sleep: never later than the earliest deadline.
    ///
    /// The time is the earliest deadline exactly, unless the earliest timer of a crowded slot was
    /// cancelled; then it may be the cancelled deadline, at the cost of one early wake-up. After
    /// [`pop_due`](Self::pop_due) has returned `None`, the time lies in the future, so a loop that
    /// sleeps and pops does not spin: a second early wake-up in a row takes a second cancel.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        self.settle();
        match self.near.first() {
            Some(first) => Some(first.deadline),
            None => self.wheel.earliest(&self.nodes),
        }
    }

    /// Removes and returns the earliest timer with a deadline not later than `now`.
    ///
    /// A timer that is started between two calls and is due takes its place in the order. A caller
    /// that answers each timer by starting another due timer must therefore not insist on draining
    /// all of them.
    ///
    /// `now` may jump ahead by any amount: the cost depends on the timers passed, not on the time
    /// passed.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<Due<P>> {
        self.settle();
        loop {
            if let Some(&Entry { deadline, index, .. }) = self.near.first() {
                if deadline > now {
                    return None;
                }
                self.near.remove(index);
                let removed = self.nodes.remove(index);
                return Some(Due { id: removed.id, deadline, payload: removed.payload });
            }
            let first = self.wheel.advance(now)?;
            self.spread(first);
        }
    }

    /// Returns the number of pending timers.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Cascades a list of timers that the current tick has reached: into the near timers, or into
    /// slots of a lower level.
    fn spread(&mut self, mut index: u32) {
        while index != NIL {
            let node = &self.nodes[index];
            let next = node.next;
            match self.wheel.slot_of(node.deadline) {
                Some(slot) => self.wheel.link(&mut self.nodes, slot, index),
                None => self.near.append(Entry { deadline: node.deadline, sequence: node.sequence, index }),
            }
            index = next;
        }
        self.near.restore();
    }
}

impl<P> fmt::Debug for Timers<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("len", &self.len()).finish_non_exhaustive()
    }
}
