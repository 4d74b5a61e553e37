//! std's tests of condition variables, restated for [`ramie::sync::Condvar`].

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::sync::{Condvar, Mutex};
use ramie::{Greenlet, TimedOut, spawn, with_timeout, yield_now};

use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// A lock and its condition variable.
type Pair<T> = Rc<(Mutex<T>, Condvar)>;

fn pair<T>(value: T) -> Pair<T> {
    Rc::new((Mutex::new(value), Condvar::new()))
}

/// Greenlets that wait for one notification each.
fn waiters(pair: &Pair<u32>, count: usize) -> Vec<Greenlet<()>> {
    let greenlets = (0..count)
        .map(|_| {
            let pair = pair.clone();
            spawn(move || {
                let mut woken = pair.1.wait(pair.0.lock());
                *woken += 1;
            })
        })
        .collect();
    yield_now();
    greenlets
}

fn ready(greenlets: &[Greenlet<()>]) -> Vec<bool> {
    greenlets.iter().map(|greenlet| greenlet.ready()).collect()
}

#[test]
fn a_notification_wakes_the_first_in_line() {
    within(LIMIT, || {
        let pair = pair(0);
        let greenlets = waiters(&pair, 4);
        assert_eq!(format!("{:?}", pair.1), "Condvar { waiting: 4 }");
        pair.1.notify_one();
        yield_now();
        assert_eq!(ready(&greenlets), [true, false, false, false]);
        // Two of one turn wake two.
        pair.1.notify_one();
        pair.1.notify_one();
        yield_now();
        assert_eq!(ready(&greenlets), [true, true, true, false]);
        pair.1.notify_all();
        yield_now();
        assert_eq!((ready(&greenlets), *pair.0.lock()), (vec![true; 4], 4));
    });
}

#[test]
fn everybody_is_woken_at_once_and_locks_in_turn() {
    within(LIMIT, || {
        let pair = pair(0);
        let greenlets = waiters(&pair, 5);
        let guard = pair.0.lock();
        pair.1.notify_all();
        yield_now();
        // All are told and wait for the lock.
        assert_eq!(format!("{:?}", pair.1), "Condvar { waiting: 0 }");
        assert_eq!(ready(&greenlets), [false; 5]);
        drop(guard);
        yield_now();
        assert_eq!(*pair.0.lock(), 5);
    });
}

/// A notification is for the present waiters; a later waiter waits for the next.
#[test]
fn a_notification_without_a_waiter_is_lost() {
    within(LIMIT, || {
        let pair = pair(0);
        pair.1.notify_one();
        pair.1.notify_all();
        let greenlets = waiters(&pair, 2);
        assert_eq!(ready(&greenlets), [false, false]);
        // More notifications than waiters leave none over.
        (0..5).for_each(|_| pair.1.notify_one());
        yield_now();
        assert_eq!(ready(&greenlets), [true, true]);
        assert_eq!(ready(&waiters(&pair, 1)), [false]);
    });
}

#[test]
fn who_comes_after_a_notification_does_not_take_it() {
    within(LIMIT, || {
        let pair = pair(0);
        let greenlets = waiters(&pair, 1);
        pair.1.notify_one();
        let (guard, result) = pair.1.wait_timeout(pair.0.lock(), SHORT);
        assert!(result.timed_out());
        assert_eq!((ready(&greenlets), *guard), (vec![true], 1));
    });
}

#[test]
fn waiting_releases_the_lock_and_takes_it_again() {
    within(LIMIT, || {
        let pair = pair(0);
        let greenlets = waiters(&pair, 1);
        *pair.0.try_lock().expect("it was released") = 10;
        pair.1.notify_one();
        greenlets[0].join();
        assert_eq!(*pair.0.lock(), 11);
    });
}

#[test]
fn a_limit_is_kept() {
    within(LIMIT, || {
        let pair = pair(0);
        let start = Instant::now();
        let (guard, result) = pair.1.wait_timeout(pair.0.lock(), SHORT);
        assert!(result.timed_out());
        let (guard, result) = pair.1.wait_timeout(guard, Instant::now() + SHORT);
        assert!(result.timed_out() && start.elapsed() >= SHORT * 2);
        drop(guard);
        let notifier = pair.clone();
        spawn(move || notifier.1.notify_one());
        let (guard, result) = pair.1.wait_timeout(pair.0.lock(), LONG);
        assert!(!result.timed_out() && *guard == 0);
    });
}

#[test]
fn waiting_for_a_condition_looks_again_after_each_notification() {
    within(LIMIT, || {
        let pair = pair(0);
        let waiter = spawn({
            let pair = pair.clone();
            move || *pair.1.wait_while(pair.0.lock(), |value| *value < 3)
        });
        for value in 1..=3 {
            yield_now();
            assert!(!waiter.ready());
            *pair.0.lock() = value;
            pair.1.notify_one();
        }
        assert_eq!(waiter.get().unwrap(), 3);
        // A condition that does not hold needs no notification.
        assert_eq!(*pair.1.wait_while(pair.0.lock(), |value| *value < 3), 3);
    });
}

