//! gevent's tests of locks and of values of a greenlet's own (`test__semaphore.py`,
//! `test__lock.py`, `test__local.py`), restated.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use ramie::hub::spawn_raw;
use ramie::sync::{BoundedSemaphore, DummySemaphore, NotOwner, OverRelease, RLock};
use ramie::sync::{Event, Semaphore};
use ramie::{
    Greenlet, LoopExit, Waitable, catch, get_hub, greenlet_local, sleep, spawn, tree_local, wait, yield_now,
};

use crate::util::generic_waits::{
    ended_by_a_timeout_of_the_callers, outer_timeout_is_not_lost, returns_after_its_timeout,
};
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

/// Puts an operation that says whether it succeeded in time through the WAIT battery.
fn wait_battery(operation: impl Fn(Duration) -> bool) {
    returns_after_its_timeout(|limit| assert!(!operation(limit)));
    assert!(!operation(Duration::ZERO));
    outer_timeout_is_not_lost(|limit| assert!(operation(limit)));
}

// --- Semaphore ------------------------------------------------------------------------------------------------------

/// gevent: `TestSemaphore::test_acquire_returns_false_after_timeout`.
#[test]
fn waiting_for_a_permit_passes_the_wait_battery() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        wait_battery(|limit| semaphore.acquire_timeout(limit));
        wait_battery(|limit| semaphore.acquire_timeout(Instant::now() + limit));
        wait_battery(|limit| semaphore.wait_timeout(limit) > 0);
        ended_by_a_timeout_of_the_callers(|| semaphore.acquire());
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (0, 0));
        let bounded = BoundedSemaphore::new(0);
        wait_battery(|limit| bounded.acquire_timeout(limit));
        let lock = RLock::new();
        spawn_raw({
            let lock = lock.clone();
            move || lock.acquire()
        });
        yield_now();
        wait_battery(|limit| lock.acquire_timeout(limit));
        wait_battery(|limit| lock.acquire_timeout(Instant::now() + limit));
    });
}

/// gevent: `TestSemaphore::test_release_twice`.
#[test]
fn links_added_between_two_releases_are_all_called() {
    within(LIMIT, || {
        let log = Log::new();
        let semaphore = Semaphore::new(0);
        semaphore.rawlink(Box::new(log.adder("first")));
        semaphore.release();
        semaphore.rawlink(Box::new(log.adder("second")));
        semaphore.release();
        yield_now();
        log.expect("first second");
        assert_eq!((semaphore.counter(), semaphore.linkcount()), (2, 0));
    });
}

/// gevent: `TestSemaphore::test_rawlink_on_unacquired_runs_notifiers`.
#[test]
fn a_free_semaphore_can_be_waited_for_in_a_list() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(1);
        assert_eq!(wait(std::slice::from_ref(&semaphore)).len(), 1);
        let bounded = BoundedSemaphore::new(1);
        assert_eq!(wait(std::slice::from_ref(&bounded)).len(), 1);
        assert_eq!((semaphore.counter(), bounded.counter()), (1, 1));
    });
}

/// gevent: `TestSemaphoreFair::test_fair_or_hangs`.
#[test]
fn of_those_who_wait_nobody_is_passed_over() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(1);
        for _ in 0..2 {
            let semaphore = semaphore.clone();
            spawn(move || {
                // They pass the permit to and fro without end, unless something stops them.
                loop {
                    semaphore.acquire();
                    yield_now();
                    semaphore.release();
                    yield_now();
                }
            });
        }
        yield_now();
        let third = spawn({
            let semaphore = semaphore.clone();
            // It keeps the permit, so that no greenlet is left that could continue.
            move || semaphore.acquire()
        });
        assert!(catch::<LoopExit, _>(|| Event::new().wait()).is_err());
        assert!(third.dead());
        assert_eq!(semaphore.linkcount(), 2);
    });
}

/// Waiting takes nothing; the answer is what is free when the waiter runs, which may be nothing.
#[test]
fn waiting_for_a_permit_does_not_take_it() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let waiters = [(); 2].map(|()| {
            let semaphore = semaphore.clone();
            spawn(move || semaphore.wait())
        });
        yield_now();
        semaphore.release();
        assert!(semaphore.try_acquire());
        yield_now();
        assert!(!waiters[0].ready());
        semaphore.release();
        yield_now();
        assert_eq!(waiters.map(|waiter| waiter.get().unwrap()), [1, 1]);
        assert_eq!(semaphore.wait(), 1);
    });
}

/// The permit of `with` is given back however the closure ends.
#[test]
fn a_permit_for_a_closure_is_given_back_by_a_kill() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(1);
        let holder = spawn({
            let semaphore = semaphore.clone();
            move || semaphore.with(|| sleep(LONG))
        });
        yield_now();
        assert!(semaphore.locked());
        holder.kill();
        assert_eq!(semaphore.counter(), 1);
        assert_eq!(semaphore.with(|| semaphore.counter()), 0);
    });
}

