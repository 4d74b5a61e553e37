//! Creation and end of the tasks of a hub.

use std::any::Any;
use std::panic::Location;
use std::rc::Rc;
use std::thread;

use super::Core;
use super::bound::Bound;
use super::run_queue::Item;
use crate::exception::{Exception, Failure, GreenletExit, SystemExit};
use crate::scheduler::current;
use crate::scheduler::report::ErrorContext;
use crate::scheduler::unwind::{Escape, guard};
use crate::stack::{DEFAULT_STACK_SIZE, StackError, StackStats};
use crate::task::body::Body;
use crate::task::{
    AnyGreenlet, Kind, NO_INDEX, SpawnCallback, State, Task, TaskPtr, TaskRef, WaitToken, switch,
};

impl Core {
    /// Creates the record of a task that is not started. The running task becomes its spawner.
    #[inline]
    pub(crate) fn record<B: Body>(
        &self,
        kind: Kind,
        body: B,
        site: &'static Location<'static>,
        stack_size: usize,
    ) -> TaskRef {
        TaskRef::new(Bound::new(body), || {
            let spawner = self.tasks.running();
            let tree = (spawner.kind != Kind::Main).then(|| spawner.tree());
            Task::new(kind, site, stack_size, Some(spawner.downgrade()), tree)
        })
    }

    /// Queues the start of a created task.
    #[inline]
    pub(crate) fn start(&self, record: &TaskRef) {
        let token = self.admit(record);
        self.push_resume(token);
    }

    /// Assigns a slot to a created task, which begins when its first token is resumed.
    #[inline(always)]
    pub(crate) fn admit(&self, record: &TaskRef) -> WaitToken {
        self.enrol(record);
        if self.hooks.has_spawn_callbacks() {
            self.tell_spawn_callbacks(record);
        }
        record.task.token()
    }

    #[inline(always)]
    fn enrol(&self, record: &TaskRef) {
        self.tasks.insert(record);
        record.task.hub.set(self.number());
        record.task.state.set(State::Started);
        record.task.wait.set(self.ids.new_wait());
    }

    /// Creates a greenlet that drops a value in place of the hub. The destructor may wait there;
    /// its failure is reported.
    pub(super) fn drop_in_greenlet(&self, left: Box<dyn Any>) {
        let drop_it = move || {
            if let Err(escape) = guard(move || drop(left)) {
                current::core().report_destructor(escape);
            }
        };
        let record = self.record(Kind::Raw, drop_it, Location::caller(), DEFAULT_STACK_SIZE);
        record.task.overflow.set_name(&"destructor".into());
        // Without `admit`: user callbacks must not run in the middle of code that drops a handle.
        self.enrol(&record);
        self.push_resume(record.task.token());
    }

    /// Creates a raw greenlet for a link and assigns a slot to it.
    // Not inlined: the switches of the loop would have fewer registers.
    #[inline(never)]
    pub(super) fn begin_link(&self, f: Box<dyn FnOnce()>) -> WaitToken {
        self.admit(&self.record(Kind::Raw, f, Location::caller(), DEFAULT_STACK_SIZE))
    }

    /// Returns the greenlets that were started and have not ended, except main.
    pub(crate) fn greenlets(&self) -> Vec<AnyGreenlet> {
        let is_other = |record: &&TaskRef| record.task.kind != Kind::Main;
        self.tasks.records().iter().filter(is_other).map(AnyGreenlet::from).collect()
    }

    /// Ends a task that has not run and now never will.
    pub(crate) fn kill_unrun(&self, record: &TaskRef, exception: Exception) {
        let task = &record.task;
        if task.of_another(self.number()) || task.dead.replace(true) {
            // A destructor of the closure is waiting: the end of the task is already in progress.
            return;
        }
        if let Some(timer) = task.cold_if_used().and_then(|cold| cold.start_timer.take()) {
            self.cancel_timer(timer);
        }
        self.dismiss(task);
        let interrupted = self.discard(record);
        self.record_end(record, Some(Failure::raised(exception)));
        self.release_values(task);
        self.gone(task);
        if let Some(exception) = interrupted {
            self.raise(exception);
        }
    }

