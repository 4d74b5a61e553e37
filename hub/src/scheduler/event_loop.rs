//! The loop, which main runs while it waits.
//!
//! One iteration is gevent's: prepare watchers and the callback queue, poll, then timers and ready
//! sources by priority. The position in the iteration is kept in data, not in frames: when main's
//! own wait ends in the middle of a phase, the loop returns to main, and continues at the same
//! position when main waits again.
//!
//! ```text
//!   Prepare --> Callbacks --> Poll --> Invoke --+
//!      ^        (5 ms, compared                 |
//!      |         as `Pace` says)                |
//!      +----------------------------------------+
//! ```

use std::time::Duration;

use super::events::{Event, IoWaiter, TimerAction};
use super::loop_state::{Class, Phase};
use super::run_queue::{Item, Step};
use super::watches::WatchKind;
use super::{Core, Mode};
use crate::exception::Exception;
use crate::inbox::registry::Link;
use crate::scheduler::report::ErrorContext;
use crate::scheduler::unwind::guard;
use crate::task::{Interrupt, WaitToken, WakeReason};
use crate::task::{Notification, Notified, Target, TaskRef, tell};

/// With that many entries in the queue, or due, the record of the next one is no longer in the
/// nearest cache at its turn.
const PREFETCH_THRESHOLD: usize = 512;

/// The priority of wait limits and scope timeouts: after everything else of the iteration.
const LAST: i8 = -1;

/// The task to resume next, and the outcome of its wait.
type Resumption = Option<(WaitToken, WakeReason)>;

impl Core {
    /// Runs the loop until main's wait is over. Called on main's stack.
    pub(crate) fn drive(&self) {
        self.mode.set(Mode::Hub);
        if self.unwinding.has_deferred() {
            // Main may be the task that has ended its unwinding.
            self.retry_deferred();
        }
        while !self.main.is_resumed() {
            // Values with their last reference in the hub are dropped here. A panic in such a
            // destructor is reported, and the loop continues.
            if let Err(escape) = guard(|| self.turn()) {
                self.report(&ErrorContext::Destructor, escape);
            }
        }
        self.main.set_resumed(false);
        self.mode.set(Mode::Main);
        self.main_goes_on();
    }

    /// Takes one step, for the end of the hub.
    #[inline(never)]
    pub(super) fn step(&self) {
        if let Some((token, verdict)) = self.advance() {
            self.resume(token, verdict);
        }
    }

    /// Takes one step after the other until main's wait is over.
    pub(super) fn turn(&self) {
        while !self.main.is_resumed() {
            // The only place of the loop that switches.
            if let Some((token, verdict)) = self.advance() {
                self.resume(token, verdict);
            }
        }
    }

    /// Takes one step. Returns the task to resume and the outcome of its wait, if the step has led
    /// to one.
    #[inline(always)]
    fn advance(&self) -> Resumption {
        if let Some(step) = self.queue.pop_step() {
            return self.take_step(step);
        }
        match self.loop_state.phase() {
            Phase::Callbacks => return self.next_item(),
            Phase::Invoke => return self.next_event(),
            Phase::Prepare => self.prepare(),
            Phase::Poll => self.poll(),
        }
        None
    }

    // --- callbacks ----------------------------------------------------------------------------------------------

    fn prepare(&self) {
        self.thread_exit.renew();
        self.loop_state.enter(Phase::Callbacks);
        self.take_posted();
        // The time of the poll is too early for the start of the batch: the events that were served
        // since may have used up the whole interval.
        let waiting = !self.queue.is_empty() || self.loop_state.iterations() == 0;
        self.pace.begin_batch(waiting.then(|| self.now()));
        for watch in self.watches.active(WatchKind::Prepare) {
            watch.fire(self);
        }
    }

    #[inline(always)]
    fn next_item(&self) -> Resumption {
        if self.pace.due() && self.look(0) {
            return None;
        }
        match self.queue.next_resume() {
            Some(entry) => {
                self.drop_resume();
                let token = entry.token()?;
                if entry.is_direct() { self.wake_directly(token) } else { Some((token, WakeReason::Woken)) }
            }
            None => self.next_other(),
        }
    }

