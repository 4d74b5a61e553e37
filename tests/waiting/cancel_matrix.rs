//! A wait for an event, a lock, a queue or a channel leaves nothing after a kill or a timeout.
//!
//! One table of every such wait, crossed with every way to end it, alone, with a next waiter in
//! line, and together with what it waited for. `cancel.rs` has the waits of the hub and of sockets.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::channel::{self, Receiver, Sender};
use ramie::hub::idle;
use ramie::queue::{Channel, LifoQueue, Order, PriorityQueue, Queue, SimpleQueue};
use ramie::sync::{AsyncResult, Event, Semaphore};
use ramie::sync::{Barrier, BoundedSemaphore, Condvar, Mutex, Once, OnceCell, RLock, RwLock, WaitGroup};
use ramie::{Greenlet, GreenletExit, get_hub, select, spawn, wait, wait_timeout, with_timeout, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(8);

/// A wait, and how to deal with what is waited for. Each test makes its own.
struct Case {
    name: &'static str,
    /// Waits until the wait is satisfied.
    block: Rc<dyn Fn()>,
    /// The same with a limit; says whether it was satisfied.
    limited: Option<Rc<dyn Fn(Duration) -> bool>>,
    /// Satisfies one wait, or all of them. What waits in line is told after this returns.
    signal: Rc<dyn Fn()>,
    /// `true` if one signal wakes every waiter in line.
    serves_all: bool,
    /// Returns the number of waiters in line, where it is visible.
    line: Option<Box<dyn Fn() -> usize>>,
    /// Returns the number of unused signals, where signals are used up.
    unused: Box<dyn Fn() -> usize>,
}

impl Case {
    /// A wait that uses up what satisfies it.
    fn one(name: &'static str, block: impl Fn() + 'static, signal: impl Fn() + 'static) -> Self {
        Case {
            name,
            block: Rc::new(block),
            limited: None,
            signal: Rc::new(signal),
            serves_all: false,
            line: None,
            unused: Box::new(|| 0),
        }
    }

    /// A wait of which one signal satisfies any number.
    fn all(name: &'static str, block: impl Fn() + 'static, signal: impl Fn() + 'static) -> Self {
        Case { serves_all: true, ..Case::one(name, block, signal) }
    }

    fn limited(self, limited: impl Fn(Duration) -> bool + 'static) -> Self {
        Case { limited: Some(Rc::new(limited)), ..self }
    }

    fn line(self, line: impl Fn() -> usize + 'static) -> Self {
        Case { line: Some(Box::new(line)), ..self }
    }

    fn unused(self, unused: impl Fn() -> usize + 'static) -> Self {
        Case { unused: Box::new(unused), ..self }
    }

    #[track_caller]
    fn expect_line(&self, expected: usize, when: &str) {
        if let Some(line) = &self.line {
            assert_eq!(line(), expected, "the line of {}, {when}", self.name);
        }
    }
}

/// A number that an object's `Debug` shows under a name.
fn shown(object: &dyn Debug, field: &str) -> usize {
    let text = format!("{object:?}");
    let (_, rest) = text.split_once(&format!("{field}: ")).expect("the field is shown");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("it is a number")
}

/// An object that the test holds until it gives the signal.
struct Held<T>(Rc<RefCell<Option<T>>>);

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Held(self.0.clone())
    }
}

impl<T> Held<T> {
    fn new(value: T) -> Self {
        Held(Rc::new(RefCell::new(Some(value))))
    }

    fn release(&self) {
        let value = self.0.take();
        drop(value);
    }
}

// --- the table ------------------------------------------------------------------------------------------------------

/// Calls `make` with clones of an object under several names, one for each closure of a case.
macro_rules! clones {
    ($object:expr => $($name:ident),+) => {
        $(let $name = $object.clone();)+
    };
}

