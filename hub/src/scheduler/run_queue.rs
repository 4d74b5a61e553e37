//! The queue of all work that is not immediate, and the remaining steps of the present item.
//!
//! Nearly every item ends a wait or starts a greenlet, and is no more than a token. So the queue is
//! a ring of entries of 16 bytes. An item of another kind has an entry too, and lies in a queue
//! beside the ring, in the same order.
//!
//! The wake of the only waiter of an object is a token with a mark: a *direct wake*, in place of a
//! pass over the object's links (rule 6 of [`Links`]).

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::Core;
use super::callback::CallbackState;
use super::driver;
use super::ring::Ring;
use super::unwind::guard_drop;
use crate::exception::Exception;
use crate::inbox::hub_inbox::Message;
use crate::task::{Interrupt, ScopeTimeout, TaskRef, WaitToken, WakeReason, switch};
use crate::task::{Lane, Links, Notification, Notified};

/// An item of the queue.
pub(crate) enum Item {
    /// Resumes a task, if it is still in this wait.
    Resume(WaitToken),
    /// Resumes a task that was the only waiter of an object, if it is still in this wait.
    Direct(WaitToken),
    /// Ends a wait that reached its own limit.
    Limit(WaitToken),
    /// Fires a scope timeout.
    Timeout(Rc<dyn ScopeTimeout>),
    /// Serves links.
    Notify(Notified, u64),
    /// Serves the links of a greenlet that has ended.
    End(TaskRef, u64),
    /// Continues a pass over links that a poll has interrupted.
    Continue(Box<Notification>),
    /// Interrupts tasks, then wakes the caller.
    Throw(Box<(Vec<TaskRef>, Exception, Option<WaitToken>)>),
    /// Ends the waits of tasks on a closed object.
    Close(Vec<WaitToken>),
    /// Runs a callback.
    Call(Rc<CallbackState>),
    /// Runs a closure that another thread posted.
    Posted(Box<dyn FnOnce() + Send>),
    /// Calls the link of this number to a shared object.
    SharedLink(u64),
    /// Marks a task as dead after its SystemExit was delivered to main.
    Bury(TaskRef),
}

impl Item {
    pub(crate) fn throw(into: Vec<TaskRef>, exception: Exception, killer: Option<WaitToken>) -> Item {
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

/// A remaining step of the present item, taken before the next item.
pub(super) enum Step {
    Wake(WaitToken, WakeReason),
    Throw(TaskRef, Interrupt),
    Serve(Notification),
}

/// The place of an item in the queue.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The wait that the item ends; the ticket of the pass for [`END`].
    wait: u64,
    /// The slot of the task in that wait, with the mark [`DIRECT`] for a direct wake; or [`END`] or
    /// [`OTHER`].
    index: u32,
}

/// The mark of a direct wake.
const DIRECT: u32 = 1 << 31;

/// The slot in the entry of a pass over the links of a greenlet that has ended.
const END: u32 = u32::MAX - 1;

/// The slot in the entry of an item that does something else.
const OTHER: u32 = u32::MAX;

impl Entry {
    /// Returns the wait that the item ends, if it does nothing else.
    #[inline(always)]
    pub(super) fn token(self) -> Option<WaitToken> {
        (self.index < END).then_some(WaitToken { index: self.index & !DIRECT, wait: self.wait })
    }