    /// Drops the closure of a task that never runs. Its destructors may wait. An interrupt of the
    /// running task that is raised there is returned, to be raised again; failures of the
    /// destructors themselves are reported.
    fn discard(&self, record: &TaskRef) -> Option<Exception> {
        let escape = guard(|| record.body().discard()).err()?;
        if let Escape::Exception(exception) = &escape {
            let delivered = self.tasks.running().cold().delivered.take();
            if delivered.is_some_and(|delivered| delivered.same(exception)) {
                return Some(exception.clone());
            }
        }
        self.report(&ErrorContext::Destructor, escape);
        None
    }

    /// Reports the failure of a destructor. A plain kill of its greenlet is not a failure.
    fn report_destructor(&self, escape: Escape) {
        let killed = matches!(&escape, Escape::Exception(exception) if exception.is::<GreenletExit>());
        if !killed {
            self.report(&ErrorContext::Destructor, escape);
        }
    }

    /// Returns `true` if a handle is left that could take the value of a body that has returned, or a
    /// link that could.
    #[inline(always)]
    fn value_stays(&self, record: &TaskRef) -> bool {
        // One reference belongs to the hub, one to the caller.
        record.count() > 2 || !record.task.links.is_empty()
    }

    /// Ends a greenlet whose body has failed, or whose value no handle can take.
    #[inline(never)]
    fn finish_otherwise(&self, record: &TaskRef, result: thread::Result<Result<(), Exception>>) {
        let failure = match result {
            Ok(Ok(())) => self.drop_value(record),
            Ok(Err(exception)) => Some(Failure::raised(exception)),
            Err(payload) => Some(Escape::sort(payload).into_failure()),
        };
        self.finish(record, failure);
    }

    /// Drops the value of a body that has returned, on the stack of its greenlet. The destructor may
    /// wait. Returns the exception that interrupted the greenlet there.
    fn drop_value(&self, record: &TaskRef) -> Option<Failure> {
        match guard(|| record.body().drop_value()).err()? {
            Escape::Exception(exception) => Some(Failure::raised(exception)),
            escape @ Escape::Panic(_) => {
                self.report(&ErrorContext::Destructor, escape);
                None
            }
        }
    }

    /// Ends a greenlet, as the last action on its own stack.
    #[inline(always)]
    fn finish(&self, record: &TaskRef, failure: Option<Failure>) {
        self.record_end(record, failure);
        self.release_values(&record.task);
    }

    /// Drops the user values that a task refers to only while it lives: its locals, those of its tree
    /// if it was the last of it, and the exceptions that were raised in it. With the last handle they
    /// would be dropped in any frame.
    #[inline(always)]
    fn release_values(&self, task: &Task) {
        if let Some(cold) = task.cold_if_used() {
            cold.locals.clear(|value| self.drop_reported(value));
            self.drop_reported(cold.delivered.take());
            self.drop_reported(cold.swallowed.take());
            self.drop_reported(cold.timeout.take());
        }
        if let Some(tree) = task.take_tree() {
            if Rc::strong_count(&tree) == 1 {
                tree.clear(|value| self.drop_reported(value));
            }
        }
    }

    /// Drops a user value, and reports what its destructor raises.
    fn drop_reported<T>(&self, value: T) {
        if let Err(escape) = guard(|| drop(value)) {
            self.report(&ErrorContext::Destructor, escape);
        }
    }

    /// Records the result, queues the links, and reports a failure, in gevent's order.
    #[inline(always)]
    fn record_end(&self, record: &TaskRef, failure: Option<Failure>) {
        let task = &record.task;
        task.raised.set(false);
        match failure {
            None => self.become_ready(record),
            Some(failure) => self.record_failure(record, failure),
        }
    }

    #[inline(always)]
    fn become_ready(&self, record: &TaskRef) {
        record.task.state.set(State::Ready);
        self.notify_end(record);
    }

    #[cold]
    fn record_failure(&self, record: &TaskRef, failure: Failure) {
        let task = &record.task;
        let _ = task.cold().failure.set(failure.clone());
        self.become_ready(record);
        // An exception that a scope passes on to its greenlets is raised in the scope; a system
        // error goes to main from here.
        let told = failure.is_exit() || task.was_recalled(&failure) && !failure.is::<SystemExit>();
        if !told {
            let greenlet = AnyGreenlet::from(record);
            let context = match task.kind {
                Kind::Raw => ErrorContext::Raw(greenlet),
                _ => ErrorContext::Greenlet(greenlet),
            };
            self.handle_error(&context, &failure);
        }
    }