    /// Removes the next item, which ends a wait and does nothing else. No check of the clock may be
    /// due.
    #[inline(always)]
    pub(super) fn drop_resume(&self) {
        self.queue.drop_resume();
        if self.queue.len() >= PREFETCH_THRESHOLD {
            self.fetch_queued();
        }
        self.pace.spend();
    }

    /// Serves a direct wake.
    #[inline]
    fn wake_directly(&self, token: WaitToken) -> Resumption {
        if self.holds_back(token) {
            return None;
        }
        self.queue.begin_serving(token.wait);
        Some((token, WakeReason::Woken))
    }

    // Not inlined: a switch would have fewer registers.
    #[inline(never)]
    fn fetch_queued(&self) {
        self.fetch_ahead(self.queue.ahead());
    }

    /// Prefetches for the next switches: the record of the next but one, and the stack of the next
    /// one (its record was prefetched a turn ago).
    #[inline(always)]
    fn fetch_ahead(&self, [next, next_but_one]: [Option<WaitToken>; 2]) {
        if let Some(token) = next_but_one {
            self.tasks.fetch_record(token);
        }
        if let Some(token) = next {
            self.tasks.fetch_stack(token);
        }
    }

    /// Serves the next item of any kind.
    #[inline(never)]
    fn next_other(&self) -> Resumption {
        let mut served = false;
        while let Some((record, ticket)) = self.queue.pop_end() {
            self.pace.spend();
            if !self.pass_over_observers(&record, ticket) {
                return self.begin_pass(Notified::Greenlet(record), ticket);
            }
            drop(record);
            // The next pass follows at once if the loop would serve it now. The last reference to a
            // greenlet may have dropped a user's value, which may do anything that the hub can do.
            if self.pace.due() || self.queue.has_steps() || self.main.is_resumed() {
                return None;
            }
            served = true;
        }
        if served {
            return None;
        }
        if let Some(item) = self.queue.pop() {
            self.pace.spend();
            self.run_item(item)
        } else {
            self.loop_state.enter(Phase::Poll);
            None
        }
    }

    /// Makes the whole pass over the links of a greenlet that has ended, if it only tells observers.
    #[inline(always)]
    fn pass_over_observers(&self, record: &TaskRef, ticket: u64) -> bool {
        // A pass may be interrupted between two targets when a check of the clock is due.
        let most = if self.pace.due() { 1 } else { 2 };
        let told = record.task.links.pass_over_observers(ticket, most);
        if told > 1 {
            self.pace.spend_operation();
        }
        told > 0
    }

    /// Drains the inbox and reads the clock. Returns `true` if the batch has used up its time and
    /// there is more to do: in the queue, or `rest` steps of an item.
    #[inline(never)]
    fn look(&self, rest: usize) -> bool {
        self.take_posted();
        let more = rest > 0 || !self.queue.is_empty();
        let late = more && self.pace.look(self.now());
        if late {
            self.loop_state.enter(Phase::Poll);
            self.cut_iteration();
        }
        late
    }

    pub(super) fn take_posted(&self) {
        if self.foreign.inbox().signalled() {
            for message in self.foreign.inbox().take() {
                self.push(Item::from(message));
            }
        }
    }

    #[inline(never)]
    fn begin_pass(&self, of: Notified, ticket: u64) -> Resumption {
        Notification::begin(of, ticket).and_then(|pass| self.serve(pass, true))
    }

