//! Random operations of many greenlets, compared with simple models: what ends how, and in which
//! order.
//!
//! Each operation runs in a greenlet of its own. The greenlets of one batch are queued together, so
//! that wakes, kills and newcomers meet in between. No test depends on time.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use ramie::channel;
use ramie::queue::{Order, Queue};
use ramie::sync::RwLock;
use ramie::sync::Semaphore;
use ramie::{Greenlet, GreenletExit, catch, get_hub, raise, spawn, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test with random values, all of them on one hub that is emptied in between.
fn random<S>(cases: u32, values: S, test: impl Fn(S::Value) + Send + 'static)
where
    S: Strategy + Send + 'static,
    S::Value: Debug,
{
    within(LIMIT, move || {
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let result = runner.run(&values, |value| {
            get_hub().kill_all(None).expect("without a limit it ends when all have ended");
            test(value);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    });
}

/// The result of an operation, or that it has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Got(u8),
    Refused,
    Killed,
}

/// The ends of operations, by the number of the operation, in order.
type Ends = Vec<(usize, Outcome)>;

/// The greenlets of a script and the log of their ends.
#[derive(Default)]
struct Actors {
    greenlets: Rc<RefCell<Vec<Greenlet<()>>>>,
    ends: Rc<RefCell<Ends>>,
}

impl Actors {
    /// Runs an operation in a greenlet of its own, which logs how it ends.
    fn act(&self, operation: impl FnOnce() -> Outcome + 'static) {
        let (number, ends) = (self.greenlets.borrow().len(), self.ends.clone());
        let greenlet = spawn(move || {
            let end = catch::<GreenletExit, _>(operation);
            ends.borrow_mut().push((number, *end.as_ref().unwrap_or(&Outcome::Killed)));
            if let Err(exit) = end {
                raise(exit.into_exception())
            }
        });
        self.greenlets.borrow_mut().push(greenlet);
    }

    /// Kills one of the earlier ones from a greenlet that comes last.
    fn kill(&self, which: usize) {
        let greenlets = self.greenlets.clone();
        self.act(move || {
            greenlets.borrow()[which].kill_nowait();
            Outcome::Done
        });
    }

    fn settle(&self) {
        for _ in 0..4 {
            yield_now();
        }
    }
}

/// Which earlier operation a random number names, for the operation of this number.
fn earlier(number: usize, random: usize) -> Option<usize> {
    (number > 0).then(|| random % number)
}

/// The items that the hub has queued beside the greenlets of a batch.
#[derive(Debug)]
enum Item {
    Pass,
    Throw(usize),
}

// --- queues and channels ----------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(u8),
    TryPut(u8),
    Get,
    TryGet,
    Peek,
    Resize(Option<usize>),
    Kill(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..9_u8).prop_map(Op::Put),
        1 => (0..9_u8).prop_map(Op::TryPut),
        4 => Just(Op::Get),
        1 => Just(Op::TryGet),
        1 => Just(Op::Peek),
        1 => prop_oneof![Just(None), (1..4_usize).prop_map(Some)].prop_map(Op::Resize),
        2 => any::<usize>().prop_map(Op::Kill),
    ]
}

fn script() -> impl Strategy<Value = (Option<usize>, Vec<Vec<Op>>)> {
    let room = prop_oneof![Just(None), (1..4_usize).prop_map(Some)];
    (room, vec(vec(op(), 1..8), 1..8))
}

/// Which item comes out next: its place among those that were put.
type Choose = fn(&[u8]) -> usize;

/// A queue: a first call is served at once; waiters are served in turns of both sides.
struct Model {
    choose: Choose,
    room: Option<usize>,
    items: Vec<u8>,
    putters: VecDeque<(usize, u8)>,
    /// The getters, each with `true` if it takes the item that it gets.
    getters: VecDeque<(usize, bool)>,
    queued: VecDeque<Item>,
    ends: Ends,
}

impl Model {
    fn new(room: Option<usize>, choose: Choose) -> Self {
        Model {
            choose,
            room,
            items: Vec::new(),
            putters: VecDeque::new(),
            getters: VecDeque::new(),
            queued: VecDeque::new(),
            ends: Vec::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.room.is_none_or(|room| self.items.len() < room)
    }

    fn take(&mut self, takes: bool) -> u8 {
        let at = (self.choose)(&self.items);
        if takes { self.items.remove(at) } else { self.items[at] }
    }

    fn check(&mut self) {
        let served = (!self.putters.is_empty() && self.has_room())
            || (!self.getters.is_empty() && !self.items.is_empty());
        if served && !self.queued.iter().any(|item| matches!(item, Item::Pass)) {
            self.queued.push_back(Item::Pass);
        }
    }

    fn run(&mut self, number: usize, op: Op) {
        let end = match op {
            Op::Put(item) | Op::TryPut(item) if self.has_room() => {
                self.items.push(item);
                self.check();
                Outcome::Done
            }
            Op::Put(item) => return self.putters.push_back((number, item)),
            Op::Get | Op::TryGet if !self.items.is_empty() => {
                let item = self.take(true);
                self.check();
                Outcome::Got(item)
            }
            Op::Peek if !self.items.is_empty() => Outcome::Got(self.take(false)),
            Op::Get | Op::Peek => return self.getters.push_back((number, matches!(op, Op::Get))),
            Op::TryPut(_) | Op::TryGet => Outcome::Refused,
            Op::Resize(room) => {
                self.room = room;
                self.check();
                Outcome::Done
            }
            Op::Kill(random) => {
                if let Some(victim) = earlier(number, random) {
                    self.queued.push_back(Item::Throw(victim));
                }
                Outcome::Done
            }
        };
        self.ends.push((number, end));
    }

    fn pass(&mut self) {
        let mut putters_turn = true;
        loop {
            let putter = !self.putters.is_empty() && self.has_room();
            let getter = !self.getters.is_empty() && !self.items.is_empty();
            if !putter && !getter {
                return;
            }
            if putter && (putters_turn || !getter) {
                let (number, item) = self.putters.pop_front().expect("one waits");
                self.items.push(item);
                self.ends.push((number, Outcome::Done));
                putters_turn = false;
            } else {
                let (number, takes) = self.getters.pop_front().expect("one waits");
                let item = self.take(takes);
                self.ends.push((number, Outcome::Got(item)));
                putters_turn = true;
            }
        }
    }

    fn settle(&mut self) {
        while let Some(item) = self.queued.pop_front() {
            match item {
                Item::Pass => self.pass(),
                Item::Throw(victim) => {
                    let before = self.putters.len() + self.getters.len();
                    self.putters.retain(|(number, _)| *number != victim);
                    self.getters.retain(|(number, _)| *number != victim);
                    if self.putters.len() + self.getters.len() < before {
                        self.ends.push((victim, Outcome::Killed));
                    }
                }
            }
        }
    }
}

/// Runs a script on a queue and on its model, and compares the two after each batch.
fn compare(
    (room, batches): (Option<usize>, Vec<Vec<Op>>),
    choose: Choose,
    real: impl Fn(Op) -> Box<dyn FnOnce() -> Outcome>,
    lengths: impl Fn() -> (usize, Option<(usize, usize)>),
) {
    let (actors, mut model) = (Actors::default(), Model::new(room, choose));
    let mut number = 0;
    for batch in batches {
        for op in batch {
            match op {
                Op::Kill(random) if number > 0 => actors.kill(random % number),
                _ => actors.act(real(op)),
            }
            model.run(number, op);
            number += 1;
        }
        actors.settle();
        model.settle();
        assert_eq!(*actors.ends.borrow(), model.ends);
        let (items, waiting) = lengths();
        assert_eq!(items, model.items.len());
        if let Some(waiting) = waiting {
            assert_eq!(waiting, (model.putters.len(), model.getters.len()));
        }
    }
}

fn compare_queue<O: Order<u8> + 'static>(script: (Option<usize>, Vec<Vec<Op>>), choose: Choose) {
    let queue = Queue::<u8, O>::with_maxsize(script.0, []);
    let real = |op| -> Box<dyn FnOnce() -> Outcome> {
        let queue = queue.clone();
        let got = |item: Option<u8>| item.map_or(Outcome::Refused, Outcome::Got);
        let put = |done: bool| if done { Outcome::Done } else { Outcome::Refused };
        Box::new(move || match op {
            Op::Put(item) => put(queue.put(item).is_ok()),
            Op::TryPut(item) => put(queue.try_put(item).is_ok()),
            Op::Get => got(queue.get().ok()),
            Op::TryGet => got(queue.try_get().ok()),
            Op::Peek => got(queue.peek().ok()),
            Op::Resize(room) => {
                queue.set_maxsize(room);
                Outcome::Done
            }
            Op::Kill(_) => Outcome::Done,
        })
    };
    compare(script, choose, real, || (queue.len(), Some(queue.waiting())));
}

#[test]
fn a_queue_is_its_model_first_in_first_out() {
    random(150, script(), |script| compare_queue::<ramie::queue::Fifo<u8>>(script, |_| 0));
}

#[test]
fn a_queue_is_its_model_last_in_first_out() {
    random(150, script(), |script| compare_queue::<ramie::queue::Lifo<u8>>(script, |items| items.len() - 1));
}

#[test]
fn a_queue_is_its_model_smallest_first() {
    random(150, script(), |script| {
        compare_queue::<ramie::queue::Smallest<u8>>(script, |items| {
            let smallest = items.iter().min().expect("there is one");
            items.iter().position(|item| item == smallest).expect("it is there")
        });
    });
}

#[test]
fn a_channel_with_room_is_the_model_of_a_queue() {
    let without = |op| match op {
        Op::Peek | Op::Resize(_) => Op::Get,
        op => op,
    };
    let scripts = script().prop_map(move |(room, batches)| {
        let batches = batches.into_iter().map(|batch| batch.into_iter().map(without).collect()).collect();
        (room, batches)
    });
    random(150, scripts, |script| {
        let (sender, receiver) = script.0.map_or_else(channel::unbounded, channel::bounded);
        let real = |op| -> Box<dyn FnOnce() -> Outcome> {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            let got = |item: Option<u8>| item.map_or(Outcome::Refused, Outcome::Got);
            let put = |done: bool| if done { Outcome::Done } else { Outcome::Refused };
            Box::new(move || match op {
                Op::Put(item) => put(sender.send(item).is_ok()),
                Op::TryPut(item) => put(sender.try_send(item).is_ok()),
                Op::Get => got(receiver.recv().ok()),
                Op::TryGet => got(receiver.try_recv().ok()),
                _ => Outcome::Done,
            })
        };
        compare(script, |_| 0, real, || (sender.len(), None));
    });
}

/// Without capacity every message is received once, or is not sent; and no two waiters wait for
/// each other.
#[test]
fn a_channel_without_room_loses_and_doubles_nothing() {
    random(200, script(), |(_, batches)| {
        let (sender, receiver) = channel::bounded(0);
        let actors = Actors::default();
        let received = Rc::new(RefCell::new(Vec::new()));
        let mut offered = Vec::new();
        for op in batches.iter().flatten() {
            let number = actors.greenlets.borrow().len();
            match op {
                Op::Put(_) | Op::TryPut(_) => {
                    let (sender, waits) = (sender.clone(), matches!(op, Op::Put(_)));
                    offered.push(number);
                    actors.act(move || {
                        let sent =
                            if waits { sender.send(number).is_ok() } else { sender.try_send(number).is_ok() };
                        if sent { Outcome::Done } else { Outcome::Refused }
                    });
                }
                Op::Kill(random) if number > 0 => actors.kill(random % number),
                Op::Resize(_) => actors.settle(),
                _ => {
                    let (receiver, received) = (receiver.clone(), received.clone());
                    let waits = matches!(op, Op::Get);
                    actors.act(move || {
                        let message = if waits { receiver.recv().ok() } else { receiver.try_recv().ok() };
                        received.borrow_mut().extend(message);
                        if message.is_some() { Outcome::Done } else { Outcome::Refused }
                    });
                }
            }
        }
        actors.settle();
        let end_of = |number: usize| {
            let ends = actors.ends.borrow();
            ends.iter().find(|(other, _)| *other == number).map(|(_, end)| *end)
        };
        let received = received.borrow();
        assert_eq!(received.iter().collect::<BTreeSet<_>>().len(), received.len());
        for &number in &offered {
            // A sender may be killed when its message is gone already.
            match end_of(number) {
                Some(Outcome::Done) => assert!(received.contains(&number)),
                Some(Outcome::Refused) | None => assert!(!received.contains(&number)),
                end => assert_eq!(end, Some(Outcome::Killed)),
            }
        }
        let waits = |number: &usize| end_of(*number).is_none();
        let senders = offered.iter().copied().filter(waits).count();
        let all = (0..actors.greenlets.borrow().len()).filter(waits).count();
        assert!(senders == 0 || senders == all, "{senders} of {all} wait to send");
        assert_eq!(sender.len(), senders);
    });
}

// --- semaphores -------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Turn {
    Acquire,
    TryAcquire,
    Wait,
    Release,
    Kill(usize),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => Just(Turn::Acquire),
        1 => Just(Turn::TryAcquire),
        1 => Just(Turn::Wait),
        4 => Just(Turn::Release),
        2 => any::<usize>().prop_map(Turn::Kill),
    ]
}