fn flags() -> Vec<fn() -> Case> {
    vec![
        || {
            clones!(Event::new() => event);
            clones!(event => a, b, c);
            Case::all("Event::wait", move || a.wait(), move || b.set())
                .limited(move |limit| c.wait_timeout(limit))
                .line(move || event.linkcount())
        },
        || {
            clones!(AsyncResult::new() => result);
            clones!(result => a, b, c);
            Case::all("AsyncResult::wait", move || a.wait(), move || b.set(1))
                .limited(move |limit| c.wait_timeout(limit))
                .line(move || result.linkcount())
        },
        || {
            clones!(AsyncResult::new() => result);
            clones!(result => a, b, c);
            Case::all("AsyncResult::get", move || assert_eq!(a.get().unwrap(), 1), move || b.set(1))
                .limited(move |limit| c.get_timeout(limit).is_ok())
                .line(move || result.linkcount())
        },
        || {
            clones!(Semaphore::new(0) => semaphore);
            clones!(semaphore => a, b, c, d);
            Case::one("Semaphore::acquire", move || a.acquire(), move || assert_eq!(b.release(), 1))
                .limited(move |limit| c.acquire_timeout(limit))
                .line(move || semaphore.linkcount())
                .unused(move || d.counter())
        },
        || {
            clones!(Semaphore::new(0) => semaphore);
            clones!(semaphore => a, b, c);
            Case::all("Semaphore::wait", move || assert_eq!(a.wait(), 1), move || assert_eq!(b.release(), 1))
                .limited(move |limit| c.wait_timeout(limit) > 0)
                .line(move || semaphore.linkcount())
        },
        || {
            clones!(BoundedSemaphore::new(3) => semaphore);
            (0..3).for_each(|_| semaphore.acquire());
            clones!(semaphore => a, b, c, d);
            let release = move || assert_eq!(b.release(), Ok(1));
            Case::one("BoundedSemaphore::acquire", move || a.acquire(), release)
                .limited(move |limit| c.acquire_timeout(limit))
                .line(move || shown(&semaphore, "links"))
                .unused(move || d.counter())
        },
        || {
            clones!(Semaphore::new(0) => semaphore);
            clones!(semaphore => a, b, c);
            let release = move || assert_eq!(b.release(), 1);
            Case::all("wait", move || assert_eq!(wait(std::slice::from_ref(&a)).len(), 1), release)
                .limited(move |limit| wait_timeout(std::slice::from_ref(&c), limit).len() == 1)
                .line(move || semaphore.linkcount())
        },
    ]
}

/// Locks: the test holds them, each waiter takes them and gives them on.
fn locks() -> Vec<fn() -> Case> {
    vec![
        || {
            clones!(RLock::new() => lock);
            lock.acquire();
            clones!(lock => a, b);
            Case::all("RLock::acquire", move || drop(a.lock()), move || b.release().unwrap()).limited(
                move |limit| {
                    let acquired = lock.acquire_timeout(limit);
                    if acquired {
                        lock.release().unwrap();
                    }
                    acquired
                },
            )
        },
        || {
            let mutex: &Mutex<()> = Box::leak(Box::default());
            let guard = Held::new(mutex.lock());
            Case::all("Mutex::lock", || drop(mutex.lock()), move || guard.release())
                .limited(|limit| mutex.lock_timeout(limit).is_some())
        },
        || {
            let lock: &RwLock<()> = Box::leak(Box::default());
            let guard = Held::new(lock.write());
            Case::all("RwLock::read", || drop(lock.read()), move || guard.release())
                .limited(|limit| lock.read_timeout(limit).is_some())
        },
        || {
            let lock: &RwLock<()> = Box::leak(Box::default());
            let guard = Held::new(lock.read());
            Case::all("RwLock::write", || drop(lock.write()), move || guard.release())
                .limited(|limit| lock.write_timeout(limit).is_some())
        },
        || {
            let lock: &RwLock<()> = Box::leak(Box::default());
            let guard = Held::new(lock.write());
            Case::all("RwLock::write behind a writer", || drop(lock.write()), move || guard.release())
                .limited(|limit| lock.write_timeout(limit).is_some())
        },
    ]
}

