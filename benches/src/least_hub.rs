//! The least hub: coroutines of corosensei, a queue and timers, and nothing else. It shows what the scheduling of
//! stackful coroutines costs at least.
//!
//! It is a yardstick and not a runtime. It catches no panic, polls nothing, names nothing, keeps no result, and its
//! stacks have no guards. A greenlet that is woken twice is resumed twice.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::slots::{Slot, slots};

/// The number of turns between two looks at the clock.
const PASS: u32 = 64;

type Task = Coroutine<(), (), (), Slot>;

/// The greenlet's place in the table of its hub.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Id(usize);

/// The queue, the timers and the table of the greenlets.
pub struct Hub {
    ready: RefCell<VecDeque<Id>>,
    /// A greenlet that runs is not in its place.
    tasks: RefCell<Vec<Option<Task>>>,
    free: RefCell<Vec<Id>>,
    stacks: RefCell<Vec<Slot>>,
    timers: RefCell<BTreeSet<(Instant, Id)>>,
    /// The time of the last look at the clock.
    now: Cell<Instant>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("ready", &self.ready.borrow().len()).finish_non_exhaustive()
    }
}

impl Hub {
    /// Creates a hub for at most this number of greenlets at a time.
    pub fn new(greenlets: usize) -> Rc<Hub> {
        Rc::new(Hub {
            ready: RefCell::default(),
            tasks: RefCell::default(),
            free: RefCell::default(),
            stacks: RefCell::new(slots(greenlets)),
            timers: RefCell::default(),
            now: Cell::new(Instant::now()),
        })
    }

    /// Creates a hub, spawns one greenlet, and runs until all greenlets have ended.
    pub fn block_on(greenlets: usize, body: impl FnOnce(&Greenlet<'_>) + 'static) {
        let hub = Hub::new(greenlets + 1);
        hub.spawn(body);
        hub.run();
    }

    /// Spawns a greenlet. It runs when its turn comes.
    ///
    /// # Panics
    ///
    /// Panics if the hub has no stack left.
    #[inline]
    pub fn spawn(self: &Rc<Hub>, body: impl FnOnce(&Greenlet<'_>) + 'static) -> Join {
        let id = self.free.borrow_mut().pop();
        let id = id.unwrap_or_else(|| {
            let mut tasks = self.tasks.borrow_mut();
            tasks.push(None);
            Id(tasks.len() - 1)
        });
        let end = Rc::new(End { ended: Cell::new(false), joiner: Cell::new(None) });
        let join = Join { id, end: end.clone() };
        let stack = self.stacks.borrow_mut().pop().expect("the hub was made for so many greenlets");
        let hub = self.clone();
        let task = Coroutine::with_stack(stack, move |yielder, ()| {
            body(&Greenlet { hub: &hub, yielder, id });
            end.end(&hub);
        });
        self.tasks.borrow_mut()[id.0] = Some(task);
        self.wake(id);
        join
    }

    /// Puts a greenlet at the end of the queue.
    #[inline]
    pub fn wake(&self, id: Id) {
        self.ready.borrow_mut().push_back(id);
    }

    /// Unwinds a greenlet that waits, and drops what it holds.
    pub fn kill(&self, join: &Join) {
        let task = self.tasks.borrow_mut()[join.id.0].take();
        if let Some(mut task) = task {
            task.force_unwind();
            self.give_back(join.id, task);
            join.end.end(self);
        }
    }

    /// Runs until all greenlets have ended or wait for each other.
    pub fn run(&self) {
        let mut turns = PASS;
        loop {
            let next = self.ready.borrow_mut().pop_front();
            if let Some(id) = next {
                self.resume(id);
                turns -= 1;
            } else if !self.wait() {
                return;
            }
            if turns == 0 {
                turns = PASS;
                self.fire();
            }
        }
    }

    fn resume(&self, id: Id) {
        let task = self.tasks.borrow_mut()[id.0].take();
        let Some(mut task) = task else { return };
        match task.resume(()) {
            CoroutineResult::Yield(()) => self.tasks.borrow_mut()[id.0] = Some(task),
            CoroutineResult::Return(()) => self.give_back(id, task),
        }
    }

    fn give_back(&self, id: Id, task: Task) {
        self.stacks.borrow_mut().push(task.into_stack());
        self.free.borrow_mut().push(id);
    }

    /// Sleeps until the first timer is due. Returns `false` if there is none.
    fn wait(&self) -> bool {
        let first = self.timers.borrow().first().map(|&(deadline, _)| deadline);
        if let Some(deadline) = first {
            thread::sleep(deadline.saturating_duration_since(Instant::now()));
            self.fire();
        }
        first.is_some()
    }

    /// Looks at the clock, and wakes the greenlets whose timers are due.
    fn fire(&self) {
        let now = Instant::now();
        self.now.set(now);
        let mut timers = self.timers.borrow_mut();
        while timers.first().is_some_and(|&(deadline, _)| deadline <= now) {
            if let Some((_, id)) = timers.pop_first() {
                self.wake(id);
            }
        }
    }
}

/// The running greenlet, as its body has it.
pub struct Greenlet<'a> {
    hub: &'a Rc<Hub>,
    yielder: &'a Yielder<(), ()>,
    id: Id,
}

impl fmt::Debug for Greenlet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greenlet").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Greenlet<'_> {
    /// Returns the hub.
    #[inline]
    pub fn hub(&self) -> &Rc<Hub> {
        self.hub
    }