#[test]
fn a_condition_may_have_a_limit() {
    within(LIMIT, || {
        let pair = pair(0);
        let start = Instant::now();
        let notifier = spawn({
            let pair = pair.clone();
            move || {
                loop {
                    pair.1.notify_one();
                    ramie::sleep(Duration::from_millis(1));
                }
            }
        });
        // Unused notifications do not prolong it.
        let (guard, result) = pair.1.wait_timeout_while(pair.0.lock(), SHORT * 4, |value| *value < 3);
        assert!(result.timed_out() && start.elapsed() >= SHORT * 4);
        drop(guard);
        spawn({
            let pair = pair.clone();
            move || *pair.0.lock() = 3
        });
        let (guard, result) = pair.1.wait_timeout_while(pair.0.lock(), LONG, |value| *value < 3);
        assert!(!result.timed_out() && *guard == 3);
        notifier.kill();
    });
}

#[test]
fn a_buffer_with_two_conditions_loses_nothing() {
    within(LIMIT, || {
        struct Buffer {
            items: Mutex<VecDeque<u32>>,
            filled: Condvar,
            emptied: Condvar,
        }
        let buffer = Rc::new(Buffer {
            items: Mutex::new(VecDeque::new()),
            filled: Condvar::new(),
            emptied: Condvar::default(),
        });
        for producer in 0..4 {
            let buffer = buffer.clone();
            spawn(move || {
                for i in 0..25 {
                    let mut items = buffer.emptied.wait_while(buffer.items.lock(), |items| items.len() == 2);
                    items.push_back(producer * 25 + i);
                    buffer.filled.notify_one();
                }
            });
        }
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let buffer = buffer.clone();
                spawn(move || {
                    let take = |_| {
                        let mut items =
                            buffer.filled.wait_while(buffer.items.lock(), |items| items.is_empty());
                        let item = items.pop_front().unwrap();
                        buffer.emptied.notify_one();
                        item
                    };
                    (0..50).map(take).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut got: Vec<u32> = consumers.iter().flat_map(|g| g.get().unwrap()).collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..100));
    });
}

// --- ended from outside -----------------------------------------------------------------------------------------------

#[test]
fn a_waiter_that_is_ended_leaves_the_line_and_the_lock() {
    within(LIMIT, || {
        let pair = pair(0);
        let greenlets = waiters(&pair, 1);
        greenlets[0].kill();
        assert_eq!(with_timeout(SHORT, || *pair.1.wait(pair.0.lock())), Err(TimedOut));
        assert_eq!(format!("{:?}", pair.1), "Condvar { waiting: 0 }");
        assert!(!pair.0.is_locked());
        pair.1.notify_one();
        assert_eq!(ready(&waiters(&pair, 1)), [false]);
    });
}

/// Killed before it runs, whether the notification came before the kill or after it.
#[test]
fn the_notification_of_a_waiter_that_is_killed_goes_to_the_next() {
    within(LIMIT, || {
        let pair = pair(0);
        let greenlets = waiters(&pair, 3);
        greenlets[0].kill_nowait();
        pair.1.notify_one();
        yield_now();
        assert_eq!((ready(&greenlets), *pair.0.lock()), (vec![true, true, false], 1));
        pair.1.notify_one();
        greenlets[2].kill_nowait();
        yield_now();
        // It came first, and was used.
        assert_eq!(*pair.0.lock(), 2);
    });
}

/// Without a next waiter it is lost, and not kept for a later one.
#[test]
fn the_notification_of_the_only_waiter_goes_with_it() {
    within(LIMIT, || {
        let pair = pair(0);
        let greenlets = waiters(&pair, 2);
        greenlets.iter().for_each(|greenlet| greenlet.kill_nowait());
        pair.1.notify_all();
        yield_now();
        assert_eq!(ready(&greenlets), [true, true]);
        let later = waiters(&pair, 2);
        assert_eq!(ready(&later), [false, false]);
        pair.1.notify_one();
        yield_now();
        assert_eq!(ready(&later), [true, false]);
    });
}

/// One that was notified and is killed while it waits for the lock has not used the notification.
#[test]
fn a_notified_waiter_killed_at_the_lock_hands_the_notification_on() {
    within(LIMIT, || {
        for kill in [true, false] {
            let pair = pair(0);
            let first = spawn({
                let pair = pair.clone();
                move || {
                    let limit = if kill { LONG } else { SHORT };
                    with_timeout(limit, || drop(pair.1.wait(pair.0.lock())))
                }
            });
            yield_now();
            let second = waiters(&pair, 1);
            let guard = pair.0.lock();
            pair.1.notify_one();
            yield_now();
            assert_eq!(format!("{:?}", pair.1), "Condvar { waiting: 1 }");
            if kill {
                first.kill();
            } else {
                assert_eq!(first.get().unwrap(), Err(TimedOut));
            }
            drop(guard);
            yield_now();
            assert_eq!((ready(&second), *pair.0.lock()), (vec![true], 1));
        }
    });
}