fn meetings() -> Vec<fn() -> Case> {
    vec![
        || {
            let pair = Rc::new((Mutex::new(()), Condvar::new()));
            clones!(pair => a, b, c);
            Case::one("Condvar::wait", move || drop(a.1.wait(a.0.lock())), move || b.1.notify_one())
                .limited(move |limit| !c.1.wait_timeout(c.0.lock(), limit).1.timed_out())
                .line(move || shown(&pair.1, "waiting"))
        },
        || {
            let pair = Rc::new((Mutex::new(()), Condvar::new()));
            clones!(pair => a, b, c);
            Case::all("Condvar, notify_all", move || drop(a.1.wait(a.0.lock())), move || b.1.notify_all())
                .limited(move |limit| !c.1.wait_timeout(c.0.lock(), limit).1.timed_out())
                .line(move || shown(&pair.1, "waiting"))
        },
        || {
            const SIZE: usize = 3;
            let barrier = Rc::new(Barrier::new(SIZE));
            clones!(barrier => a, b);
            let block = move || assert!(!a.wait().is_leader());
            let signal = move || {
                // As many as are missing come, the test itself as the last.
                for _ in shown(&b, "arrived")..SIZE - 1 {
                    let barrier = b.clone();
                    spawn(move || barrier.wait());
                    yield_now();
                }
                assert!(b.wait().is_leader());
            };
            Case::all("Barrier::wait", block, signal).line(move || shown(&barrier, "arrived"))
        },
        || {
            let (cell, gate) = (Rc::new(OnceCell::new()), Event::new());
            clones!(cell => making);
            clones!(gate => closed);
            spawn(move || {
                making.get_or_init(|| closed.wait());
            });
            yield_now();
            let block = move || *cell.get_or_init(|| ());
            Case::all("OnceCell::get_or_init", block, move || {
                gate.set();
                yield_now();
            })
        },
        || {
            let (once, gate) = (Rc::new(Once::new()), Event::new());
            clones!(once => making);
            clones!(gate => closed);
            spawn(move || making.call_once(|| closed.wait()));
            yield_now();
            Case::all(
                "Once::call_once",
                move || once.call_once(|| ()),
                move || {
                    gate.set();
                    yield_now();
                },
            )
        },
        || {
            let group = Held::new(WaitGroup::new());
            clones!(group => a);
            let block = move || {
                let member = a.0.borrow().clone();
                if let Some(member) = member {
                    member.wait();
                }
            };
            Case::all("WaitGroup::wait", block, move || group.release())
        },
    ]
}

fn getting<O: Order<u32> + 'static>(name: &'static str) -> Case {
    clones!(Queue::<u32, O>::default() => queue);
    clones!(queue => a, b, c, d);
    Case::one(name, move || assert!(a.get().is_ok()), move || b.try_put(1).unwrap())
        .limited(move |limit| c.get_timeout(limit).is_ok())
        .line(move || queue.waiting().1)
        .unused(move || d.len())
}

fn putting<O: Order<u32> + 'static>(name: &'static str) -> Case {
    clones!(Queue::<u32, O>::with_maxsize(Some(1), [1]) => queue);
    clones!(queue => a, b, c, d);
    Case::one(name, move || a.put(2).unwrap(), move || assert!(b.try_get().is_ok()))
        .limited(move |limit| c.put_timeout(3, limit).is_ok())
        .line(move || queue.waiting().0)
        .unused(move || 1 - d.len())
}