#[test]
fn a_semaphore_is_its_model() {
    random(300, (0..3_usize, vec(vec(turn(), 1..8), 1..8)), |(permits, batches)| {
        let semaphore = Semaphore::new(permits);
        let actors = Actors::default();
        let (mut counter, mut line, mut ends) = (permits, VecDeque::new(), Ends::new());
        let mut number = 0;
        for batch in batches {
            let mut queued = VecDeque::new();
            for turn in batch {
                let real = semaphore.clone();
                match turn {
                    Turn::Kill(random) if number > 0 => actors.kill(random % number),
                    _ => actors.act(move || {
                        let done = match turn {
                            Turn::Acquire => {
                                real.acquire();
                                true
                            }
                            Turn::TryAcquire => real.try_acquire(),
                            Turn::Wait => real.wait() > 0,
                            Turn::Release => real.release() > 0,
                            Turn::Kill(_) => true,
                        };
                        if done { Outcome::Done } else { Outcome::Refused }
                    }),
                }
                let mut end = Outcome::Done;
                match turn {
                    Turn::Acquire | Turn::TryAcquire if counter > 0 => counter -= 1,
                    Turn::Wait if counter > 0 => {}
                    Turn::Acquire | Turn::Wait => {
                        line.push_back((number, matches!(turn, Turn::Acquire)));
                        number += 1;
                        continue;
                    }
                    Turn::TryAcquire => end = Outcome::Refused,
                    Turn::Release => {
                        counter += 1;
                        let queued_already = queued.iter().any(|item| matches!(item, Item::Pass));
                        if !line.is_empty() && !queued_already {
                            queued.push_back(Item::Pass);
                        }
                    }
                    Turn::Kill(random) => queued.extend(earlier(number, random).map(Item::Throw)),
                }
                ends.push((number, end));
                number += 1;
            }
            actors.settle();
            for item in queued {
                match item {
                    Item::Pass => {
                        while counter > 0 && !line.is_empty() {
                            let (waiter, takes) = line.pop_front().expect("it is not empty");
                            counter -= usize::from(takes);
                            ends.push((waiter, Outcome::Done));
                        }
                    }
                    Item::Throw(victim) => {
                        if let Some(at) = line.iter().position(|(waiter, _)| *waiter == victim) {
                            line.remove(at);
                            ends.push((victim, Outcome::Killed));
                        }
                    }
                }
            }
            assert_eq!(*actors.ends.borrow(), ends);
            assert_eq!((semaphore.counter(), semaphore.linkcount()), (counter, line.len()));
        }
    });
}

