//! Suspending, resuming and interrupting tasks.

use std::panic::resume_unwind;
use std::thread;

use super::{Core, Mode};
use crate::exception::{Exception, Failure};
use crate::scheduler::report::ErrorContext;
use crate::scheduler::unwind::{Raised, guard_drop};
use crate::stderr;
use crate::task::{
    AnyGreenlet, Interrupt, Kind, State, TaskPtr, TaskRef, UnwindState, WaitToken, WakeReason, switch,
};

/// The wait of a greenlet that yields.
const YIELD: &str = "sleep(0)";

impl Core {
    /// Suspends the running task until a holder of the token ends its wait.
    ///
    /// Raises an interrupt instead of returning, so the code that registered the token must clean
    /// up by a guard.
    #[inline(always)]
    pub(crate) fn park(&self, token: WaitToken, reason: &'static str) -> WakeReason {
        self.park_with((), token, reason)
    }

    /// Suspends like [`park`](Core::park), and drops these guards before it raises.
    // Unwinding costs about twenty switches per frame, twice that for a frame with a landing pad.
    // Inlined, with `raise`, and the guards are dropped first, so that a kill unwinds fewer frames.
    #[inline(always)]
    pub(crate) fn park_with<G>(&self, guards: G, token: WaitToken, reason: &'static str) -> WakeReason {
        self.park_while(guards, token, reason, || false)
    }

    /// Suspends like [`park_with`](Core::park_with), and suspends again in the same wait when the
    /// task was woken for nothing, as `again` tells. `again` must not wait.
    #[inline(always)]
    pub(crate) fn park_while<G>(
        &self,
        guards: G,
        token: WaitToken,
        reason: &'static str,
        again: impl Fn() -> bool,
    ) -> WakeReason {
        let verdict = loop {
            let verdict = self.suspend_apart(token, reason);
            if verdict != Some(WakeReason::Woken) || !again() {
                break verdict;
            }
        };
        drop(guards);
        match verdict {
            Some(verdict) => verdict,
            None => resume_unwind(self.thrown()),
        }
    }

    #[inline(never)]
    pub(super) fn suspend_apart(&self, token: WaitToken, reason: &'static str) -> Option<WakeReason> {
        if self.in_hub() {
            return self.suspend_in_hub(token, reason);
        }
        self.suspend(token, reason)
    }

    /// Suspends the running task. Returns `None` when the task was interrupted. Must not be called in
    /// the hub.
    #[inline(always)]
    fn suspend(&self, token: WaitToken, reason: &'static str) -> Option<WakeReason> {
        #[cfg(debug_assertions)]
        super::wait_check::check(reason);
        let task = self.tasks.running();
        if thread::panicking() {
            return self.suspend_while_counted(task, token, reason);
        }
        task.unwind_state.set(self.calm(&task));
        if task.has_masked() && !task.shielded.get() {
            self.raise_masked(&task);
        }
        self.switch_away(task, token, reason, false)
    }

    /// Suspends the running task while std counts a panic on this thread: of this task, or of one
    /// that waits in a destructor.
    #[cold]
    #[inline(never)]
    fn suspend_while_counted(
        &self,
        task: TaskPtr,
        token: WaitToken,
        reason: &'static str,
    ) -> Option<WakeReason> {
        let unwind_state = self.unwind_state(&task);
        task.unwind_state.set(unwind_state);
        if unwind_state == UnwindState::No && task.has_masked() && !task.shielded.get() {
            self.raise_masked(&task);
        }
        if unwind_state == UnwindState::Yes {
            self.unwinding.park();
        }
        let verdict = self.switch_away(task, token, reason, true);
        if unwind_state == UnwindState::Yes {
            self.unwinding.unpark();
        }
        verdict
    }

    /// Switches from the running task, which waits from now on, to the code that runs next: directly
    /// to another greenlet, or to the hub. `panicking` is std's answer now. Returns `None` when the
    /// task was interrupted.
    #[inline(always)]
    fn switch_away(
        &self,
        task: TaskPtr,
        token: WaitToken,
        reason: &'static str,
        panicking: bool,
    ) -> Option<WakeReason> {
        task.reason.set(reason);
        task.wait.set(token.wait);
        self.queue.end_serving();
        if task.kind == Kind::Main {
            self.suspend_main();
        } else if !self.hand_over(task, panicking) {
            switch::suspend(&task.fiber);
        }
        if task.interrupted.get() {
            task.interrupted.set(false);
            if !task.shielded.get() {
                return None;
            }
        }
        Some(task.verdict.get())
    }

