//! The least hub: bare coroutines, a queue, timers and epoll, and nothing else. It is the floor of
//! what a scheduler with stacks costs.
//!
//! A task is woken by its number, in the order of a queue. It has no result, no name, no exception,
//! no guard below its stack, and nothing that ends it from outside. Each object has at most one
//! waiter, so a wake is one move from one place to another.
//!
//! Ownership goes round: a task lies in the queue, in its place among the parked ones, or in the
//! list of free ones, and in the loop while it runs.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use corosensei::{Coroutine, CoroutineResult, Yielder};
use mio::event::Source;
use mio::{Events, Interest, Poll, Registry, Token};
use ramie_benches::slots::{Slot, slots};

/// How many turns are taken between two looks at the clock and at the poll while tasks are ready.
const TURNS: u32 = 256;

/// What becomes of a task that suspends.
enum Then {
    Requeue,
    Park,
}

type Body = Coroutine<(), Then, (), Slot>;

/// A task. The box and the number are used again for the next one.
struct Task {
    id: usize,
    body: Box<Option<Body>>,
}

/// What the hub knows of the tasks of one number.
#[derive(Default)]
struct Place {
    parked: Option<Task>,
    /// Grows when a task of this number ends.
    generation: u32,
    joiner: Option<usize>,
}

/// The hub. It is never freed: its tasks refer to it.
pub(crate) struct Hub {
    ready: RefCell<VecDeque<Task>>,
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<Task>>,
    stacks: RefCell<Vec<Slot>>,
    /// The tasks to wake, by deadline and by the order in which the timers began.
    timers: RefCell<BTreeMap<(Instant, u64), usize>>,
    timers_begun: Cell<u64>,
    poll: RefCell<Poll>,
    registry: Registry,
    /// The task that waits for each source.
    sources: RefCell<Vec<Option<usize>>>,
}

/// A running task: what its body needs to wait.
pub(crate) struct Current<'a> {
    pub(crate) hub: &'static Hub,
    pub(crate) id: usize,
    yielder: &'a Yielder<(), Then>,
}

/// A task that can be waited for.
#[derive(Clone, Copy)]
pub(crate) struct Handle {
    id: usize,
    generation: u32,
}

/// A timer that is running.
pub(crate) struct Timer((Instant, u64));

thread_local! {
    static HUB: &'static Hub = Box::leak(Box::new(Hub::new()));
}

/// Runs `main` as the first task, and the tasks that it spawns, until none is left that can run.
/// Returns what `main` returns. The stacks of one call are used again in the next one.
pub(crate) fn run<R: 'static>(main: impl FnOnce(&Current<'_>) -> R + 'static) -> R {
    let hub = HUB.with(|hub| *hub);
    let result = Rc::new(Cell::new(None));
    let place = result.clone();
    hub.spawn(move |current| place.set(Some(main(current))));
    hub.turn();
    result.take().expect("the first task has ended")
}

impl Hub {
    fn new() -> Hub {
        let poll = Poll::new().expect("a poll can be made");
        let registry = poll.registry().try_clone().expect("a registry can be cloned");
        Hub {
            ready: RefCell::default(),
            places: RefCell::default(),
            free: RefCell::default(),
            stacks: RefCell::default(),
            timers: RefCell::default(),
            timers_begun: Cell::new(0),
            poll: RefCell::new(poll),
            registry,
            sources: RefCell::default(),
        }
    }