// --- the other semaphores -------------------------------------------------------------------------------------------

#[test]
fn a_bounded_semaphore_refuses_a_release_too_many() {
    within(LIMIT, || {
        let semaphore = BoundedSemaphore::new(2);
        assert_eq!(semaphore.release(), Err(OverRelease));
        semaphore.acquire();
        assert!(semaphore.try_acquire() && !semaphore.try_acquire() && semaphore.locked());
        assert_eq!([semaphore.release(), semaphore.release()], [Ok(1), Ok(2)]);
        assert_eq!(semaphore.release(), Err(OverRelease));
        assert_eq!((semaphore.counter(), semaphore.wait()), (2, 2));
        semaphore.with(|| assert_eq!(semaphore.counter(), 1));
        assert_eq!(semaphore.counter(), 2);
    });
}

/// A release that no waiter has taken yet counts as well.
#[test]
fn a_bounded_semaphore_counts_permits_that_waiters_are_about_to_take() {
    within(LIMIT, || {
        let semaphore = BoundedSemaphore::new(1);
        semaphore.acquire();
        let waiter = spawn({
            let semaphore = semaphore.clone();
            move || semaphore.acquire()
        });
        yield_now();
        assert_eq!([semaphore.release(), semaphore.release()], [Ok(1), Err(OverRelease)]);
        waiter.get().unwrap();
        assert_eq!(semaphore.release(), Ok(1));
    });
}

#[test]
fn a_dummy_semaphore_never_blocks() {
    within(LIMIT, || {
        let log = Log::new();
        spawn(log.adder("other"));
        let dummy = DummySemaphore;
        dummy.acquire();
        assert!(dummy.try_acquire() && dummy.acquire_timeout(LONG) && !dummy.locked());
        assert_eq!((dummy.counter(), dummy.wait(), dummy.release()), (1, 1, 1));
        assert_eq!(dummy.with(|| 5), 5);
        assert!(log.is_empty());
    });
}

// --- RLock ----------------------------------------------------------------------------------------------------------

#[test]
fn a_lock_is_its_holders_as_often_as_it_likes() {
    within(LIMIT, || {
        let lock = RLock::new();
        assert_eq!(lock.release(), Err(NotOwner));
        lock.acquire();
        assert!(lock.try_acquire() && lock.acquire_timeout(Duration::ZERO) && lock.is_owned());
        let other: Greenlet<(bool, bool, Result<(), NotOwner>)> = spawn({
            let lock = lock.clone();
            move || (lock.is_owned(), lock.try_acquire(), lock.release())
        });
        assert_eq!(other.get().unwrap(), (false, false, Err(NotOwner)));
        for left in [true, true, false] {
            lock.release().unwrap();
            assert_eq!(lock.locked(), left);
        }
        assert_eq!(lock.release(), Err(NotOwner));
    });
}

#[test]
fn a_lock_goes_to_those_who_wait_in_order() {
    within(LIMIT, || {
        let log = Log::new();
        let lock = RLock::new();
        lock.acquire();
        lock.acquire();
        for i in 0..3 {
            let (lock, log) = (lock.clone(), log.clone());
            spawn(move || {
                let _outer = lock.lock();
                let _inner = lock.lock();
                log.add(format!("{i}{}", if lock.is_owned() { "" } else { "?" }));
                yield_now();
                log.add(i);
            });
        }
        yield_now();
        lock.release().unwrap();
        yield_now();
        assert!(log.is_empty());
        lock.release().unwrap();
        get_hub().join();
        log.expect("0 0 1 1 2 2");
        assert!(!lock.locked());
    });
}

/// A guard gives the lock back when its holder is killed; a bare `acquire` leaves it locked, as in
/// gevent.
#[test]
fn a_killed_holder_keeps_only_what_has_no_guard() {
    within(LIMIT, || {
        let lock = RLock::new();
        let guarded = spawn({
            let lock = lock.clone();
            move || {
                let _guard = lock.lock();
                sleep(LONG);
            }
        });
        yield_now();
        guarded.kill();
        assert!(!lock.locked());
        let bare = spawn({
            let lock = lock.clone();
            move || {
                lock.acquire();
                sleep(LONG);
            }
        });
        yield_now();
        bare.kill();
        assert!(lock.locked() && !lock.try_acquire() && !lock.acquire_timeout(SHORT));
    });
}

// --- local ----------------------------------------------------------------------------------------------------------