    /// Serves the next item of the queue by a switch from the running task, if the loop would do just
    /// that now: nothing calls for the loop, and the item resumes a greenlet that has begun. Returns
    /// `false` when the loop must run, which decides everything else, and so the order.
    #[inline(always)]
    fn hand_over(&self, task: TaskPtr, panicking: bool) -> bool {
        if !switch::HANDS_OVER || self.pace.calls_for_loop() {
            return false;
        }
        let Some(item) = self.queue.next_resume() else { return false };
        let Some(token) = item.token() else { return false };
        let Some(next) = self.tasks.parked(token) else { return false };
        // Main has no fiber, nor has a greenlet that has not begun.
        let Some(fiber) = next.fiber.begun() else { return false };
        self.drop_resume();
        if item.is_direct() {
            self.queue.begin_serving(token.wait);
        }
        next.verdict.set(WakeReason::Woken);
        self.enter(next, panicking);
        if !next.is(task) {
            switch::hand_over(&task.fiber, fiber, &raw const next.overflow);
        }
        true
    }

    /// Marks a task that is about to continue as running.
    #[inline(always)]
    fn enter(&self, task: TaskPtr, panicking: bool) {
        task.wait.set(0);
        self.pace.renew_budget();
        self.unwinding.note_resumed(panicking);
        self.tasks.enter(task);
    }

