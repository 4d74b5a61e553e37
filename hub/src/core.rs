//! The state of one thread's hub, and the only place that resumes a greenlet.
//!
//! Everything here is plain single-threaded state in cells. No borrow is held while a closure of the user runs or
//! a greenlet is switched to: take out what is needed, let go, then call.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::{Location, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::callback::CallbackState;
use crate::current;
use crate::error::{BlockingSwitchOutError, LoopExit};
use crate::exception::{Exception, Failure};
use crate::greenlet::AnyGreenlet;
use crate::inbox::{Inbox, Message};
use crate::links::{LinkId, Notified, Pass};
use crate::poller::{Poller, SourceId};
use crate::report::{self, ErrorContext, Reports};
use crate::spawn::SpawnCallback;
use crate::stack::StackPool;
use crate::stack::overflow;
use crate::switch;
use crate::task::{Kind, NO_INDEX, NoBody, Posture, Record, State, Task, TaskRef, Throw, Token, Verdict};
use crate::tasks::{Resident, Tasks};
use crate::timeout::{SpareTimeout, TimeoutState};
use crate::timers::{TimerId, Timers};
use crate::unwind::{Escape, Raised, guard, guard_drop};
use crate::watcher::{Watch, Watches};

/// Who has the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Main,
    Greenlet,
    Hub,
}

/// One entry of the callback queue.
pub(crate) enum Item {
    /// Resume a task, if it is still in this wait.
    Resume(Token),
    /// A wait's own limit was reached.
    Limit(Token),
    /// A scope timeout is due.
    Timeout(Rc<TimeoutState>),
    /// Serve links.
    Notify(Notified, u64),
    /// Throw into tasks, then wake the one who asked.
    Throw(Box<(Vec<TaskRef>, Exception, Option<Token>)>),
    /// Tell tasks that what they wait on was closed.
    Close(Vec<Token>),
    /// Run a callback.
    Call(Rc<CallbackState>),
    /// Run a closure that another thread posted.
    Posted(Box<dyn FnOnce() + Send>),
    /// Call the link to a shared object that has this number.
    SharedLink(u64),
    /// The rest of a death that was interrupted by a system error.
    Bury(TaskRef),
}

// The largest kind sets the size of all, and nearly all are small: the large and rare are boxed.
const _: () = assert!(size_of::<Item>() <= 32);

impl Item {
    pub(crate) fn throw(into: Vec<TaskRef>, exception: Exception, killer: Option<Token>) -> Item {
        Item::Throw(Box::new((into, exception, killer)))
    }
}

impl From<Message> for Item {
    fn from(message: Message) -> Self {
        match message {
            Message::Call(f) => Item::Posted(f),
            Message::Wake(token) => Item::Resume(token),
            Message::Link(number) => Item::SharedLink(number),
        }
    }
}

/// What is left to do in the turn of one item, before the next one's.
pub(crate) enum Step {
    Wake(Token, Verdict),
    Throw(TaskRef, Throw),
    Serve(Pass),
}

/// What a timer does when it is due.
pub(crate) enum Expiry {
    /// Resume a sleeper, or begin a delayed greenlet.
    Wake(Token),
    /// End a wait by its own limit.
    Limit(Token),
    /// Fire a scope timeout.
    Timeout(Rc<TimeoutState>),
    /// Call a watcher.
    Watch(Rc<Watch>),
}

/// A timer's payload.
pub(crate) struct Alarm {
    pub(crate) expiry: Expiry,
    /// Whether it keeps the loop alive.
    pub(crate) keeps: bool,
}

/// Something that is due in this iteration.
pub(crate) enum Event {
    Wake(Token),
    Limit(Token),
    Timeout(Rc<TimeoutState>),
    Watch(Rc<Watch>),
    Link(SourceId, u64, Rc<crate::poller::LinkCell>),
}

/// Where an iteration of the loop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Prepare,
    Callbacks,
    Poll,
    Invoke,
}

