//! `wait` and `iwait` over things of every kind at once.

use std::collections::BTreeSet;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::channel;
use ramie::net::{TcpListener, TcpStream};
use ramie::queue::{Channel, LifoQueue, PriorityQueue, Queue, SimpleQueue};
use ramie::sync::BoundedSemaphore;
use ramie::sync::{AsyncResult, Event, Semaphore};
use ramie::time::after;
use ramie::{TimedOut, Waitable, get_hub, iwait, sleep, spawn, wait, wait_timeout, with_timeout, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// Things to wait for, and what makes each of them ready.
struct Mix {
    things: Vec<Rc<dyn Waitable>>,
    triggers: Vec<Box<dyn FnOnce()>>,
}

impl Mix {
    fn add(&mut self, thing: impl Waitable + 'static, trigger: impl FnOnce() + 'static) {
        self.things.push(Rc::new(thing));
        self.triggers.push(Box::new(trigger));
    }

    /// One of each kind, none of them ready.
    fn new() -> Self {
        let mut mix = Mix { things: Vec::new(), triggers: Vec::new() };
        let event = Event::new();
        mix.add(event.clone(), move || event.set());
        let gate = Event::new();
        let opened = gate.clone();
        mix.add(spawn(move || gate.wait()), move || opened.set());
        let result = AsyncResult::new();
        mix.add(result.clone(), move || result.set(1));
        let failed = AsyncResult::<()>::new();
        mix.add(failed.clone(), move || failed.set_exception("no luck"));
        let semaphore = Semaphore::new(0);
        mix.add(semaphore.clone(), move || assert_eq!(semaphore.release(), 1));
        let bounded = BoundedSemaphore::new(1);
        bounded.acquire();
        mix.add(bounded.clone(), move || assert_eq!(bounded.release(), Ok(1)));
        let queue = Queue::unbounded();
        mix.add(queue.clone(), move || queue.put(1).unwrap());
        let shut = LifoQueue::<u32>::default();
        mix.add(shut.clone(), move || shut.shutdown());
        let smallest = PriorityQueue::default();
        mix.add(smallest.clone(), move || smallest.put(1).unwrap());
        let simple = SimpleQueue::unbounded();
        mix.add(simple.clone(), move || simple.put(1));
        let meeting = Channel::new();
        mix.add(meeting.clone(), move || drop(spawn(move || meeting.put(1))));
        let (sender, receiver) = channel::unbounded();
        // The sender goes with the trigger; a receiver that will get nothing any more is ready,
        // too.
        mix.add(receiver, move || sender.send(1).unwrap());
        let (full, emptied) = channel::bounded(1);
        full.send(0).unwrap();
        mix.add(full, move || assert_eq!(emptied.recv(), Ok(0)));
        let (zero, taker) = channel::bounded::<u32>(0);
        mix.add(zero, move || drop(spawn(move || taker.recv())));
        let (offering, offered) = channel::bounded(0);
        mix.add(offered, move || drop(spawn(move || offering.send(1))));
        mix
    }
}

#[test]
fn a_mix_is_reported_in_the_order_in_which_its_members_become_ready() {
    within(LIMIT, || {
        let mix = Mix::new();
        let count = mix.things.len();
        // A fixed order that is not that of the list.
        let order: Vec<usize> = (0..count).map(|i| (i * 7 + 3) % count).collect();
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), count);
        let mut triggers: Vec<_> = mix.triggers.into_iter().map(Some).collect();
        let mut ready = iwait(&mix.things).timeout(LONG);
        for next in order {
            let trigger = triggers[next].take().unwrap();
            let g = spawn(trigger);
            assert!(ready.next().is_some());
            assert_eq!(ready.last_index(), Some(next));
            g.get().unwrap();
        }
        assert!(ready.next().is_none());
    });
}

#[test]
fn everything_that_is_ready_already_is_returned() {
    within(LIMIT, || {
        let mix = Mix::new();
        assert!(wait_timeout(&mix.things, Duration::ZERO).is_empty());
        mix.triggers.into_iter().for_each(|trigger| trigger());
        assert_eq!(wait_timeout(&mix.things, LONG).len(), mix.things.len());
        // Waiting has taken nothing, so all is ready still, except for what was never stored.
        assert!(mix.things.iter().filter(|thing| thing.is_ready()).count() >= mix.things.len() - 1);
    });
}