// --- read-write locks ---------------------------------------------------------------------------------------------------

/// One use of the lock: to write or not, to try only or not, for how many turns, and how many turns
/// later the next one comes.
type Use = (bool, bool, usize, usize);

/// Writers are alone, and every waiter gets the lock in the end, even if others are killed.
#[test]
fn a_rwlock_keeps_writers_alone_and_nobody_out() {
    let uses = vec((any::<bool>(), any::<bool>(), 0..4_usize, 0..3_usize), 1..20);
    random(300, (uses, vec(any::<usize>(), 0..6)), |(uses, kills): (Vec<Use>, Vec<usize>)| {
        let lock = Rc::new(RwLock::new(0_usize));
        let inside = Rc::new((Cell::new(0_usize), Cell::new(0_usize)));
        /// Counts one greenlet that is inside, for as long as the value lives.
        struct Inside(Rc<(Cell<usize>, Cell<usize>)>, bool);
        impl Inside {
            fn count(&self) -> &Cell<usize> {
                if self.1 { &self.0.1 } else { &self.0.0 }
            }
        }
        impl Drop for Inside {
            fn drop(&mut self) {
                self.count().set(self.count().get() - 1);
            }
        }
        let enter = move |writes: bool| {
            let here = Inside(inside.clone(), writes);
            here.count().set(here.count().get() + 1);
            let (readers, writers) = (inside.0.get(), inside.1.get());
            assert!(writers == 0 || (writers, readers) == (1, 0), "{readers} read, {writers} write");
            here
        };
        let greenlets: Vec<_> = uses
            .into_iter()
            .map(|(writes, tries, turns, pause)| {
                let (lock, enter) = (lock.clone(), enter.clone());
                let greenlet = spawn(move || {
                    if writes {
                        let guard = if tries { lock.try_write() } else { Some(lock.write()) };
                        let Some(mut guard) = guard else { return };
                        let _here = enter(true);
                        let before = *guard;
                        (0..turns).for_each(|_| yield_now());
                        assert_eq!(*guard, before);
                        *guard += 1;
                    } else {
                        let guard = if tries { lock.try_read() } else { Some(lock.read()) };
                        let Some(guard) = guard else { return };
                        let _here = enter(false);
                        let before = *guard;
                        (0..turns).for_each(|_| yield_now());
                        assert_eq!(*guard, before);
                    }
                });
                (0..pause).for_each(|_| yield_now());
                greenlet
            })
            .collect();
        for kill in kills {
            greenlets[kill % greenlets.len()].kill_nowait();
            yield_now();
        }
        get_hub().join();
        assert!(greenlets.iter().all(|greenlet| greenlet.successful()), "a greenlet saw a forbidden state");
        assert!(lock.try_write().is_some());
    });
}