fn queues() -> Vec<fn() -> Case> {
    vec![
        || getting::<ramie::queue::Fifo<u32>>("Queue::get"),
        || getting::<ramie::queue::Lifo<u32>>("LifoQueue::get"),
        || getting::<ramie::queue::Smallest<u32>>("PriorityQueue::get"),
        || putting::<ramie::queue::Fifo<u32>>("Queue::put"),
        || putting::<ramie::queue::Lifo<u32>>("LifoQueue::put"),
        || putting::<ramie::queue::Smallest<u32>>("PriorityQueue::put"),
        || {
            clones!(LifoQueue::default() => queue);
            clones!(queue => a, b, c);
            Case::all("LifoQueue::peek", move || assert_eq!(a.peek(), Ok(1)), move || b.try_put(1).unwrap())
                .limited(move |limit| c.peek_timeout(limit).is_ok())
                .line(move || queue.waiting().1)
        },
        || {
            clones!(Queue::unbounded() => queue);
            clones!(queue => a, b, c);
            Case::all("Queue::peek", move || assert_eq!(a.peek(), Ok(1)), move || b.try_put(1).unwrap())
                .limited(move |limit| c.peek_timeout(limit).is_ok())
                .line(move || queue.waiting().1)
        },
        || {
            clones!(PriorityQueue::<u32>::with_maxsize(None, [1]) => queue);
            clones!(queue => a, b);
            Case::all("Queue::join", move || a.join(), move || b.task_done().unwrap())
                .limited(move |limit| queue.join_timeout(limit))
        },
        || {
            clones!(Queue::<u32>::unbounded() => queue);
            clones!(queue => a, b, c);
            Case::all("Queue::get, shut down", move || assert!(a.get().is_err()), move || b.shutdown())
                .limited(move |limit| c.get_timeout(limit).is_err_and(|error| !error.is_empty()))
                .line(move || queue.waiting().1)
        },
        || {
            clones!(SimpleQueue::unbounded() => queue);
            clones!(queue => a, b, c);
            Case::one("SimpleQueue::get", move || assert_eq!(a.get(), 1), move || b.try_put(1).unwrap())
                .limited(move |limit| c.get_timeout(limit).is_ok())
                .unused(move || queue.len())
        },
        || {
            clones!(SimpleQueue::bounded(1) => queue);
            queue.put(0);
            clones!(queue => a, b, c);
            Case::one("SimpleQueue::put", move || a.put(1), move || assert!(b.try_get().is_ok()))
                .limited(move |limit| c.put_timeout(1, limit).is_ok())
                .unused(move || 1 - queue.len())
        },
        || {
            clones!(Channel::new() => channel);
            clones!(channel => a, b, c, d);
            let signal = move || {
                let channel = b.clone();
                spawn(move || channel.put(1));
                yield_now();
            };
            Case::one("Channel::get", move || assert_eq!(a.get(), 1), signal)
                .limited(move |limit| c.get_timeout(limit).is_ok())
                .line(move || usize::try_from(-channel.balance()).unwrap_or(0))
                .unused(move || usize::try_from(d.balance()).unwrap_or(0))
        },
        || {
            clones!(Channel::new() => channel);
            clones!(channel => a, b, c, d);
            let signal = move || {
                let channel = b.clone();
                spawn(move || channel.get());
                yield_now();
            };
            Case::one("Channel::put", move || a.put(1), signal)
                .limited(move |limit| c.put_timeout(1, limit).is_ok())
                .line(move || usize::try_from(channel.balance()).unwrap_or(0))
                .unused(move || usize::try_from(-d.balance()).unwrap_or(0))
        },
    ]
}

/// The two ends of a channel, shared by the closures of a case.
fn ends(room: usize, full: bool) -> Rc<(Sender<u32>, Receiver<u32>)> {
    let ends = channel::bounded(room);
    if full {
        (0..room).for_each(|_| ends.0.send(0).unwrap());
    }
    Rc::new(ends)
}

fn channels() -> Vec<fn() -> Case> {
    vec![
        || {
            clones!(ends(1, false) => ends);
            clones!(ends => a, b, c);
            Case::one(
                "Receiver::recv",
                move || assert_eq!(a.1.recv(), Ok(1)),
                move || b.0.try_send(1).unwrap(),
            )
            .limited(move |limit| c.1.recv_timeout(limit).is_ok())
            .unused(move || ends.1.len())
        },
        || {
            clones!(ends(1, true) => ends);
            clones!(ends => a, b, c);
            Case::one("Sender::send", move || a.0.send(1).unwrap(), move || assert!(b.1.try_recv().is_ok()))
                .limited(move |limit| c.0.send_timeout(1, limit).is_ok())
                .unused(move || 1 - ends.1.len())
        },
        || {
            clones!(ends(0, false) => ends);
            clones!(ends => a, b, c);
            let signal = move || {
                let ends = b.clone();
                spawn(move || ends.0.send(1).unwrap());
                yield_now();
            };
            Case::one("Receiver::recv, no room", move || assert_eq!(a.1.recv(), Ok(1)), signal)
                .limited(move |limit| c.1.recv_timeout(limit).is_ok())
                .unused(move || ends.1.len())
        },
        || {
            clones!(ends(0, false) => ends);
            clones!(ends => a, b, c);
            let signal = move || {
                let ends = b.clone();
                spawn(move || ends.1.recv());
                yield_now();
            };
            Case::one("Sender::send, no room", move || a.0.send(1).unwrap(), signal)
                .limited(move |limit| c.0.send_timeout(1, limit).is_ok())
                .line(move || ends.0.len())
        },
        || {
            let (sender, receiver) = channel::unbounded::<()>();
            let sender = Held::new(sender);
            clones!(receiver => a);
            Case::all(
                "Receiver::recv, disconnected",
                move || assert!(a.recv().is_err()),
                move || sender.release(),
            )
            .limited(move |limit| {
                receiver.recv_timeout(limit) == Err(channel::RecvTimeoutError::Disconnected)
            })
        },
    ]
}