    #[inline(never)]
    fn run_item(&self, item: Item) -> Resumption {
        match item {
            Item::Resume(token) => return Some((token, WakeReason::Woken)),
            Item::Direct(token) => return self.wake_directly(token),
            Item::Limit(token) => return Some((token, WakeReason::TimedOut)),
            Item::Timeout(timeout) => {
                if let Some((owner, throw)) = timeout.fire() {
                    self.throw(owner, throw);
                }
            }
            Item::Notify(of, ticket) => return self.begin_pass(of, ticket),
            Item::End(record, ticket) => return self.begin_pass(Notified::Greenlet(record), ticket),
            Item::Continue(pass) => return self.serve(*pass, true),
            Item::Throw(throw) => {
                let (records, exception, killer) = *throw;
                for record in records {
                    self.queue.push_step(Step::Throw(record, Interrupt::new(exception.clone())));
                }
                if let Some(killer) = killer {
                    self.queue.push_step(Step::Wake(killer, WakeReason::Woken));
                }
            }
            Item::Close(tokens) => {
                for token in tokens {
                    self.queue.push_step(Step::Wake(token, WakeReason::Closed));
                }
            }
            Item::Call(callback) => callback.run(|f| {
                self.call(|| ErrorContext::Callback, f);
            }),
            Item::Posted(message) => {
                self.call(|| ErrorContext::Remote, message);
            }
            Item::SharedLink(number) => self.call_shared_link(number),
            Item::Bury(record) => record.task.dead.set(true),
        }
        None
    }

    /// Calls a notified link to a shared object, unless it was removed before.
    fn call_shared_link(&self, number: u64) {
        let Some(Link { place, f }) = self.foreign.take_link(number) else { return };
        place.unlink();
        self.call(|| ErrorContext::ObjectLink("shared object"), f);
        self.add_refs(-1);
    }

    #[inline(always)]
    fn take_step(&self, step: Step) -> Resumption {
        match step {
            Step::Wake(token, verdict) => return Some((token, verdict)),
            Step::Throw(record, throw) => {
                self.queue.fetch_thrown(PREFETCH_THRESHOLD);
                self.throw(record, throw);
            }
            Step::Serve(pass) => return self.continue_pass(pass),
        }
        None
    }

    /// Serves the next target of a pass, or queues the pass again, as the next item, if the batch
    /// has used up its time.
    #[inline(always)]
    fn continue_pass(&self, pass: Notification) -> Resumption {
        if self.pace.due() && self.interrupt_pass() {
            self.queue.push_front(Item::Continue(Box::new(pass)));
            return None;
        }
        self.serve(pass, false)
    }

    /// Returns `true` if the loop must poll before the next target of a pass.
    #[inline(never)]
    fn interrupt_pass(&self) -> bool {
        // Steps behind the pass must not overtake it.
        self.loop_state.phase() == Phase::Callbacks && !self.queue.has_steps() && self.look(1)
    }

    /// Serves the next target of a pass, which counts as a unit. The first one was counted as the
    /// item.
    #[inline(always)]
    fn serve(&self, mut pass: Notification, first: bool) -> Resumption {
        let target = pass.next();
        if target.is_some() && !first {
            self.pace.spend_operation();
        }
        let Some(target) = target else {
            let again = pass.end();
            if again {
                self.notify(pass.of.links(), || pass.of.clone());
            }
            return None;
        };
        match target {
            Target::Wake(token) => {
                if let Some(next) = pass.crowd(PREFETCH_THRESHOLD) {
                    self.fetch_ahead(next);
                }
                self.queue.push_step_front(Step::Serve(pass));
                Some((token, WakeReason::Woken))
            }
            Target::Observe(place, observer) => {
                self.queue.push_step_front(Step::Serve(pass));
                tell(&observer, place);
                None
            }
            Target::Call(f) => {
                let of = pass.of.clone();
                self.queue.push_step_front(Step::Serve(pass));
                self.call(|| ErrorContext::of_link(&of), f);
                None
            }
            Target::Spawn(f) => {
                self.queue.push_step_front(Step::Serve(pass));
                Some((self.begin_link(f), WakeReason::Woken))
            }
        }
    }

    // --- polling ------------------------------------------------------------------------------------------------