    /// Lets the greenlets that are queued run.
    #[inline]
    pub fn yield_now(&self) {
        self.hub.wake(self.id);
        self.park();
    }

    /// Waits until the greenlet is woken.
    #[inline]
    pub fn park(&self) {
        self.yielder.suspend(());
    }

    /// Waits until the other greenlet has ended.
    #[inline]
    pub fn join(&self, other: &Join) {
        while !other.end.ended.get() {
            other.end.joiner.set(Some(self.id));
            self.park();
        }
    }

    /// Sleeps.
    #[inline]
    pub fn sleep(&self, duration: Duration) {
        self.start_timer(duration);
        self.park();
    }

    /// Runs `f` between the start of a timer and its end. The timer wakes the greenlet.
    #[inline]
    pub fn with_timer<R>(&self, duration: Duration, f: impl FnOnce() -> R) -> R {
        let timer = self.start_timer(duration);
        let result = f();
        self.hub.timers.borrow_mut().remove(&timer);
        result
    }

    #[inline]
    fn start_timer(&self, duration: Duration) -> (Instant, Id) {
        let timer = (self.hub.now.get() + duration, self.id);
        self.hub.timers.borrow_mut().insert(timer);
        timer
    }
}

#[derive(Debug)]
struct End {
    ended: Cell<bool>,
    joiner: Cell<Option<Id>>,
}

impl End {
    #[inline]
    fn end(&self, hub: &Hub) {
        self.ended.set(true);
        if let Some(joiner) = self.joiner.take() {
            hub.wake(joiner);
        }
    }
}

/// What one other greenlet may wait for, or kill.
#[derive(Debug)]
pub struct Join {
    id: Id,
    end: Rc<End>,
}

/// The greenlets that wait for one thing, in their order.
#[derive(Debug, Default)]
pub struct Waiters(RefCell<VecDeque<Id>>);

impl Waiters {
    /// Waits until the greenlet is served.
    #[inline]
    pub fn wait(&self, greenlet: &Greenlet<'_>) {
        self.0.borrow_mut().push_back(greenlet.id);
        greenlet.park();
    }

    /// Wakes the first.
    #[inline]
    pub fn serve(&self, hub: &Hub) {
        let first = self.0.borrow_mut().pop_front();
        if let Some(id) = first {
            hub.wake(id);
        }
    }
}

/// A flag to wait for.
#[derive(Debug, Default)]
pub struct Event {
    set: Cell<bool>,
    waiters: Waiters,
}

impl Event {
    /// Waits until the flag is set.
    #[inline]
    pub fn wait(&self, greenlet: &Greenlet<'_>) {
        while !self.set.get() {
            self.waiters.wait(greenlet);
        }
    }