fn selections() -> Vec<fn() -> Case> {
    vec![
        || {
            clones!(Semaphore::new(0) => semaphore);
            clones!(semaphore => a, b, c, d);
            let never = Event::new();
            clones!(never => idle);
            let block = move || select! { recv(idle) -> () => unreachable!(), recv(a) -> () => () };
            Case::one("select! a permit", block, move || assert_eq!(b.release(), 1))
                .limited(move |limit| select! { recv(c) -> () => true, default(limit) => false })
                .line(move || semaphore.linkcount().max(never.linkcount()))
                .unused(move || d.counter())
        },
        || {
            clones!(Queue::unbounded() => queue);
            clones!(queue => a, b, c, d);
            let block = move || select! { recv(a) -> item => assert_eq!(item, Ok(1)) };
            Case::one("select! an item", block, move || b.try_put(1).unwrap())
                .limited(move |limit| select! { recv(c) -> item => item.is_ok(), default(limit) => false })
                .line(move || queue.waiting().1)
                .unused(move || d.len())
        },
        || {
            clones!(Channel::new() => channel);
            clones!(channel => a, b, c);
            let block = move || select! { recv(a) -> item => assert_eq!(item, 1) };
            let signal = move || {
                let channel = b.clone();
                spawn(move || channel.put(1));
                yield_now();
            };
            Case::one("select! a hand-over", block, signal)
                .limited(move |limit| select! { recv(c) -> item => item == 1, default(limit) => false })
                .line(move || usize::try_from(-channel.balance()).unwrap_or(0))
        },
        || {
            clones!(ends(1, false) => ends);
            clones!(ends => a, b, c);
            let block = move || select! { recv(a.1) -> message => assert_eq!(message, Ok(1)) };
            Case::one("select! a message", block, move || b.0.try_send(1).unwrap())
                .limited(
                    move |limit| select! { recv(c.1) -> message => message.is_ok(), default(limit) => false },
                )
                .unused(move || ends.1.len())
        },
        || {
            clones!(ends(1, true) => ends);
            clones!(ends => a, b, c);
            let block = move || select! { send(a.0, 1) -> sent => sent.unwrap() };
            Case::one("select! room", block, move || assert!(b.1.try_recv().is_ok()))
                .limited(
                    move |limit| select! { send(c.0, 1) -> sent => sent.is_ok(), default(limit) => false },
                )
                .unused(move || 1 - ends.1.len())
        },
        || {
            clones!(ends(0, false) => ends);
            clones!(ends => a, b);
            let signal = move || {
                let ends = b.clone();
                spawn(move || ends.1.recv());
                yield_now();
            };
            let block = move || select! { send(a.0, 1) -> sent => sent.unwrap() };
            Case::one("select! a receiver", block, signal).limited(
                move |limit| select! { send(ends.0, 1) -> sent => sent.is_ok(), default(limit) => false },
            )
        },
        || {
            clones!(Event::new() => event);
            clones!(event => a, b, c);
            Case::all("select! an event", move || select! { ready(a) => () }, move || b.set())
                .limited(move |limit| select! { recv(c) -> () => true, default(limit) => false })
                .line(move || event.linkcount())
        },
    ]
}

// --- the tests ------------------------------------------------------------------------------------------------------

/// The way in which a wait is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Kill,
    KillNowait,
    Throw,
    ScopeTimeout,
    Limit,
}

const WAYS: [Way; 5] = [Way::Kill, Way::KillNowait, Way::Throw, Way::ScopeTimeout, Way::Limit];

/// A waiter, with `true` if its wait was satisfied.
struct Waiter {
    greenlet: Greenlet<()>,
    satisfied: Rc<Cell<bool>>,
}

impl Waiter {
    /// Spawns a waiter that waits without a limit and then forever, so that a kill finds it.
    fn new(case: &Case) -> Self {
        Waiter::of(case.block.clone(), |block| {
            block();
            true
        })
    }

