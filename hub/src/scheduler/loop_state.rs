//! The position of the loop, which is data and not a frame, and the events that are due.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::VecDeque;

use super::Core;
use super::events::Event;
use super::unwind::guard_drop;
use crate::task::WaitToken;

/// The phase of an iteration of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Prepare,
    Callbacks,
    Poll,
    Invoke,
}

/// The order of events with the same priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Check,
    Timer,
    Io,
}

/// The events of one poll, while they are collected.
#[derive(Default)]
pub(super) struct Due(Vec<(Reverse<i8>, Class, Event)>);

impl Due {
    #[inline]
    pub(super) fn push(&mut self, priority: i8, class: Class, event: Event) {
        self.0.push((Reverse(priority), class, event));
    }

    /// Returns `true` if there is no event with a priority of 0 or more.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.0.iter().all(|(priority, ..)| priority.0 < 0)
    }
}

/// The phase, the events that are due in it, and the counts of the loop.
pub(super) struct LoopState {
    phase: Cell<Phase>,
    events: RefCell<VecDeque<Event>>,
    /// Kept for its allocation. Empty between two polls.
    spare: Cell<Due>,
    /// The time of the last poll.
    now: Cell<u64>,
    /// The number of polls.
    iterations: Cell<u64>,
    /// The number of reasons that keep the loop alive, apart from timers: waits for sources,
    /// watchers, keep-alive guards.
    refs: Cell<usize>,
}

impl LoopState {
    pub(super) fn new() -> LoopState {
        LoopState {
            phase: Cell::new(Phase::Prepare),
            events: RefCell::default(),
            spare: Cell::default(),
            now: Cell::new(0),
            iterations: Cell::new(0),
            refs: Cell::new(0),
        }
    }

    #[inline(always)]
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Returns `true` if the queue is served.
    #[inline(always)]
    pub(super) fn serves_callbacks(&self) -> bool {
        self.phase.get() == Phase::Callbacks
    }

    #[inline(always)]
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Counts a poll that has returned at this time.
    #[inline]
    pub(super) fn polled(&self, now: u64) {
        self.iterations.set(self.iterations.get() + 1);
        self.now.set(now);
    }

    #[inline]
    pub(super) fn iterations(&self) -> u64 {
        self.iterations.get()
    }

    #[inline]
    pub(super) fn refs(&self) -> usize {
        self.refs.get()
    }

    /// Returns the empty collection for the events of a poll.
    #[inline]
    pub(super) fn begin_due(&self) -> Due {
        self.spare.take()
    }

    /// Queues the collected events in the order in which they will be served.
    #[inline(always)]
    pub(super) fn queue_due(&self, mut due: Due) {
        // Stable: within a class, timers stay in the order of their deadlines.
        due.0.sort_by_key(|(priority, class, _)| (*priority, *class));
        for (.., event) in &due.0 {
            if let Event::Watch(watch) = event {
                watch.mark_pending();
            }
        }
        self.events.borrow_mut().extend(due.0.drain(..).map(|(.., event)| event));
        self.spare.set(due);
    }

    /// Queues an event that is served after all others of this poll.
    pub(super) fn push_event(&self, event: Event) {
        self.events.borrow_mut().push_back(event);
    }

    /// Returns `true` if events of the last poll are left.
    pub(super) fn has_events(&self) -> bool {
        !self.events.borrow().is_empty()
    }

    #[inline]
    pub(super) fn pop_event(&self) -> Option<Event> {
        self.events.borrow_mut().pop_front()
    }

    /// Returns the waits that the next two events end, if at least `many` events are left.
    #[inline]
    pub(super) fn ahead(&self, many: usize) -> Option<[Option<WaitToken>; 2]> {
        let events = self.events.borrow();
        (events.len() >= many).then(|| [events.front(), events.get(1)].map(|event| event?.resumed()))
    }

    /// Drops every event.
    pub(super) fn close(&self) {
        self.events.take().into_iter().for_each(guard_drop);
        drop(self.spare.take());
    }
}

/// The counts of the loop for other folders.
impl Core {
    /// Counts a reason that keeps the loop alive, or one fewer.
    #[inline]
    pub(crate) fn add_refs(&self, by: isize) {
        let refs = &self.loop_state.refs;
        refs.set(refs.get().checked_add_signed(by).expect("references are counted in pairs"));
    }

    /// Returns the number of reasons that keep the loop alive, apart from timers.
    pub(crate) fn refs(&self) -> usize {
        self.loop_state.refs()
    }

    /// Returns the time of the last poll.
    pub(crate) fn loop_now(&self) -> u64 {
        self.loop_state.now.get()
    }

    /// Returns the number of iterations of the loop.
    pub(crate) fn iterations(&self) -> u64 {
        self.loop_state.iterations()
    }
}