    /// Makes a task, which runs in its turn.
    pub(crate) fn spawn(&'static self, body: impl FnOnce(&Current<'_>) + 'static) -> Handle {
        let (task, stack) = (self.free.borrow_mut().pop(), self.stacks.borrow_mut().pop());
        let mut task = task.unwrap_or_else(|| self.new_task());
        let stack = stack.unwrap_or_else(|| self.new_stack());
        let (hub, id) = (self, task.id);
        *task.body =
            Some(Coroutine::with_stack(stack, move |yielder, ()| body(&Current { hub, id, yielder })));
        let generation = self.places.borrow()[id].generation;
        self.ready.borrow_mut().push_back(task);
        Handle { id, generation }
    }

    #[cold]
    fn new_task(&self) -> Task {
        let mut places = self.places.borrow_mut();
        places.push(Place::default());
        Task { id: places.len() - 1, body: Box::new(None) }
    }

    #[cold]
    fn new_stack(&self) -> Slot {
        let mut stacks = self.stacks.borrow_mut();
        stacks.extend(slots(self.places.borrow().len().max(64)));
        stacks.pop().expect("some were made")
    }

    /// Wakes a task that is parked; one that is not is left alone.
    pub(crate) fn wake(&self, id: usize) {
        let parked = self.places.borrow_mut()[id].parked.take();
        if let Some(task) = parked {
            self.ready.borrow_mut().push_back(task);
        }
    }

    /// Runs what is ready, and waits for timers and sources, until neither is left.
    fn turn(&self) {
        let mut turns = 0;
        let mut events = Events::with_capacity(1024);
        loop {
            let next = self.ready.borrow_mut().pop_front();
            let Some(mut task) = next else {
                if !self.wait(&mut events, true) {
                    return;
                }
                continue;
            };
            let body = Option::as_mut(&mut task.body).expect("a task that is ready has a body");
            match body.resume(()) {
                CoroutineResult::Yield(Then::Requeue) => self.ready.borrow_mut().push_back(task),
                CoroutineResult::Yield(Then::Park) => {
                    let id = task.id;
                    self.places.borrow_mut()[id].parked = Some(task);
                }
                CoroutineResult::Return(()) => self.end(task),
            }
            turns += 1;
            if turns == TURNS {
                turns = 0;
                self.wait(&mut events, false);
            }
        }
    }

    fn end(&self, mut task: Task) {
        let body = task.body.take().expect("it has just run");
        self.stacks.borrow_mut().push(body.into_stack());
        let joiner = {
            let place = &mut self.places.borrow_mut()[task.id];
            place.generation = place.generation.wrapping_add(1);
            place.joiner.take()
        };
        self.free.borrow_mut().push(task);
        if let Some(joiner) = joiner {
            self.wake(joiner);
        }
    }

    /// Wakes what timers and sources say, after waiting for one of them if `idle`. False if there is
    /// nothing to wait for.
    fn wait(&self, events: &mut Events, idle: bool) -> bool {
        let first = self.timers.borrow().first_key_value().map(|((deadline, _), _)| *deadline);
        let has_sources = !self.sources.borrow().is_empty();
        if first.is_none() && !has_sources {
            return false;
        }
        let now = Instant::now();
        let left = first.map(|deadline| deadline.saturating_duration_since(now));
        if has_sources || idle && left != Some(Duration::ZERO) {
            let limit = if idle { left } else { Some(Duration::ZERO) };
            match self.poll.borrow_mut().poll(events, limit) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                polled => polled.expect("a poll that exists can be asked"),
            }
            for event in events.iter() {
                let waiter = self.sources.borrow_mut()[event.token().0].take();
                if let Some(id) = waiter {
                    self.wake(id);
                }
            }
        }
        if first.is_some() {
            self.expire(Instant::now());
        }
        true
    }

    fn expire(&self, now: Instant) {
        let mut timers = self.timers.borrow_mut();
        while let Some(first) = timers.first_entry() {
            if first.key().0 > now {
                return;
            }
            self.wake(first.remove());
        }
    }

    /// Starts a timer that wakes a task.
    pub(crate) fn start_timer(&self, limit: Duration, id: usize) -> Timer {
        let number = self.timers_begun.get();
        self.timers_begun.set(number + 1);
        let key = (Instant::now() + limit, number);
        self.timers.borrow_mut().insert(key, id);
        Timer(key)
    }

    /// Ends a timer early.
    pub(crate) fn cancel_timer(&self, timer: Timer) {
        self.timers.borrow_mut().remove(&timer.0);
    }
}

impl Current<'_> {
    /// Lets every other task that is ready run once.
    pub(crate) fn yield_now(&self) {
        self.yielder.suspend(Then::Requeue);
    }

    /// Waits until this task is woken.
    pub(crate) fn park(&self) {
        self.yielder.suspend(Then::Park);
    }

    pub(crate) fn sleep(&self, time: Duration) {
        self.hub.start_timer(time, self.id);
        self.park();
    }

    /// Waits for the end of a task.
    pub(crate) fn join(&self, handle: Handle) {
        let runs = {
            let place = &mut self.hub.places.borrow_mut()[handle.id];
            let runs = place.generation == handle.generation;
            if runs {
                place.joiner = Some(self.id);
            }
            runs
        };
        if runs {
            self.park();
        }
    }
}