    fn of<B: 'static>(block: B, run: fn(&B) -> bool) -> Self {
        let satisfied = Rc::new(Cell::new(false));
        let told = satisfied.clone();
        let greenlet = spawn(move || {
            if run(&block) {
                told.set(true);
                Event::new().wait();
            }
        });
        yield_now();
        yield_now();
        Waiter { greenlet, satisfied }
    }

    /// Spawns a waiter that can be ended in a way; `None` when the wait has no limit of its own.
    fn for_way(case: &Case, way: Way) -> Option<Self> {
        Some(match way {
            Way::ScopeTimeout => {
                Waiter::of(case.block.clone(), |block| with_timeout(SHORT, || block()).is_ok())
            }
            Way::Limit => Waiter::of(case.limited.clone()?, |limited| limited(SHORT)),
            _ => Waiter::new(case),
        })
    }

    /// Ends the wait.
    fn end(&self, way: Way) {
        match way {
            Way::Kill => self.greenlet.kill(),
            Way::KillNowait => self.greenlet.kill_nowait(),
            Way::Throw => self.greenlet.throw(GreenletExit),
            Way::ScopeTimeout | Way::Limit => {}
        }
        self.greenlet.join();
    }
}

/// Runs everything that is queued, and what that queues.
fn settle() {
    for _ in 0..6 {
        yield_now();
    }
}

/// Runs a test with every case and every way in which that case's waits can be ended.
fn crossed(ways: &[Way], test: impl Fn(&Case, Way) + Send + 'static) {
    let ways = ways.to_vec();
    within(LIMIT, move || {
        let all = [flags(), locks(), meetings(), queues(), channels(), selections()];
        for make in all.into_iter().flatten() {
            for way in &ways {
                let case = make();
                settle();
                test(&case, *way);
                assert_eq!((case.unused)(), 0, "signals that are left of {}", case.name);
                get_hub().kill_all(None).unwrap();
                settle();
                case.expect_line(0, "at the end");
                assert_eq!(get_hub().stats().timers, 0, "timers that are left of {}", case.name);
            }
        }
    });
}

/// No waiter is left in line, and a new one is served by the next signal, or the last.
#[test]
fn a_wait_that_is_ended_leaves_nothing() {
    crossed(&WAYS, |case, way| {
        let Some(victim) = Waiter::for_way(case, way) else { return };
        case.expect_line(1, "waiting");
        victim.end(way);
        assert!(!victim.satisfied.get(), "{} by {way:?}", case.name);
        case.expect_line(0, "ended");
        let next = Waiter::new(case);
        assert!(!next.satisfied.get(), "{} by {way:?}", case.name);
        (case.signal)();
        settle();
        assert!(next.satisfied.get(), "{} by {way:?}", case.name);
        case.expect_line(0, "served");
    });
}

/// The next waiter in line keeps its place, and the signal that comes then is its own.
#[test]
fn who_waits_behind_is_served_instead() {
    crossed(&WAYS, |case, way| {
        let Some(victim) = Waiter::for_way(case, way) else { return };
        let next = Waiter::new(case);
        case.expect_line(2, "waiting");
        victim.end(way);
        settle();
        case.expect_line(1, "the first ended");
        assert!(!victim.satisfied.get() && !next.satisfied.get(), "{} by {way:?}", case.name);
        (case.signal)();
        settle();
        assert!(next.satisfied.get(), "{} by {way:?}", case.name);
    });
}

/// A waiter in front is not disturbed.
#[test]
fn who_waits_in_front_is_served_all_the_same() {
    crossed(&WAYS, |case, way| {
        let first = Waiter::new(case);
        let Some(victim) = Waiter::for_way(case, way) else { return };
        victim.end(way);
        settle();
        case.expect_line(1, "the second ended");
        assert!(!victim.satisfied.get() && !first.satisfied.get(), "{} by {way:?}", case.name);
        (case.signal)();
        settle();
        assert!(first.satisfied.get(), "{} by {way:?}", case.name);
    });
}