    #[inline(always)]
    pub(super) fn is_direct(self) -> bool {
        self.index >= DIRECT
    }
}

const _: () = assert!(size_of::<Entry>() == 16);

/// The items in the order of their turns, and the agenda: the remaining steps of the present item.
pub(super) struct RunQueue {
    entries: Ring<Entry>,
    /// The items of the entries that end no wait, in the order of these entries.
    others: RefCell<VecDeque<Item>>,
    /// The greenlets of the entries [`END`], in the order of these entries.
    ended: RefCell<VecDeque<TaskRef>>,
    /// The wait that the last direct wake has ended, while its task runs; otherwise 0.
    served: Cell<u64>,
    /// The direct wake of main whose turn came while main could not run, below a nested wait.
    held: Cell<Option<WaitToken>>,
    /// The passes that direct wakes have become, with their tickets, by the wait of the wake.
    passes: RefCell<HashMap<u64, (Notified, u64)>>,
    /// The number of steps, to be read at every turn of the loop.
    steps: Cell<usize>,
    agenda: RefCell<VecDeque<Step>>,
}

impl RunQueue {
    pub(super) fn new() -> RunQueue {
        RunQueue {
            entries: Ring::new(),
            others: RefCell::default(),
            ended: RefCell::default(),
            served: Cell::new(0),
            held: Cell::new(None),
            passes: RefCell::default(),
            steps: Cell::new(0),
            agenda: RefCell::default(),
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Queues the end of a wait. Does nothing for a task without a slot: it was killed before its
    /// start was queued.
    #[inline(always)]
    pub(super) fn push_resume(&self, token: WaitToken) {
        if token.index < DIRECT {
            self.push_entry(Entry { wait: token.wait, index: token.index });
        }
    }

    /// Queues the direct wake of a waiter.
    #[inline(always)]
    fn push_direct(&self, token: WaitToken) {
        debug_assert!(token.index < DIRECT, "a task that waits has a slot");
        self.push_entry(Entry { wait: token.wait, index: token.index | DIRECT });
    }

    #[inline(always)]
    fn push_entry(&self, entry: Entry) {
        if !self.entries.try_push_back(entry) {
            self.push_entry_slowly(entry, Ring::try_push_back);
        }
    }

    fn push_entry_front(&self, entry: Entry) {
        if !self.entries.try_push_front(entry) {
            self.push_entry_slowly(entry, Ring::try_push_front);
        }
    }

    /// Adds an entry to the ring while that is full or armed, and wakes the driver if it is armed.
    // The queue is as it must be before the driver's waker, which is user code, runs.
    #[cold]
    #[inline(never)]
    fn push_entry_slowly(&self, entry: Entry, push: fn(&Ring<Entry>, Entry) -> bool) {
        self.entries.make_room();
        let added = push(&self.entries, entry);
        debug_assert!(added, "there is room now");
        driver::alert();
    }

    #[inline]
    pub(super) fn push(&self, item: Item) {
        match item {
            Item::Resume(token) => self.push_resume(token),
            Item::End(record, ticket) => self.push_end(record, ticket),
            other => {
                self.others.borrow_mut().push_back(other);
                self.push_entry(Entry { wait: 0, index: OTHER });
            }
        }
    }

    /// Queues a pass over the links of a greenlet that has ended.
    #[inline(always)]
    fn push_end(&self, record: TaskRef, ticket: u64) {
        self.ended.borrow_mut().push_back(record);
        self.push_entry(Entry { wait: ticket, index: END });
    }

    /// Queues an item that comes before all others.
    #[inline]
    pub(super) fn push_front(&self, item: Item) {
        self.others.borrow_mut().push_front(item);
        self.push_entry_front(Entry { wait: 0, index: OTHER });
    }

    /// Returns the next item, if it ends a wait and does nothing else.
    #[inline(always)]
    pub(super) fn next_resume(&self) -> Option<Entry> {
        let entry = self.entries.get(0)?;
        let ends_wait = !entry.is_direct() || entry.index < END && self.passes.borrow().is_empty();
        ends_wait.then_some(entry)
    }

    /// Removes the item that [`next_resume`](RunQueue::next_resume) has returned.
    #[inline(always)]
    pub(super) fn drop_resume(&self) {
        self.entries.drop_front();
    }

    /// Returns the waits that the next two items end.
    #[inline(always)]
    pub(super) fn ahead(&self) -> [Option<WaitToken>; 2] {
        [0, 1].map(|behind| self.entries.get(behind)?.token())
    }

    /// Takes the next item, if it is a pass over the links of a greenlet that has ended.
    #[inline(always)]
    pub(super) fn pop_end(&self) -> Option<(TaskRef, u64)> {
        let entry = self.entries.get(0).filter(|entry| entry.index == END)?;
        self.entries.drop_front();
        let record = self.ended.borrow_mut().pop_front()?;
        Some((record, entry.wait))
    }

    /// Takes the next item of any kind.
    pub(super) fn pop(&self) -> Option<Item> {
        if let Some((record, ticket)) = self.pop_end() {
            return Some(Item::End(record, ticket));
        }
        let entry = self.entries.pop_front()?;
        match entry.token() {
            None => self.others.borrow_mut().pop_front(),
            Some(token) if entry.is_direct() => {
                Some(self.pop_pass(entry.wait).unwrap_or(Item::Direct(token)))
            }
            Some(token) => Some(Item::Resume(token)),
        }
    }

    /// Takes the pass that the direct wake of this wait has become.
    fn pop_pass(&self, wait: u64) -> Option<Item> {
        let (of, ticket) = self.passes.borrow_mut().remove(&wait)?;
        Some(Item::Notify(of, ticket))
    }

    /// Makes the direct wake of this wait a pass, at the same position.
    fn replace_direct(&self, wait: u64, of: Notified, ticket: u64) {
        self.passes.borrow_mut().insert(wait, (of, ticket));
    }

    /// Holds a direct wake back.
    pub(super) fn hold(&self, token: WaitToken) {
        self.held.set(Some(token));
    }

    /// Queues the direct wake that was held back, before all other items.
    pub(super) fn release_held(&self) {
        if let Some(token) = self.held.take() {
            self.push_entry_front(Entry { wait: token.wait, index: token.index | DIRECT });
        }
    }

    /// Takes the direct wake that was held back, if it is that of this wait.
    fn take_held(&self, wait: u64) -> bool {
        let held = self.held.get().is_some_and(|token| token.wait == wait);
        if held {
            self.held.set(None);
        }
        held
    }

    /// Makes the next item that is added wake the driver. The queue must be empty.
    pub(super) fn arm(&self) {
        self.entries.arm();
    }

    /// Undoes [`arm`](RunQueue::arm).
    pub(super) fn disarm(&self) {
        self.entries.make_room();
    }

    /// Records that a direct wake resumes its task now.
    #[inline(always)]
    pub(super) fn begin_serving(&self, wait: u64) {
        self.served.set(wait);
    }

    /// Records that the running task waits again or has ended.
    #[inline(always)]
    pub(super) fn end_serving(&self) {
        self.served.set(0);
    }

    /// Returns `true` if steps of the present item remain.
    #[inline(always)]
    pub(super) fn has_steps(&self) -> bool {
        self.steps.get() > 0
    }

    #[inline(always)]
    pub(super) fn pop_step(&self) -> Option<Step> {
        if self.has_steps() { self.pop_some_step() } else { None }
    }

    #[inline]
    fn pop_some_step(&self) -> Option<Step> {
        self.steps.set(self.steps.get() - 1);
        self.agenda.borrow_mut().pop_front()
    }

    /// Prefetches for the next two throws, if there are at least this many steps: the record of the
    /// next but one, and the stack of the next one.
    #[inline(never)]
    pub(super) fn fetch_thrown(&self, threshold: usize) {
        let agenda = self.agenda.borrow();
        if agenda.len() < threshold {
            return;
        }
        if let Some(Step::Throw(record, _)) = agenda.get(1) {
            record.task.fetch();
        }
        if let Some(Step::Throw(record, _)) = agenda.front() {
            switch::fetch_stack(&record.task.fiber);
        }
    }

    /// Adds a step that comes before all others.
    #[inline(always)]
    pub(super) fn push_step_front(&self, step: Step) {
        self.steps.set(self.steps.get() + 1);
        self.agenda.borrow_mut().push_front(step);
    }

    pub(super) fn push_step(&self, step: Step) {
        self.steps.set(self.steps.get() + 1);
        self.agenda.borrow_mut().push_back(step);
    }

    /// Drops every step and every item. Their values are user values.
    pub(super) fn close(&self) {
        self.steps.set(0);
        self.agenda.take().into_iter().for_each(guard_drop);
        self.entries.clear();
        self.passes.take().into_iter().for_each(guard_drop);
        self.others.take().into_iter().for_each(guard_drop);
        self.ended.take().into_iter().for_each(guard_drop);
    }
}

impl Core {
    pub(crate) fn push(&self, item: Item) {
        self.queue.push(item);
    }

    /// Queues the end of a wait, or the start of a greenlet, which nearly all items are.
    #[inline]
    pub(crate) fn push_resume(&self, token: WaitToken) {
        self.queue.push_resume(token);
    }

    /// Returns the number of queued items.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Ends the wait of a greenlet: at once if the hub calls it, otherwise in the token's turn of
    /// the queue.
    pub(crate) fn wake(&self, token: WaitToken) {
        if self.in_hub() {
            // A callback of the hub may be running on the stack of a greenlet.
            self.pace.call_for_loop();
            self.queue.push_step_front(Step::Wake(token, WakeReason::Woken));
        } else {
            self.push_resume(token);
        }
    }

    /// Interrupts a task before everything that is queued. Returns the wait that ends afterwards;
    /// none in the hub, where the interrupt comes next.
    pub(crate) fn throw_first(&self, record: TaskRef, exception: Exception) -> Option<WaitToken> {
        if self.in_hub() {
            self.pace.call_for_loop();
            self.queue.push_step_front(Step::Throw(record, Interrupt::new(exception)));
            return None;
        }
        let token = self.token();
        self.queue.push_front(Item::throw(vec![record], exception, Some(token)));
        Some(token)
    }

    /// Queues a pass over the links of an object, unless one is queued or running or there are no
    /// links.
    #[inline]
    pub(crate) fn notify(&self, links: &Links, of: impl FnOnce() -> Notified) {
        if links.is_empty() || links.notifying() {
            return;
        }
        // The waiter of a nested wait is not parked, nor is one that an earlier hub has abandoned: only
        // a pass takes their entries out.
        let waiter = links.only_waiter().filter(|(_, token)| self.tasks.parked(*token).is_some());
        if let Some((lane, token)) = waiter {
            links.begin_direct(lane, token);
            self.queue.push_direct(token);
        } else {
            let ticket = self.new_number();
            links.begin_queue(ticket);
            match of() {
                Notified::Greenlet(record) => self.queue.push_end(record, ticket),
                of @ Notified::Object(_) => self.queue.push(Item::Notify(of, ticket)),
            }
        }
    }

    /// Queues the pass over the links of a greenlet that has ended now.
    #[inline(always)]
    pub(crate) fn notify_end(&self, record: &TaskRef) {
        let links = &record.task.links;
        if links.begin_with_observer() {
            debug_assert!(!links.notifying(), "a greenlet ends once, and nothing is notified before");
            let ticket = self.new_number();
            links.begin_queue(ticket);
            self.queue.push_end(record.clone(), ticket);
        } else {
            self.notify(links, || Notified::Greenlet(record.clone()));
        }
    }

    /// Makes the direct wake of an object's waiter, if one is queued or running, an ordinary pass:
    /// entries are about to be added or removed.
    #[inline]
    pub(crate) fn make_pass(&self, links: &Links, of: impl FnOnce() -> Notified) {
        if let Some((lane, wait)) = links.direct() {
            self.replace_direct(links, lane, wait, of);
        }
    }

    #[cold]
    #[inline(never)]
    fn replace_direct(&self, links: &Links, lane: Lane, wait: u64, of: impl FnOnce() -> Notified) {
        if self.serves(wait) {
            self.pace.call_for_loop();
            self.queue.push_step_front(Step::Serve(Notification::after_direct(of(), lane)));
            self.alert_driver();
        } else if links.notifying() {
            let ticket = self.new_number();
            links.begin_queue(ticket);
            if self.queue.take_held(wait) {
                self.queue.push_front(Item::Notify(of(), ticket));
            } else {
                self.queue.replace_direct(wait, of(), ticket);
            }
        } else {
            links.end_direct();
        }
    }

    /// Returns `true` if the running task was resumed by the direct wake of this wait, and has not
    /// waited since.
    #[inline(always)]
    pub(crate) fn serves(&self, wait: u64) -> bool {
        self.queue.served.get() == wait
    }
}