greenlet_local! {
    static NUMBER: Cell<Option<u32>> = Cell::new(None);
    static OTHER: RefCell<Vec<u32>> = RefCell::default();
    static HELD: RefCell<Option<Rc<()>>> = RefCell::default();
}

tree_local! {
    static TREE: Cell<u32> = Cell::new(0);
}

/// gevent: `test_local_opts_not_subclassed`, `test_attribute_error`.
#[test]
fn a_value_is_seen_by_its_own_greenlet_only() {
    within(LIMIT, || {
        NUMBER.with(|number| number.set(Some(5)));
        let others = [1, 2].map(|i| {
            spawn(move || {
                let before = NUMBER.with(Cell::get);
                NUMBER.with(|number| number.set(Some(i)));
                yield_now();
                (before, NUMBER.with(Cell::get))
            })
        });
        assert_eq!(others.map(|g| g.get().unwrap()), [(None, Some(1)), (None, Some(2))]);
        assert_eq!(NUMBER.with(Cell::get), Some(5));
        // A raw greenlet has values of its own, too.
        let raw = Rc::new(Cell::new(Some(0)));
        let seen = raw.clone();
        spawn_raw(move || seen.set(NUMBER.with(Cell::get)));
        yield_now();
        assert_eq!(raw.get(), None);
    });
}

/// gevent: `test_objects`.
#[test]
fn two_keys_are_independent() {
    within(LIMIT, || {
        OTHER.with(|other| other.borrow_mut().push(1));
        NUMBER.with(|number| number.set(Some(7)));
        assert_eq!(OTHER.get().into_inner(), [1]);
        assert_eq!(NUMBER.get().get(), Some(7));
    });
}

/// gevent: `test_locals_collected_when_greenlet_dead_but_still_referenced`.
#[test]
fn values_go_when_their_greenlet_ends() {
    fn weak_of(body: impl FnOnce() + 'static) -> (Greenlet<()>, Weak<()>) {
        let value = Rc::new(());
        let weak = Rc::downgrade(&value);
        let greenlet = spawn(move || {
            HELD.with(|held| *held.borrow_mut() = Some(value));
            body();
        });
        (greenlet, weak)
    }
    within(LIMIT, || {
        let (ended, of_ended) = weak_of(|| ());
        let (killed, of_killed) = weak_of(|| sleep(LONG));
        let (panicked, of_panicked) = weak_of(|| std::panic::resume_unwind(Box::new(())));
        get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
        yield_now();
        assert!(of_killed.upgrade().is_some());
        killed.kill();
        assert!(ended.ready() && killed.ready() && panicked.ready());
        for weak in [of_ended, of_killed, of_panicked] {
            assert!(weak.upgrade().is_none());
        }
    });
}

/// A value's destructor may use another value, and even wait: it runs on the greenlet's own stack.
#[test]
fn a_values_destructor_is_still_the_greenlets() {
    struct Noisy(Log);
    impl Drop for Noisy {
        fn drop(&mut self) {
            self.0.add(format!("number-{:?}", NUMBER.with(Cell::get)));
            yield_now();
            self.0.add("dropped");
        }
    }
    greenlet_local! {
        static NOISY: RefCell<Option<Noisy>> = RefCell::default();
    }
    within(LIMIT, || {
        let log = Log::new();
        let noise = log.clone();
        spawn(move || NOISY.with(|noisy| *noisy.borrow_mut() = Some(Noisy(noise)))).join();
        // Its result was there before.
        yield_now();
        log.expect("number-None dropped");
    });
}

/// The body of `with` may wait; the value stays, and others have theirs.
#[test]
fn a_value_may_be_held_across_a_wait() {
    within(LIMIT, || {
        let greenlets = [1, 2, 3].map(|i| {
            spawn(move || {
                OTHER.with(|mine| {
                    mine.borrow_mut().push(i);
                    yield_now();
                    OTHER.with(|again| again.borrow_mut().push(i * 10));
                    mine.borrow().clone()
                })
            })
        });
        assert_eq!(greenlets.map(|g| g.get().unwrap()), [[1, 10], [2, 20], [3, 30]]);
    });
}

#[test]
fn a_tree_shares_its_values_and_a_new_root_begins_a_new_tree() {
    within(LIMIT, || {
        fn child() -> u32 {
            TREE.with(|tree| tree.replace(tree.get() + 1))
        }
        let root = |first: u32| {
            spawn(move || {
                TREE.with(|tree| tree.set(first));
                let below = spawn(|| (child(), spawn(child).get().unwrap()));
                (below.get().unwrap(), TREE.with(Cell::get))
            })
        };
        let roots = [root(10), root(20)];
        assert_eq!(roots.map(|g| g.get().unwrap()), [((10, 11), 12), ((20, 21), 22)]);
        assert_eq!(spawn(child).get().unwrap(), 0);
    });
}