/// The signal first: the wait is satisfied, and the kill comes at the next one.
#[test]
fn a_kill_queued_after_the_signal_comes_after_it() {
    crossed(&[Way::Kill], |case, _| {
        let victim = Waiter::new(case);
        let next = Waiter::new(case);
        (case.signal)();
        victim.greenlet.kill_nowait();
        settle();
        assert!(victim.satisfied.get() && victim.greenlet.dead(), "{}", case.name);
        assert_eq!(next.satisfied.get(), case.serves_all, "{}", case.name);
        if !case.serves_all {
            case.expect_line(1, "one signal was given");
            (case.signal)();
            settle();
            assert!(next.satisfied.get(), "{}", case.name);
        }
    });
}

/// The kill first: the signal is the next one's.
#[test]
fn a_signal_queued_after_the_kill_goes_to_the_next() {
    crossed(&[Way::Kill], |case, _| {
        let victim = Waiter::new(case);
        let next = Waiter::new(case);
        victim.greenlet.kill_nowait();
        (case.signal)();
        settle();
        assert!(!victim.satisfied.get() && victim.greenlet.dead(), "{}", case.name);
        assert!(next.satisfied.get(), "{}", case.name);
        case.expect_line(0, "the second served");
    });
}

/// The kill first, and no next waiter: the signal is there for a later one.
#[test]
fn a_signal_queued_after_the_kill_is_kept() {
    crossed(&[Way::Kill], |case, _| {
        // A notification is for the waiters in line, a round needs all participants.
        if case.name.starts_with("Condvar") || case.name.starts_with("Barrier") {
            return;
        }
        let victim = Waiter::new(case);
        victim.greenlet.kill_nowait();
        (case.signal)();
        settle();
        assert!(!victim.satisfied.get() && victim.greenlet.dead(), "{}", case.name);
        case.expect_line(0, "no waiter is in line");
        assert!(Waiter::new(case).satisfied.get(), "{}", case.name);
    });
}

/// The time is over and the signal is given in the same iteration: the wait is satisfied (hazard
/// 6). The thread sleeps for longer than the switch interval, which changes nothing.
#[test]
fn a_signal_of_the_same_iteration_beats_a_timeout() {
    crossed(&[Way::ScopeTimeout, Way::Limit], |case, way| {
        let Some(victim) = Waiter::for_way(case, way) else { return };
        let next = Waiter::new(case);
        // A batch may end at every fiftieth callback, as in gevent: begins a new one.
        idle();
        thread::sleep(SHORT * 2);
        (case.signal)();
        settle();
        assert!(victim.satisfied.get(), "{} by {way:?}", case.name);
        assert_eq!(next.satisfied.get(), case.serves_all, "{} by {way:?}", case.name);
    });
}

/// Both of two are killed, the signal comes in between: neither has it, and the third gets it.
#[test]
fn a_signal_between_two_kills_goes_to_the_third() {
    crossed(&[Way::Kill], |case, _| {
        if case.name.starts_with("Barrier") {
            return;
        }
        let victims = [Waiter::new(case), Waiter::new(case)];
        let third = Waiter::new(case);
        victims[1].greenlet.kill_nowait();
        victims[0].greenlet.kill_nowait();
        (case.signal)();
        settle();
        assert!(
            victims.iter().all(|victim| !victim.satisfied.get() && victim.greenlet.dead()),
            "{}",
            case.name
        );
        assert!(third.satisfied.get(), "{}", case.name);
        case.expect_line(0, "the third served");
    });
}

/// All waiters at once, without and with a limit, and the object works as a new one.
#[test]
fn killing_everybody_in_line_leaves_the_object_as_it_was() {
    crossed(&[Way::Kill], |case, _| {
        // Three complete a barrier's round.
        if case.name.starts_with("Barrier") {
            return;
        }
        let limited = case.limited.clone().map(|limited| Waiter::of(limited, |limited| limited(LONG)));
        let waiters: Vec<Waiter> = (0..3).map(|_| Waiter::new(case)).chain(limited).collect();
        let greenlets: Vec<_> = waiters.iter().map(|waiter| waiter.greenlet.clone()).collect();
        case.expect_line(greenlets.len(), "all wait");
        ramie::killall(&greenlets);
        assert!(waiters.iter().all(|waiter| !waiter.satisfied.get()), "{}", case.name);
        case.expect_line(0, "all killed");
        (case.signal)();
        let next = Waiter::new(case);
        if case.name.starts_with("Condvar") {
            (case.signal)();
        }
        settle();
        assert!(next.satisfied.get(), "{}", case.name);
    });
}