/// A channel between one sender and one receiver.
pub(crate) struct Channel<T> {
    hub: &'static Hub,
    messages: RefCell<VecDeque<T>>,
    room: usize,
    waiter: Cell<Option<usize>>,
}

impl<T> Channel<T> {
    pub(crate) fn new(hub: &'static Hub, room: usize) -> Channel<T> {
        let messages = RefCell::new(VecDeque::with_capacity(room));
        Channel { hub, messages, room, waiter: Cell::new(None) }
    }

    /// Wakes the other side, if it waits. The two never wait at the same time.
    fn wake_other(&self) {
        if let Some(id) = self.waiter.take() {
            self.hub.wake(id);
        }
    }

    pub(crate) fn send(&self, current: &Current<'_>, message: T) {
        while self.messages.borrow().len() == self.room {
            self.waiter.set(Some(current.id));
            current.park();
        }
        self.messages.borrow_mut().push_back(message);
        self.wake_other();
    }

    pub(crate) fn receive(&self, current: &Current<'_>) -> T {
        loop {
            let message = self.messages.borrow_mut().pop_front();
            if let Some(message) = message {
                self.wake_other();
                return message;
            }
            self.waiter.set(Some(current.id));
            current.park();
        }
    }
}

/// A source of readiness, of which one task waits.
pub(crate) struct Ready<S> {
    source: S,
    number: usize,
}

impl<S: Source> Ready<S> {
    pub(crate) fn new(hub: &'static Hub, mut source: S) -> io::Result<Ready<S>> {
        let number = {
            let mut sources = hub.sources.borrow_mut();
            sources.push(None);
            sources.len() - 1
        };
        hub.registry.register(&mut source, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Ready { source, number })
    }

    /// Repeats an operation until it does not want to wait.
    pub(crate) fn retry<R>(
        &mut self,
        current: &Current<'_>,
        mut operation: impl FnMut(&mut S) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            match operation(&mut self.source) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    current.hub.sources.borrow_mut()[self.number] = Some(current.id);
                    current.park();
                }
                done => return done,
            }
        }
    }
}

impl<S: Source + Read + Write> Ready<S> {
    pub(crate) fn read(&mut self, current: &Current<'_>, buffer: &mut [u8]) -> io::Result<usize> {
        self.retry(current, |source| source.read(buffer))
    }

    pub(crate) fn write_all(&mut self, current: &Current<'_>, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.retry(current, |source| source.write(bytes))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                sent => bytes = &bytes[sent..],
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_take_turns_and_are_joined() {
        let order = run(|main| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let member = |number| {
                let order = order.clone();
                main.hub.spawn(move |current| {
                    for _ in 0..2 {
                        order.borrow_mut().push(number);
                        current.yield_now();
                    }
                })
            };
            let pair = [member(1), member(2)];
            pair.into_iter().for_each(|one| main.join(one));
            // It has ended, and its number may be another task's by now.
            main.join(pair[0]);
            order.take()
        });
        assert_eq!(order, [1, 2, 1, 2]);
    }

    #[test]
    fn messages_arrive_in_order_through_little_room() {
        let messages = run(|main| {
            let receiver = Rc::new(Channel::new(main.hub, 1));
            let sender = receiver.clone();
            main.hub.spawn(move |current| (0..100).for_each(|n| sender.send(current, n)));
            (0..100).map(|_| receiver.receive(main)).collect::<Vec<_>>()
        });
        assert!(messages.into_iter().eq(0..100));
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines_and_cancelled_timers_hold_nothing_up() {
        let order = run(|main| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let sleeper = |millis| {
                let order = order.clone();
                main.hub.spawn(move |current| {
                    current.sleep(Duration::from_millis(millis));
                    order.borrow_mut().push(millis);
                })
            };
            let sleepers = [sleeper(9), sleeper(1), sleeper(5)];
            let timer = main.hub.start_timer(Duration::from_secs(3600), main.id);
            sleepers.into_iter().for_each(|one| main.join(one));
            main.hub.cancel_timer(timer);
            order.take()
        });
        assert_eq!(order, [1, 5, 9]);
    }
}
