//! Code of items that a queue calls while it is borrowed, and permits that are given back on every
//! way out.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::WaitWhileBorrowed;
use ramie::queue::{PriorityQueue, Queue};
use ramie::sync::BoundedSemaphore;
use ramie::sync::Semaphore;
use ramie::{catch, shared, sleep, spawn, with_timeout, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// An item that waits when it is compared or cloned, if it is told to.
struct Waiting {
    number: u32,
    waits: Rc<Cell<bool>>,
}

impl Waiting {
    fn wait(&self) {
        if self.waits.get() {
            yield_now();
        }
    }
}

impl Clone for Waiting {
    fn clone(&self) -> Self {
        self.wait();
        Waiting { number: self.number, waits: self.waits.clone() }
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.wait();
        self.number.cmp(&other.number)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Waiting {}

#[test]
fn a_comparison_that_waits_is_named_and_loses_no_item() {
    within(LIMIT, || {
        // A thread without a hub has no greenlets that could look at what is borrowed.
        yield_now();
        let waits = Rc::new(Cell::new(false));
        let item = |number| Waiting { number, waits: waits.clone() };
        let queue = PriorityQueue::default();
        queue.put(item(2)).ok().unwrap();
        waits.set(true);
        let refused = catch::<WaitWhileBorrowed, _>(|| drop(queue.put(item(1)))).unwrap_err();
        let text =
            "impossible to call a blocking function in a comparison of two items, which borrows the object";
        assert_eq!(refused.to_string(), text);
        // It is in the queue all the same, and another greenlet finds the queue as usable as
        // before.
        assert_eq!(queue.len(), 2);
        waits.set(false);
        let other = spawn({
            let queue = queue.clone();
            move || (queue.get().unwrap().number, queue.get().unwrap().number)
        });
        let mut numbers = [other.get().unwrap().0, other.get().unwrap().1];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
    });
}

#[test]
fn a_clone_that_waits_in_peek_is_named() {
    within(LIMIT, || {
        // A thread without a hub has no greenlets that could look at what is borrowed.
        yield_now();
        let waits = Rc::new(Cell::new(true));
        let queue = Queue::unbounded();
        queue.put(Waiting { number: 1, waits: waits.clone() }).ok().unwrap();
        let refused = catch::<WaitWhileBorrowed, _>(|| drop(queue.peek())).unwrap_err();
        assert!(refused.to_string().contains("the clone of an item"));
        waits.set(false);
        assert_eq!(queue.peek().unwrap().number, 1);
        assert_eq!(queue.get().unwrap().number, 1);
        yield_now();
    });
}

/// Takes permits on every way and leaves in every way; `counter` tells how many are free.
fn leaves<P>(permit: impl Fn() -> P + Clone + 'static, counter: impl Fn() -> usize) {
    // Killed.
    let victim = spawn({
        let permit = permit.clone();
        move || {
            let _permit = permit();
            sleep(LONG);
        }
    });
    yield_now();
    assert_eq!(counter(), 0);
    // In line behind it, and killed there.
    let waiter = spawn({
        let permit = permit.clone();
        move || drop(permit())
    });
    yield_now();
    waiter.kill();
    victim.kill();
    assert_eq!(counter(), 1);
    // Timed out.
    let late = with_timeout(SHORT, || {
        let _permit = permit();
        sleep(LONG);
    });
    assert!(late.is_err());
    assert_eq!(counter(), 1);
    // Dropped.
    drop(permit());
    assert_eq!(counter(), 1);
}

#[test]
fn permits_are_given_back_on_every_way_out() {
    within(LIMIT, || {
        let local: &'static Semaphore = Box::leak(Box::new(Semaphore::new(1)));
        leaves(|| local.permit(), || local.counter());
        let bounded: &'static BoundedSemaphore = Box::leak(Box::new(BoundedSemaphore::new(1)));
        leaves(|| bounded.permit(), || bounded.counter());
        let shared: &'static shared::Semaphore = Box::leak(Box::new(shared::Semaphore::new(1)));
        leaves(|| shared.permit(), || shared.counter());

        let held = local.try_permit().unwrap();
        assert!(local.try_permit().is_none() && local.permit_timeout(SHORT).is_none());
        assert!(format!("{held:?}").contains("SemaphorePermit"));
        held.forget();
        assert_eq!((local.counter(), local.release()), (0, 1));
        let kept = RefCell::new(Some(bounded.permit_timeout(SHORT).unwrap()));
        // One too many is released in between: the bound holds.
        assert_eq!(bounded.release().unwrap(), 1);
        drop(kept.take());
        assert_eq!(bounded.counter(), 1);
    });
}