/// How many operations on ready sources a greenlet may do before it lets others run.
const IO_BUDGET: u32 = 128;

/// The callback pass: how long it may take before the loop polls.
const SWITCH_INTERVAL: Duration = Duration::from_millis(5);

/// One thread's hub.
pub(crate) struct Core {
    pub(crate) number: u64,
    epoch: Instant,
    pub(crate) mode: Cell<Mode>,
    pub(crate) phase: Cell<Phase>,
    pub(crate) main: TaskRef,
    pub(crate) tasks: Tasks,
    pub(crate) queue: RefCell<VecDeque<Item>>,
    pub(crate) agenda: RefCell<VecDeque<Step>>,
    pub(crate) events: RefCell<VecDeque<Event>>,
    pub(crate) timers: RefCell<Timers<Alarm>>,
    pub(crate) spare_timeout: SpareTimeout,
    /// Running timers that do not keep the loop alive.
    pub(crate) unref_timers: Cell<usize>,
    /// Whatever else keeps the loop alive: waits for sources, watchers, keep-alive guards.
    pub(crate) refs: Cell<usize>,
    pub(crate) poller: RefCell<Poller>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) watches: Watches,
    pub(crate) idlers: RefCell<VecDeque<Token>>,
    stacks: RefCell<StackPool>,
    /// Main's wait is over: the loop returns to it.
    pub(crate) main_resumed: Cell<bool>,
    /// How often main has gone on after the loop ran.
    pub(crate) drives: Cell<u64>,
    /// How many frames of main are lent.
    pub(crate) lent: Cell<usize>,
    /// Main waits for the loop to run dry.
    pub(crate) main_joins: Cell<bool>,
    /// Exceptions for main that go before everything else.
    pub(crate) urgent: RefCell<VecDeque<Exception>>,
    next_wait: Cell<u64>,
    next_number: Cell<u64>,
    pub(crate) items_run: Cell<u32>,
    pub(crate) pass_limit: Cell<u64>,
    pub(crate) switch_interval: Cell<u64>,
    pub(crate) loop_now: Cell<u64>,
    pub(crate) iterations: Cell<u64>,
    /// std counted a panic on this thread when the present task was resumed.
    pub(crate) resumed_panicking: Cell<bool>,
    /// Parked tasks that are known to be unwinding.
    pub(crate) unwinding: Cell<usize>,
    /// Tasks with a throw that waits for their unwinding to end.
    pub(crate) deferred: RefCell<Vec<TaskRef>>,
    /// Main waits for any greenlet's death.
    pub(crate) mourner: Cell<Option<Token>>,
    io_budget: Cell<u32>,
    pub(crate) reports: Reports,
    pub(crate) spawn_callbacks: RefCell<Vec<(u64, SpawnCallback)>>,
    /// Ident numbers: those given back, and the next new one.
    pub(crate) free_idents: RefCell<BinaryHeap<Reverse<u32>>>,
    pub(crate) next_ident: Cell<u32>,
    pub(crate) waiters: crate::remote::Waiters,
    pub(crate) gates: crate::lend::Gates,
    pub(crate) replies: crate::reply::Replies,
    /// Who waits here for what other threads do too.
    pub(crate) abroad: crate::shared::Abroad,
    #[cfg(unix)]
    pub(crate) fds: crate::io::FdTable,
    _alt_stack: Option<overflow::AltStack>,
}