    /// Sets the flag and wakes one waiter.
    #[inline]
    pub fn set(&self, hub: &Hub) {
        self.set.set(true);
        self.waiters.serve(hub);
    }

    /// Clears the flag.
    #[inline]
    pub fn clear(&self) {
        self.set.set(false);
    }
}

/// A number of permits.
#[derive(Debug)]
pub struct Semaphore {
    permits: Cell<usize>,
    waiters: Waiters,
}

impl Semaphore {
    /// Creates a semaphore with this number of permits.
    pub fn new(permits: usize) -> Semaphore {
        Semaphore { permits: Cell::new(permits), waiters: Waiters::default() }
    }

    /// Takes a permit, and waits while there is none.
    #[inline]
    pub fn acquire(&self, greenlet: &Greenlet<'_>) {
        while self.permits.get() == 0 {
            self.waiters.wait(greenlet);
        }
        self.permits.set(self.permits.get() - 1);
    }

    /// Gives a permit back.
    #[inline]
    pub fn release(&self, hub: &Hub) {
        self.permits.set(self.permits.get() + 1);
        self.waiters.serve(hub);
    }
}

/// A channel with room for a number of messages.
#[derive(Debug)]
pub struct Channel<T> {
    messages: RefCell<VecDeque<T>>,
    room: usize,
    senders: Waiters,
    receivers: Waiters,
}

impl<T> Channel<T> {
    /// Creates a channel.
    pub fn new(room: usize) -> Channel<T> {
        Channel {
            messages: RefCell::new(VecDeque::new()),
            room,
            senders: Waiters::default(),
            receivers: Waiters::default(),
        }
    }

    /// Sends a message, and waits while there is no room.
    #[inline]
    pub fn send(&self, greenlet: &Greenlet<'_>, message: T) {
        while self.messages.borrow().len() == self.room {
            self.senders.wait(greenlet);
        }
        self.messages.borrow_mut().push_back(message);
        self.receivers.serve(greenlet.hub);
    }

    /// Receives a message, and waits while there is none.
    #[inline]
    pub fn recv(&self, greenlet: &Greenlet<'_>) -> T {
        loop {
            let message = self.messages.borrow_mut().pop_front();
            if let Some(message) = message {
                self.senders.serve(greenlet.hub);
                return message;
            }
            self.receivers.wait(greenlet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greenlets_take_turns_and_are_joined() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let seen = order.clone();
        Hub::block_on(2, move |main| {
            let member = |number| {
                let order = order.clone();
                main.hub().spawn(move |greenlet| {
                    for _ in 0..2 {
                        order.borrow_mut().push(number);
                        greenlet.yield_now();
                    }
                })
            };
            let pair = [member(1), member(2)];
            pair.iter().for_each(|one| main.join(one));
            order.borrow_mut().push(3);
        });
        assert_eq!(*seen.borrow(), [1, 2, 1, 2, 3]);
    }

    #[test]
    fn messages_arrive_in_order_through_little_room() {
        let sum = Rc::new(Cell::new(0));
        let seen = sum.clone();
        Hub::block_on(1, move |main| {
            let channel = Rc::new(Channel::new(1));
            let sender = channel.clone();
            main.hub().spawn(move |greenlet| (1..=100).for_each(|n| sender.send(greenlet, n)));
            for n in 1..=100 {
                assert_eq!(channel.recv(main), n);
                sum.set(sum.get() + n);
            }
        });
        assert_eq!(seen.get(), 5050);
    }

    #[test]
    fn a_sleeper_sleeps_and_a_killed_one_drops_what_it_holds() {
        let held = Rc::new(());
        let seen = held.clone();
        Hub::block_on(1, move |main| {
            let start = Instant::now();
            main.sleep(Duration::from_millis(2));
            assert!(start.elapsed() >= Duration::from_millis(2));
            let waiter = main.hub().spawn(move |greenlet| {
                greenlet.park();
                drop(held);
            });
            main.yield_now();
            main.hub().kill(&waiter);
            main.join(&waiter);
            assert_eq!(Rc::strong_count(&seen), 1);
        });
    }
}