    /// Notifies the owning scope that the task's closure and fiber are gone.
    #[inline(always)]
    fn gone(&self, task: &Task) {
        if let Some(child) = task.take_child() {
            child.gone(task, &mut |parent| self.push_resume(parent));
        }
    }

    /// Releases the slot of a task, if it has one. Returns its record, which may be the last
    /// reference.
    #[inline(always)]
    fn dismiss(&self, task: &Task) -> Option<TaskRef> {
        let index = task.index.replace(NO_INDEX);
        task.wait.set(0);
        (index != NO_INDEX).then(|| self.tasks.remove(index))
    }

    /// Recycles the stack of a task that has ended, and returns its record.
    #[inline(never)]
    pub(super) fn reap(&self, task: &Task) -> Option<TaskRef> {
        let stack = switch::reclaim(&task.fiber);
        self.stacks.give_back(stack);
        let record = self.dismiss(task)?;
        self.gone(task);
        if self.main.has_urgent() {
            // The task's end has raised a system error in main: main comes first, the rest of the
            // end is queued.
            self.push(Item::Bury(record.clone()));
        } else {
            record.task.dead.set(true);
        }
        if let Some(death_waiter) = self.main.take_death_waiter() {
            self.wake(death_waiter);
        }
        Some(record)
    }

    /// Creates the fiber of a task that is about to run for the first time. Returns `false` when
    /// there is no stack for it.
    #[inline(never)]
    pub(super) fn begin(&self, task: TaskPtr) -> bool {
        if let Some(cold) = task.cold_if_used() {
            cold.start_timer.set(None);
        }
        self.thread_exit.renew();
        match self.stacks.take(task.stack_size) {
            Ok(stack) => {
                task.state.set(State::Running);
                if switch::COUNTS_APART {
                    // In this build each fiber is a thread of its own.
                    let hub_handle = current::hub_handle(self.number());
                    switch::make(&task.fiber, &task.overflow, stack, move || {
                        current::adopt(hub_handle);
                        run_body();
                    });
                } else {
                    switch::make(&task.fiber, &task.overflow, stack, run_body);
                }
                true
            }
            Err(error) => {
                self.refuse(task, error);
                false
            }
        }
    }

    /// Ends a task that gets no stack.
    #[cold]
    // A pointer: the record may be gone when this returns.
    fn refuse(&self, task: TaskPtr, error: StackError) {
        let Some(record) = self.dismiss(&task) else { return };
        record.task.dead.set(true);
        // In the hub no interrupt arrives in between.
        let _ = self.discard(&record);
        self.record_end(&record, Some(Failure::raised(Exception::new(error))));
        self.gone(&record.task);
    }

    pub(crate) fn stack_stats(&self) -> StackStats {
        self.stacks.stats()
    }

    pub(crate) fn trim_stacks(&self) {
        self.stacks.trim();
    }

    pub(crate) fn add_spawn_callback(&self, callback: SpawnCallback) -> u64 {
        let number = self.new_number();
        self.hooks.add_spawn_callback(number, callback);
        number
    }

    pub(crate) fn remove_spawn_callback(&self, number: u64) -> bool {
        self.hooks.remove_spawn_callback(number).is_some()
    }

    #[cold]
    fn tell_spawn_callbacks(&self, record: &TaskRef) {
        let greenlet = AnyGreenlet::from(record);
        for callback in self.hooks.spawn_callbacks() {
            self.as_hub(|| {
                self.call(|| ErrorContext::SpawnCallback, || callback(&greenlet));
                // Perhaps the last reference to the callback, if the callback has removed itself.
                self.call(|| ErrorContext::SpawnCallback, || drop(callback));
            });
        }
    }
}

/// The body of every fiber: runs the body of the task that was switched to, to its end.
fn run_body() {
    let core = current::core();
    let record = core.current();
    let result = record.body().run();
    if matches!(result, Ok(Ok(()))) && core.value_stays(&record) {
        core.finish(&record, None);
    } else {
        core.finish_otherwise(&record, result);
    }
}