impl Core {
    pub(crate) fn new() -> Rc<Core> {
        overflow::install();
        let (poller, waker) =
            Poller::new().expect("the system has a poll facility and descriptors left for it");
        let mut main = Task::new(Kind::Main, Location::caller(), 0);
        main.state = Cell::new(State::Running);
        main.hub = Cell::new(crate::thread_bound::hub_number());
        let main: TaskRef = Rc::new(Record { task: main, body: NoBody });
        Rc::new(Core {
            number: crate::thread_bound::hub_number(),
            epoch: Instant::now(),
            mode: Cell::new(Mode::Main),
            phase: Cell::new(Phase::Prepare),
            tasks: Tasks::new(&main),
            main,
            queue: RefCell::new(VecDeque::new()),
            agenda: RefCell::new(VecDeque::new()),
            events: RefCell::new(VecDeque::new()),
            timers: RefCell::new(Timers::new()),
            spare_timeout: SpareTimeout::default(),
            unref_timers: Cell::new(0),
            refs: Cell::new(0),
            poller: RefCell::new(poller),
            inbox: Inbox::new(waker),
            watches: Watches::default(),
            idlers: RefCell::new(VecDeque::new()),
            stacks: RefCell::new(StackPool::new()),
            main_resumed: Cell::new(false),
            drives: Cell::new(0),
            lent: Cell::new(0),
            main_joins: Cell::new(false),
            urgent: RefCell::new(VecDeque::new()),
            // Waits, links and waiters of an earlier hub of this thread are none of this one's.
            next_wait: Cell::new((crate::thread_bound::hub_number() << 32) + 1),
            next_number: Cell::new((crate::thread_bound::hub_number() << 32) + 1),
            items_run: Cell::new(0),
            pass_limit: Cell::new(0),
            switch_interval: Cell::new(nanos(SWITCH_INTERVAL)),
            loop_now: Cell::new(0),
            iterations: Cell::new(0),
            resumed_panicking: Cell::new(false),
            unwinding: Cell::new(0),
            deferred: RefCell::new(Vec::new()),
            mourner: Cell::new(None),
            io_budget: Cell::new(IO_BUDGET),
            reports: Reports::default(),
            spawn_callbacks: RefCell::new(Vec::new()),
            free_idents: RefCell::new(BinaryHeap::new()),
            next_ident: Cell::new(0),
            waiters: crate::remote::Waiters::default(),
            gates: crate::lend::Gates::default(),
            replies: crate::reply::Replies::default(),
            abroad: crate::shared::Abroad::default(),
            #[cfg(unix)]
            fds: crate::io::FdTable::default(),
            _alt_stack: overflow::ensure_alt_stack(),
        })
    }

    /// Ends the hub: nothing can be posted any more. Returns how many greenlets are left unfinished.
    pub(crate) fn close(&self) -> usize {
        for message in self.inbox.close() {
            guard_drop(message);
        }
        self.gates.take().into_values().for_each(|gate| gate.close());
        // After that: a wake that is refused from now on finds its waiter leaving.
        self.abroad.forsake_all();
        // In any case, as what it holds may be owed to other threads.
        let (posted, queue): (VecDeque<_>, _) =
            self.queue.take().into_iter().partition(|item| matches!(item, Item::Posted(_)));
        posted.into_iter().for_each(guard_drop);
        self.queue.replace(queue);
        let unfinished = self.tasks.len() - 1;
        if unfinished == 0 {
            // Here a panic would end the process, and in the hub's own destructor it would.
            self.agenda.take().into_iter().for_each(guard_drop);
            self.queue.take().into_iter().for_each(guard_drop);
            self.events.take().into_iter().for_each(guard_drop);
            guard_drop(std::mem::replace(&mut *self.timers.borrow_mut(), Timers::new()));
            guard_drop(self.watches.take());
            self.replies.take().into_iter().for_each(guard_drop);
            self.spawn_callbacks.take().into_iter().for_each(guard_drop);
            guard_drop(self.reports.handler.take());
            // The panic hook has told it.
            self.main.task.locals.clear(Escape::let_go);
        }
        unfinished
    }

    // --- time ---------------------------------------------------------------------------------------------------