/// Neither a limit, nor a timeout around it, nor a kill leaves a link, and what comes then is not
/// lost.
#[test]
fn a_wait_for_a_mix_that_is_ended_leaves_nothing() {
    within(LIMIT, || {
        let mix = Rc::new(Mix::new());
        yield_now();
        let before = get_hub().stats().timers;
        assert!(wait_timeout(&mix.things, SHORT).is_empty());
        assert_eq!(with_timeout(SHORT, || wait(&mix.things).len()), Err(TimedOut));
        let waiting = mix.clone();
        let g = spawn(move || wait(&waiting.things).len());
        yield_now();
        g.kill();
        assert!(g.dead() && Rc::strong_count(&mix) == 1);
        assert_eq!(get_hub().stats().timers, before);
        let mix = Rc::into_inner(mix).unwrap();
        mix.triggers.into_iter().for_each(|trigger| trigger());
        assert_eq!(wait(&mix.things).len(), mix.things.len());
    });
}

/// The first of two waiters for one permit in a list is woken, and does not have it; the second is
/// woken as well.
#[test]
fn waiting_in_a_list_takes_nothing_from_others() {
    within(LIMIT, || {
        let (semaphore, queue) = (Semaphore::new(0), Queue::unbounded());
        let lists = [(); 2].map(|()| {
            let things: [Rc<dyn Waitable>; 2] = [Rc::new(semaphore.clone()), Rc::new(queue.clone())];
            spawn(move || wait(&things).len())
        });
        let (taker, getter) = (semaphore.clone(), queue.clone());
        let acquiring = spawn(move || taker.acquire());
        let getting = spawn(move || getter.get());
        yield_now();
        assert_eq!((semaphore.linkcount(), queue.waiting()), (3, (0, 3)));
        semaphore.release();
        queue.put(1).unwrap();
        assert_eq!(lists.map(|list| list.get().unwrap()), [2, 2]);
        acquiring.get().unwrap();
        assert_eq!(getting.get().unwrap(), Ok(1));
        assert_eq!((semaphore.counter(), semaphore.linkcount(), queue.waiting()), (0, 0, (0, 0)));
    });
}

#[test]
fn time_and_sockets_are_waited_for_beside_everything_else() {
    within(LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let never = Event::new();
        let connecting = spawn(move || {
            sleep(SHORT);
            TcpStream::connect(address).unwrap()
        });
        let start = Instant::now();
        let first = {
            let limit = after(LONG);
            let things = [&never as &dyn Waitable, &listener, &limit];
            let mut ready = iwait(&things);
            ready.next();
            ready.last_index()
        };
        assert_eq!(first, Some(1));
        let (accepted, _) = listener.accept().unwrap();
        let connected = connecting.take().unwrap();
        let soon = after(SHORT);
        let things = [&accepted as &dyn Waitable, &soon, &never];
        let mut ready = iwait(&things).timeout(LONG);
        assert!(ready.next().is_some());
        assert_eq!(ready.last_index(), Some(1));
        (&connected).write_all(b"x").unwrap();
        assert!(ready.next().is_some());
        assert_eq!(ready.last_index(), Some(0));
        drop(ready);
        assert_eq!(never.linkcount(), 0);
        assert!(start.elapsed() >= SHORT * 2);
    });
}

/// An object that is ready from a certain time on stays ready, for any number of waits; dropped, it
/// keeps nothing alive.
#[test]
fn a_point_in_time_is_ready_once_it_has_come() {
    within(LIMIT, || {
        let (soon, never_asked) = (after(SHORT), after(LONG));
        assert!(!soon.is_ready());
        for _ in 0..2 {
            assert_eq!(wait(&[&soon as &dyn Waitable]).len(), 1);
            assert!(soon.is_ready());
        }
        drop(never_asked);
        let start = Instant::now();
        get_hub().join();
        assert!(start.elapsed() < LONG);
    });
}