    // Not inlined: the switches of the loop would have fewer registers.
    #[inline(never)]
    fn poll(&self) {
        let more = !self.queue.is_empty() || self.foreign.inbox().signalled();
        let idle = self.watches.wants_idle();
        let timeout = if more || idle {
            Some(Duration::ZERO)
        } else if !self.keeps_running() {
            self.loop_state.enter(Phase::Prepare);
            self.run_dry();
            return;
        } else {
            let next = self.timers.next_deadline();
            next.map(|deadline| Duration::from_nanos(deadline.saturating_sub(self.now())))
        };
        let nothing_to_ask = timeout == Some(Duration::ZERO) && self.reactor.len() == 0;
        if !nothing_to_ask {
            let polled = self.reactor.poll(timeout);
            if let Err(error) = polled {
                // A poll that fails permanently cannot be waited on: main gets the error, since a
                // retry would spin.
                self.interrupt_main(Exception::new(error));
                return;
            }
        }
        self.begin_invoke();
    }

    /// Begins to serve the events of a poll that has just returned.
    #[inline(always)]
    pub(super) fn begin_invoke(&self) {
        let now = self.now();
        self.loop_state.polled(now);
        self.pace.polled(now);
        self.collect(now);
        self.loop_state.enter(Phase::Invoke);
    }

    /// Returns `true` if anything is left that could still cause an event.
    pub(crate) fn keeps_running(&self) -> bool {
        self.loop_state.refs() > 0 || self.timers.keeping() > 0
    }

    /// Collects the due events, in the order in which they will be served.
    fn collect(&self, now: u64) {
        let mut due = self.loop_state.begin_due();
        for watch in self.watches.active(WatchKind::Check) {
            due.push(watch.priority(), Class::Check, Event::Watch(watch));
        }
        while let Some(action) = self.timers.pop_due(now) {
            let (priority, event) = match action {
                TimerAction::Wake(token) => (0, Event::Wake(token)),
                TimerAction::Limit(token) => (LAST, Event::Limit(token)),
                TimerAction::Timeout(timeout) => (LAST, Event::Timeout(timeout)),
                TimerAction::Watch(watch) => (watch.priority(), Event::Watch(watch)),
            };
            due.push(priority, Class::Timer, event);
        }
        self.reactor.each_ready(|id, direction, key, waiter| {
            let (priority, event) = match waiter {
                IoWaiter::Greenlet(token) => (0, Event::Wake(*token)),
                IoWaiter::Link(link) => (0, Event::Link(id, key, link.clone())),
                IoWaiter::Poll(wakers) => (0, Event::Poll(wakers.clone(), direction)),
                #[cfg(unix)]
                IoWaiter::Watcher(watch) => (watch.priority(), Event::Watch(watch.clone())),
            };
            due.push(priority, Class::Io, event);
        });
        if due.is_quiet() {
            for watch in self.watches.active(WatchKind::Idle) {
                due.push(watch.priority(), Class::Io, Event::Watch(watch));
            }
            for token in self.watches.take_idlers() {
                due.push(0, Class::Io, Event::Wake(token));
            }
        }
        self.loop_state.queue_due(due);
    }

    fn next_event(&self) -> Resumption {
        match self.loop_state.pop_event() {
            None => self.loop_state.enter(Phase::Prepare),
            Some(Event::Wake(token)) => {
                if let Some(next) = self.loop_state.ahead(PREFETCH_THRESHOLD) {
                    self.fetch_ahead(next);
                }
                return Some((token, WakeReason::Woken));
            }
            // Limits go through the queue: a notification that this iteration has queued comes
            // first, so that a wait that is satisfied when its time is up reports success.
            Some(Event::Limit(token)) => self.push(Item::Limit(token)),
            Some(Event::Timeout(timeout)) => {
                if timeout.expire() {
                    self.push(Item::Timeout(timeout));
                }
            }
            Some(Event::Watch(watch)) => watch.fire_pending(self),
            Some(Event::Link(source, key, link)) => {
                self.call(|| ErrorContext::ObjectLink("source"), || self.call_link(source, key, &link));
            }
            Some(Event::Poll(wakers, direction)) => wakers.wake(direction),
        }
        None
    }
}