    /// The time of the clock, in nanoseconds since this hub was made.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.epoch.elapsed())
    }

    /// A time of the clock as the hub counts it; what lies before the hub's birth is 0.
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.epoch))
    }

    /// The time `after` from now.
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(nanos(after))
    }

    // Not inlined: the frame of a wait is as small as it can be, since for many that wait it is far from the cache.
    #[inline(never)]
    pub(crate) fn start_timer(&self, deadline: u64, expiry: impl FnOnce() -> Expiry, keeps: bool) -> TimerId {
        if !keeps {
            self.unref_timers.set(self.unref_timers.get() + 1);
        }
        self.timers.borrow_mut().start_with(deadline, || Alarm { expiry: expiry(), keeps })
    }

    pub(crate) fn cancel_timer(&self, id: TimerId) {
        // Bound first: the payload's destructor runs after the borrow has ended.
        let alarm = self.timers.borrow_mut().cancel(id);
        if let Some(alarm) = alarm {
            self.forget_alarm(&alarm);
        }
    }

    /// Keeps the count of a timer that has stopped, by firing or by being cancelled.
    pub(crate) fn forget_alarm(&self, alarm: &Alarm) {
        if !alarm.keeps {
            self.unref_timers.set(self.unref_timers.get() - 1);
        }
    }

    // --- who runs -----------------------------------------------------------------------------------------------

    /// The running task; in the hub, that of main, on whose stack the hub runs.
    pub(crate) fn current(&self) -> TaskRef {
        self.tasks.current()
    }

    pub(crate) fn in_hub(&self) -> bool {
        self.mode.get() == Mode::Hub
    }

    /// Runs `f`, which does not unwind, under the rules of the hub: whatever waits in it is refused.
    pub(crate) fn as_hub<R>(&self, f: impl FnOnce() -> R) -> R {
        let mode = self.mode.replace(Mode::Hub);
        let result = f();
        self.mode.set(mode);
        result
    }

    /// A new wait of the running task, for those who are to wake it. It begins with [`park`](Core::park).
    pub(crate) fn token(&self) -> Token {
        Token { index: self.tasks.running().index.get(), wait: self.new_wait() }
    }

    fn new_wait(&self) -> u64 {
        let wait = self.next_wait.get();
        self.next_wait.set(wait + 1);
        wait
    }

    /// How many waits have begun in this hub, the starts of greenlets among them.
    pub(crate) fn waits_begun(&self) -> u64 {
        self.next_wait.get() - (self.number << 32) - 1
    }

    /// A number that no other link or ticket of this hub has.
    pub(crate) fn new_number(&self) -> u64 {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        number
    }

    pub(crate) fn new_link(&self) -> LinkId {
        LinkId(self.new_number())
    }

    /// Suspends the running task until its wait is ended by somebody who holds the token.
    ///
    /// Raises what was thrown into it instead of returning, so whoever registered the token cleans up by a guard.
    pub(crate) fn park(&self, token: Token, reason: &'static str) -> Verdict {
        if self.in_hub() {
            self.refuse();
        }
        let task = self.tasks.running();
        let posture = self.posture(&task);
        task.posture.set(posture);
        if posture == Posture::Calm && task.has_masked() && !task.shielded.get() {
            self.raise_masked(&task);
        }
        task.reason.set(reason);
        task.wait.set(token.wait);
        if posture == Posture::Unwinding {
            self.unwinding.set(self.unwinding.get() + 1);
        }
        if task.kind == Kind::Main {
            if !self.urgent.borrow().is_empty() {
                // Raised by main itself, or put off by a destructor of main: nobody else would deliver it.
                self.deliver_urgent();
            }
            self.drive();
            self.resumed_panicking.set(thread::panicking());
            self.io_budget.set(IO_BUDGET);
        } else {
            switch::suspend(&task);
        }
        if posture == Posture::Unwinding {
            self.unwinding.set(self.unwinding.get() - 1);
        }
        if task.shielded.get() {
            return task.verdict.get();
        }
        if let Some(exception) = task.thrown.take() {
            task.rare().delivered.set(Some(exception.clone()));
            self.raise(exception);
        }
        task.verdict.get()
    }

    /// Refuses a wait in the hub.
    #[cold]
    pub(crate) fn refuse(&self) -> ! {
        if thread::panicking() {
            report::write("ramie: a destructor that waits runs while a callback of the hub unwinds\n");
        }
        self.raise(Exception::new(BlockingSwitchOutError))
    }

    /// Puts the running task at the tail of the queue: everything that is queued already runs first.
    pub(crate) fn yield_now(&self) {
        if self.in_hub() {
            self.refuse();
        }
        let token = self.token();
        self.push_resume(token);
        self.park(token, "sleep(0)");
    }

    /// Counts an operation that did not have to wait; lets others run when the budget is used up.
    pub(crate) fn spend_io(&self) {
        let left = self.io_budget.get();
        if left > 0 {
            self.io_budget.set(left - 1);
        } else if !self.in_hub() {
            self.io_budget.set(IO_BUDGET);
            self.yield_now();
        }
    }

    /// Unwinds the running greenlet with an exception.
    pub(crate) fn raise(&self, exception: Exception) -> ! {
        let in_main = self.mode.get() == Mode::Main;
        if !self.in_hub() {
            let task = self.tasks.running();
            task.raised.set(true);
            task.raises.set(task.raises.get() + 1);
        }
        if cfg!(panic = "abort") {
            report::write(&format!(
                "ramie: cannot raise with panic = \"abort\", so the process ends: {exception}\n"
            ));
        }
        resume_unwind(Box::new(Raised::new(exception, in_main)))
    }

    /// The running greenlet has caught what it raised.
    pub(crate) fn caught(&self) {
        if !self.in_hub() {
            self.tasks.running().raised.set(false);
        }
    }

    // --- the queue ----------------------------------------------------------------------------------------------

    pub(crate) fn push(&self, item: Item) {
        self.queue.borrow_mut().push_back(item);
    }

    /// Queues the end of a wait, or the beginning of a greenlet: nearly all items are one.
    ///
    /// The item is made where nothing can unwind any more, so that it is written in its place. Made earlier it would be
    /// copied from the stack, and the copying would wait for the writing to arrive.
    #[inline]
    pub(crate) fn push_resume(&self, token: Token) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() == queue.capacity() {
            queue.reserve(1);
        }
        if queue.len() < queue.capacity() {
            queue.push_back(Item::Resume(token));
        }
    }

    /// Ends the wait of a greenlet: at once if the hub itself says so, else in the token's turn of the queue.
    pub(crate) fn wake(&self, token: Token) {
        if self.in_hub() {
            self.agenda.borrow_mut().push_front(Step::Wake(token, Verdict::Woken));
        } else {
            self.push_resume(token);
        }
    }

    /// Queues a pass over somebody's links, unless one is under way or nobody is there.
    pub(crate) fn notify(&self, of: Notified) {
        let ticket = self.new_number();
        if of.links().begin_queue(ticket) {
            self.push(Item::Notify(of, ticket));
        }
    }

    // --- life and death -----------------------------------------------------------------------------------------

    /// Gives a created task its place; it begins when its first token is resumed.
    pub(crate) fn admit(&self, record: &TaskRef) -> Token {
        self.tasks.insert(record);
        record.task.hub.set(self.number);
        record.task.state.set(State::Started);
        record.task.wait.set(self.new_wait());
        self.tell_spawn_callbacks(record);
        record.task.token()
    }

    /// Ends a task that has not run and now never will.
    pub(crate) fn kill_unrun(&self, record: &TaskRef, exception: Exception) {
        let task = &record.task;
        if task.of_another(self.number) || task.dead.replace(true) {
            // A destructor of the closure waits: the end that it belongs to is under way.
            return;
        }
        if let Some(timer) = task.start_timer.take() {
            self.cancel_timer(timer);
        }
        self.dismiss(task);
        let interrupted = self.discard(record);
        self.record_end(record, Some(Failure::raised(exception)));
        self.gone(task);
        if let Some(exception) = interrupted {
            self.raise(exception);
        }
    }

    /// Drops the closure of a task that never runs. Its destructors may wait: what was thrown into the running task
    /// meanwhile is returned, to be raised again; what they fail with themselves is reported.
    fn discard(&self, record: &TaskRef) -> Option<Exception> {
        let escape = guard(|| record.body.discard()).err()?;
        if let Escape::Exception(exception) = &escape {
            let delivered = self.tasks.running().rare().delivered.take();
            if delivered.is_some_and(|delivered| delivered.same(exception)) {
                return Some(exception.clone());
            }
        }
        self.report(&ErrorContext::Destructor, escape);
        None
    }

    /// The last thing a greenlet does on its own stack.
    pub(crate) fn finish(&self, record: &TaskRef, failure: Option<Failure>) {
        self.record_end(record, failure);
        record.task.locals.clear(|escape| self.report(&ErrorContext::Destructor, escape));
    }

    /// Records the result, queues the links, reports a failure: in gevent's order.
    fn record_end(&self, record: &TaskRef, failure: Option<Failure>) {
        let task = &record.task;
        task.raised.set(false);
        if let Some(failure) = &failure {
            let _ = task.failure.set(failure.clone());
        }
        task.state.set(State::Ready);
        self.notify(Notified::Greenlet(record.clone()));
        if let Some(failure) = failure.filter(|failure| !failure.is_exit()) {
            let greenlet = AnyGreenlet::from(record);
            let context = match task.kind {
                Kind::Raw => ErrorContext::Raw(greenlet),
                _ => ErrorContext::Greenlet(greenlet),
            };
            self.handle_error(&context, &failure);
        }
    }

    /// Takes the place away from a task that has one. Returns its record: the last of it, perhaps.
    fn dismiss(&self, task: &Task) -> Option<TaskRef> {
        let index = task.index.replace(NO_INDEX);
        task.wait.set(0);
        (index != NO_INDEX).then(|| self.tasks.remove(index))
    }

    /// Recycles the stack of a task that has ended, and returns its record.
    #[inline(never)]
    fn reap(&self, task: &Task) -> Option<TaskRef> {
        let stack = switch::reclaim(task);
        self.stacks.borrow_mut().give_back(stack);
        let record = self.dismiss(task)?;
        self.gone(task);
        if self.urgent.borrow().is_empty() {
            record.task.dead.set(true);
        } else {
            // Its death has raised a system error in main: main goes first, the rest of the death is queued.
            self.push(Item::Bury(record.clone()));
        }
        if let Some(mourner) = self.mourner.take() {
            self.wake(mourner);
        }
        Some(record)
    }

    // --- switching: only the hub calls these --------------------------------------------------------------------

    /// Resumes a task if it is still in the wait that the token names.
    // Inlined into the loop with `switch_to`, as `switch::resume` is and for the same reason.
    #[inline(always)]
    pub(crate) fn resume(&self, token: Token, verdict: Verdict) {
        if let Some(task) = self.tasks.parked(token) {
            task.verdict.set(verdict);
            self.switch_to(task);
        }
    }

    /// Switches to a task and comes back when it waits again or has ended; main is only marked.
    #[inline(always)]
    pub(crate) fn switch_to(&self, task: Resident) {
        task.wait.set(0);
        if task.kind == Kind::Main {
            self.main_resumed.set(true);
            return;
        }
        if task.state.get() == State::Started && !self.begin(&task) {
            return;
        }
        self.io_budget.set(IO_BUDGET);
        self.resumed_panicking.set(thread::panicking());
        self.mode.set(Mode::Greenlet);
        self.tasks.enter(task);
        let done = switch::resume(&task);
        self.tasks.leave();
        self.mode.set(Mode::Hub);
        let ended = if done { self.reap(&task) } else { None };
        if !self.urgent.borrow().is_empty() {
            self.deliver_urgent();
        }
        if self.has_deferred() {
            self.retry_deferred();
        }
        // Last, as a value that nobody has asked for may panic when it is dropped.
        drop(ended);
    }

    /// Gives a task that is about to run for the first time its fiber; false when there is no stack for it.
    #[inline(never)]
    fn begin(&self, task: &Task) -> bool {
        task.start_timer.set(None);
        let stack = self.stacks.borrow_mut().take(task.stack_size);
        match stack {
            Ok(stack) => {
                task.state.set(State::Running);
                let passport = current::passport(self.number);
                switch::make(task, stack, move || {
                    current::adopt(passport);
                    run_body();
                });
            }
            Err(error) => {
                let Some(record) = self.dismiss(task) else { return false };
                record.task.dead.set(true);
                // In the hub nothing is thrown into anybody meanwhile.
                let _ = self.discard(&record);
                self.record_end(&record, Some(Failure::raised(Exception::new(error))));
                self.gone(&record.task);
                return false;
            }
        }
        true
    }

    /// Throws into a task, now: it is resumed and raises, unless it has not run, has ended, or is unwinding.
    pub(crate) fn throw(&self, record: TaskRef, throw: Throw) {
        let task = &record.task;
        match task.state.get() {
            _ if task.of_another(self.number) => {}
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
                self.deferred.borrow_mut().push(record);
            }
            State::Running => {
                if cfg!(panic = "abort") {
                    report::write(&format!(
                        "ramie: {} cannot be interrupted with panic = \"abort\"; it runs on, without: {}\n",
                        self.name(&record),
                        throw.exception,
                    ));
                } else if task.shielded.get() {
                    task.mask(throw);
                    self.switch_to(Resident::of(&record));
                } else if throw.claim() {
                    task.thrown.set(Some(throw.exception));
                    self.switch_to(Resident::of(&record));
                }
            }
        }
    }

    pub(crate) fn deliver_urgent(&self) {
        if self.main.task.wait.get() == 0 || self.masked(&self.main.task) {
            return;
        }
        let exception = self.urgent.borrow_mut().pop_front();
        if let Some(exception) = exception {
            if self.main.task.shielded.get() {
                self.main.task.mask(Throw::new(exception));
            } else {
                self.main.task.thrown.set(Some(exception));
            }
            self.switch_to(Resident::of(&self.main));
        }
    }

    /// Nothing is left that could wake main: it learns so, with everybody who is suspended.
    pub(crate) fn run_dry(&self) {
        let main = &self.main.task;
        if self.main_joins.replace(false) {
            self.resume(main.token(), Verdict::Woken);
            return;
        }
        self.interrupt_main(Exception::new(LoopExit { waiting: self.waiting() }));
    }

    /// Raises in main what makes its wait pointless.
    pub(crate) fn interrupt_main(&self, exception: Exception) {
        let main = &self.main.task;
        if self.masked(main) && !main.shielded.get() {
            report::write(&format!(
                "ramie: in a destructor of the main greenlet that unwinds: {exception}\n"
            ));
            std::process::abort();
        }
        main.thrown.set(Some(exception));
        self.switch_to(Resident::of(&self.main));
    }

    // --- sources ------------------------------------------------------------------------------------------------

    pub(crate) fn add_refs(&self, by: isize) {
        self.refs.set(self.refs.get().checked_add_signed(by).expect("references are counted in pairs"));
    }

    /// Runs `f` on a source's slot, if the source is still registered.
    pub(crate) fn with_slot<R>(
        &self,
        id: SourceId,
        f: impl FnOnce(&mut crate::poller::Slot) -> R,
    ) -> Option<R> {
        self.poller.borrow_mut().slot(id).map(f)
    }

    pub(crate) fn stack_stats(&self) -> crate::stack::StackStats {
        self.stacks.borrow().stats()
    }

    pub(crate) fn trim_stacks(&self) {
        self.stacks.borrow_mut().trim();
    }
}

/// What a fiber runs: the body of the task that was switched to, to its end.
fn run_body() {
    let core = current::core();
    let record = core.current();
    let failure = match guard(|| record.body.run()) {
        Ok(Ok(())) => None,
        Ok(Err(exception)) => Some(Failure::raised(exception)),
        Err(escape) => Some(escape.into_failure()),
    };
    core.finish(&record, failure);
}

/// A duration in nanoseconds; more than 584 years is as long as for ever.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}