    /// Runs the loop until main's wait is over.
    #[inline(never)]
    fn suspend_main(&self) {
        if self.main.waits_specially() {
            self.begin_special_wait();
        }
        // The only call, so that it is inlined.
        self.drive();
        self.unwinding.note_resumed(thread::panicking());
        self.pace.renew_budget();
        if self.main.waits_specially() {
            self.end_driving(self.main.task().interrupted.get());
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_special_wait(&self) {
        if self.main.has_urgent() {
            // Raised by main itself, or deferred by a destructor of main: no other code would
            // deliver it.
            self.deliver_urgent();
        }
        self.disarm_driver();
    }

    /// Creates the panic payload of the interrupt of the running task.
    #[cold]
    fn thrown(&self) -> Box<Raised> {
        let task = self.tasks.running();
        let exception = task.thrown.take().expect("suspend has found an interrupt");
        if let Some(last) = task.cold().delivered.replace(Some(exception.clone())) {
            // The destructor is user code, and must not replace the exception that is raised.
            guard_drop(last);
        }
        self.payload(exception)
    }

    /// Moves the running task to the tail of the queue: everything that is already queued runs
    /// first.
    #[inline]
    pub(crate) fn yield_now(&self) {
        if self.in_hub() {
            self.refuse_in_hub();
            let token = self.token();
            self.push_resume(token);
            self.park(token, YIELD);
            return;
        }
        let token = self.token();
        self.push_resume(token);
        if self.suspend(token, YIELD).is_none() {
            resume_unwind(self.thrown());
        }
    }

    /// Yields after a number of operations that did not have to wait, and lets the loop poll when
    /// its interval is over. Must be called before an operation: an exception raised here must not
    /// discard the result of an operation.
    #[inline]
    pub(crate) fn renew_io(&self) {
        if self.pace.budget_spent() || self.pace.due() {
            self.give_way();
        }
    }

    #[inline(never)]
    fn give_way(&self) {
        if self.in_hub() {
            return;
        }
        // The loop's check at the next item comes to the same result, and the loop polls.
        let late = self.pace.due() && self.pace.look(self.now());
        if late || self.pace.budget_spent() {
            self.pace.renew_budget();
            self.yield_now();
        }
    }

    /// Returns `true` if a future must let others run before its next operation: where a greenlet
    /// yields in [`renew_io`](Core::renew_io), a future wakes itself and is pending. The budget is
    /// that of the greenlet, so all futures that it polls in this turn are told so.
    #[inline]
    pub(crate) fn ends_turn(&self) -> bool {
        (self.pace.budget_spent() || self.pace.due()) && self.ends_turn_now()
    }

    #[inline(never)]
    fn ends_turn_now(&self) -> bool {
        let late = self.pace.due() && self.pace.look(self.now());
        if !late && !self.pace.budget_spent() {
            return false;
        }
        self.pace.refuses_future(self.waits_begun())
    }

    /// Counts an operation that did not have to wait.
    #[inline]
    pub(crate) fn spend_io(&self) {
        self.pace.spend_budget();
    }

    /// Unwinds the running greenlet with an exception.
    #[inline(always)]
    pub(crate) fn raise(&self, exception: Exception) -> ! {
        resume_unwind(self.payload(exception))
    }

    /// Records that the running greenlet raises, and creates the panic payload.
    #[cold]
    fn payload(&self, exception: Exception) -> Box<Raised> {
        let in_main = self.mode.get() == Mode::Main;
        if !self.in_hub() {
            let task = self.tasks.running();
            task.raised.set(true);
            task.raises.set(task.raises.get() + 1);
        }
        if cfg!(panic = "abort") {
            stderr::write(&format!(
                "ramie: cannot raise with panic = \"abort\", so the process ends: {exception}\n"
            ));
        }
        Box::new(Raised::new(exception, in_main))
    }

    /// Records that the running greenlet has caught its exception.
    pub(crate) fn caught(&self) {
        if !self.in_hub() {
            self.tasks.running().raised.set(false);
        }
    }

    // --- only the hub calls these -------------------------------------------------------------------------------

    /// Resumes a task if it is still in the wait that the token names.
    // Inlined into the loop with `switch_to`, like `switch::resume` and for the same reason.
    #[inline(always)]
    pub(crate) fn resume(&self, token: WaitToken, verdict: WakeReason) {
        if let Some(task) = self.tasks.parked(token) {
            task.verdict.set(verdict);
            self.switch_to(task);
        } else {
            // A direct wake that has come too late serves no task.
            self.queue.end_serving();
            self.resume_nested(token, verdict);
        }
    }

    /// Switches to a task and returns when it, or a task that it has handed over to, waits again or
    /// has ended. Main is only marked.
    #[inline(always)]
    pub(crate) fn switch_to(&self, task: TaskPtr) {
        if task.kind == Kind::Main {
            task.wait.set(0);
            self.main.set_resumed(true);
            return;
        }
        if task.state.get() == State::Started {
            task.wait.set(0);
            if !self.begin(task) {
                return;
            }
        }
        self.mode.set(Mode::Greenlet);
        self.pace.allow_hand_over(self.serves_queue_only());
        self.enter(task, thread::panicking());
        switch::resume(&task.fiber, &task.overflow, self.tasks.home());
        let task = self.tasks.leave();
        self.mode.set(Mode::Hub);
        self.queue.end_serving();
        let ended = if switch::done(&task.fiber) { self.reap(&task) } else { None };
        if self.main.has_urgent() {
            self.deliver_urgent();
        }
        if self.unwinding.has_deferred() {
            self.retry_deferred();
        }
        // Last, since an unread value may panic when it is dropped.
        drop(ended);
    }

    /// Returns `true` if the loop would serve the next item of the queue now: the queue is served, and
    /// neither a step of the present item nor an exception comes first.
    #[inline(always)]
    fn serves_queue_only(&self) -> bool {
        self.loop_state.serves_callbacks()
            && !self.queue.has_steps()
            && !self.main.has_urgent()
            && !self.unwinding.has_deferred()
    }

    /// Interrupts a task at once: it is resumed and raises, unless it has not run, has ended, or is
    /// unwinding.
    pub(crate) fn throw(&self, record: TaskRef, throw: Interrupt) {
        let task = &record.task;
        match task.state.get() {
            _ if task.of_another(self.number()) => {}
            State::Ready => {
                if task.kind == Kind::Raw && throw.timeout.is_some() && throw.claim() {
                    let context = ErrorContext::Raw(AnyGreenlet::from(&record));
                    self.handle_error(&context, &Failure::raised(throw.exception));
                }
            }
            State::Created | State::Started => {
                if throw.claim() {
                    self.kill_unrun(&record, throw.exception);
                }
            }
            State::Running if !self.reaches(task, &throw) => {
                task.mask(throw);
                self.unwinding.defer(record);
            }
            State::Running => {
                if cfg!(panic = "abort") {
                    stderr::write(&format!(
                        "ramie: {} cannot be interrupted with panic = \"abort\"; it continues without: {}\n",
                        self.name(&record),
                        throw.exception,
                    ));
                } else if task.shielded.get() {
                    task.mask(throw);
                    self.switch_to(TaskPtr::of(&record));
                } else if throw.claim() {
                    task.note_timeout(throw.timeout);
                    task.interrupt(throw.exception);
                    self.switch_to(TaskPtr::of(&record));
                }
            }
        }
    }
}
