//! The order of a hand-over from greenlet to greenlet: everything that comes before the next item of
//! the queue still does, and the wake of a single waiter keeps the position of its notification.
//!
//! The expected orders are those of a loop that serves every item itself, and hold for every
//! implementation of the switch.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ramie::sync::{Event, Semaphore};
use ramie::{
    Greenlet, SystemExit, Waitable as _, catch, get_hub, joinall, sleep, spawn, with_timeout, yield_now,
};

use crate::util::within;

#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn add(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Spawns a greenlet that writes its name down and yields, so many times.
fn yielder(log: &Log, name: &'static str, times: usize) -> Greenlet<()> {
    let log = log.clone();
    spawn(move || {
        for _ in 0..times {
            log.add(name);
            yield_now();
        }
    })
}

#[test]
fn main_keeps_its_turn_among_greenlets_that_yield() {
    let log = Log::default();
    let all = [yielder(&log, "a", 3), yielder(&log, "b", 3)];
    for _ in 0..3 {
        yield_now();
        log.add("main");
    }
    joinall(&all);
    assert_eq!(log.take(), ["a", "b", "main", "a", "b", "main", "a", "b", "main"]);
}

#[test]
fn a_new_greenlet_begins_in_its_turn() {
    let log = Log::default();
    let first = {
        let log = log.clone();
        spawn(move || {
            log.add("a");
            let inner = yielder(&log, "new", 2);
            yield_now();
            log.add("a");
            yield_now();
            log.add("a");
            inner.join();
        })
    };
    joinall(&[first, yielder(&log, "b", 3)]);
    assert_eq!(log.take(), ["a", "b", "new", "a", "b", "new", "a", "b"]);
}

#[test]
fn kills_come_in_their_turns_between_greenlets_that_yield() {
    let log = Log::default();
    let event = Event::new();
    let victim = |name: &'static str| {
        let (log, event) = (log.clone(), event.clone());
        spawn(move || {
            let killed = catch::<ramie::GreenletExit, _>(|| event.wait());
            log.add(format!("{name} {}", if killed.is_err() { "killed" } else { "woken" }));
        })
    };
    let (thrown, queued) = (victim("thrown"), victim("queued"));
    let killer = {
        let (log, thrown, queued) = (log.clone(), thrown.clone(), queued.clone());
        spawn(move || {
            log.add("killer");
            queued.kill_nowait();
            thrown.kill();
            log.add("killer after kill");
        })
    };
    let all = [yielder(&log, "a", 2), killer, yielder(&log, "b", 2)];
    joinall(&all);
    joinall(&[thrown, queued]);
    assert_eq!(
        log.take(),
        ["killer", "a", "b", "queued killed", "thrown killed", "killer after kill", "a", "b"]
    );
}

#[test]
fn a_system_exit_reaches_main_before_the_next_greenlet() {
    let log = Log::default();
    let greenlets = {
        let exits = {
            let log = log.clone();
            spawn(move || {
                yield_now();
                log.add("exits");
                ramie::raise(SystemExit(3))
            })
        };
        [yielder(&log, "a", 3), exits, yielder(&log, "b", 3)]
    };
    let caught = catch::<SystemExit, _>(|| joinall(&greenlets));
    log.add(format!("main {}", caught.is_err()));
    joinall(&greenlets);
    assert_eq!(log.take(), ["a", "b", "exits", "main true", "a", "b", "a", "b"]);
}

#[test]
fn timers_and_other_threads_get_through_greenlets_that_hand_over_to_each_other() {
    within(Duration::from_secs(60), || {
        let (timer, posted, limited) =
            (Rc::new(Cell::new(false)), Arc::new(AtomicBool::new(false)), Rc::new(Cell::new(false)));
        let done = {
            let (timer, posted, limited) = (timer.clone(), posted.clone(), limited.clone());
            move || timer.get() && posted.load(Ordering::Acquire) && limited.get()
        };
        let busy: Vec<_> = (0..3)
            .map(|_| {
                let done = done.clone();
                spawn(move || {
                    while !done() {
                        yield_now();
                    }
                })
            })
            .collect();
        let sleeper = spawn(move || {
            sleep(Duration::from_millis(20));
            timer.set(true);
        });
        let forever = spawn(move || {
            let ended = with_timeout(Duration::from_millis(20), || {
                loop {
                    yield_now();
                }
            });
            limited.set(ended.is_err());
        });
        let remote = get_hub().remote();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            remote.post(move || posted.store(true, Ordering::Release)).expect("the hub lives");
        });
        joinall(&busy);
        joinall(&[sleeper, forever]);
        thread.join().expect("it does not panic");
    });
}

#[test]
fn a_limit_of_the_same_iteration_comes_after_what_is_queued() {
    let log = Log::default();
    let event = Event::new();
    let waiter = {
        let (log, event) = (log.clone(), event.clone());
        spawn(move || log.add(format!("waiter {}", event.wait_timeout(Duration::from_millis(5)))))
    };
    let setter = {
        let (log, event) = (log.clone(), event.clone());
        spawn(move || {
            yield_now();
            thread::sleep(Duration::from_millis(20));
            event.set();
            log.add("set");
        })
    };
    joinall(&[waiter, setter, yielder(&log, "a", 3)]);
    assert_eq!(log.take()[..3], ["a", "set", "a"].map(String::from));
}

#[test]
fn the_wake_of_a_single_waiter_keeps_the_place_of_its_notification_when_others_come() {
    let log = Log::default();
    let event = Event::new();
    let waiter = |name: &'static str| {
        let (log, event) = (log.clone(), event.clone());
        spawn(move || {
            event.wait();
            log.add(name);
        })
    };
    let first = waiter("first");
    yield_now();
    event.set();
    // Queued behind the notification, so after everything that it serves.
    let behind = yielder(&log, "behind", 1);
    // Both come before the turn of the notification, and are part of it.
    let link = log.clone();
    event.rawlink(Box::new(move || link.add("link")));
    joinall(&[first, behind]);
    assert_eq!(log.take(), ["first", "link", "behind"]);
}

#[test]
fn a_link_that_a_single_waiter_adds_in_its_turn_is_served_when_it_waits() {
    let log = Log::default();
    let target = spawn(yield_now);
    let joiner = {
        let (log, target) = (log.clone(), target.clone());
        spawn(move || {
            target.join();
            log.add("joined");
            let spawned = yielder(&log, "spawned", 1);
            let link = log.clone();
            target.rawlink(move |_| link.add("link"));
            yield_now();
            log.add("back");
            spawned.join();
        })
    };
    joiner.join();
    assert_eq!(log.take(), ["joined", "link", "spawned", "back"]);
}

#[test]
fn a_single_waiter_whose_permit_is_taken_stays_in_its_place() {
    let log = Log::default();
    let semaphore = Semaphore::new(0);
    let waiter = |name: &'static str| {
        let (log, semaphore) = (log.clone(), semaphore.clone());
        spawn(move || {
            semaphore.acquire();
            log.add(name);
        })
    };
    let first = waiter("first");
    yield_now();
    semaphore.release();
    // Before the turn of the notification: the waiter finds nothing and waits on.
    assert!(semaphore.try_acquire(), "there is a permit");
    yield_now();
    let second = waiter("second");
    yield_now();
    assert_eq!(log.take(), [""; 0]);
    assert_eq!(semaphore.linkcount(), 2);
    semaphore.release();
    semaphore.release();
    joinall(&[first, second]);
    assert_eq!(log.take(), ["first", "second"]);
}

#[test]
fn a_kill_between_the_wake_of_a_single_waiter_and_its_turn_loses_nothing() {
    let semaphore = Semaphore::new(0);
    let spawn_waiter = || {
        let semaphore = semaphore.clone();
        spawn(move || semaphore.acquire())
    };
    let killed = spawn_waiter();
    yield_now();
    // The kill is queued first, the wake of the waiter behind it.
    killed.kill_nowait();
    semaphore.release();
    killed.join();
    assert_eq!(semaphore.counter(), 1, "the permit was not taken");
    let other = spawn_waiter();
    other.get().expect("there is a permit");
    assert_eq!((semaphore.counter(), semaphore.linkcount()), (0, 0));
}

#[test]
fn a_pass_over_a_greenlet_keeps_its_place_when_its_only_joiner_is_killed() {
    let log = Log::default();
    let target = spawn(|| ());
    let joiner = {
        let target = target.clone();
        spawn(move || target.join())
    };
    let killer = {
        let (log, target, joiner) = (log.clone(), target.clone(), joiner.clone());
        spawn(move || {
            // The target is dead, and its notification is queued.
            joiner.kill_nowait();
            let link = log.clone();
            target.rawlink(move |_| link.add("link"));
            log.add("killer");
        })
    };
    let behind = yielder(&log, "behind", 2);
    joinall(&[joiner, killer, behind]);
    assert_eq!(log.take(), ["killer", "behind", "link", "behind"]);
}

#[test]
fn ten_thousand_greenlets_run_in_a_ring_beside_kills_and_ends() {
    const GREENLETS: usize = 10_000;
    let turns = Rc::new(RefCell::new(Vec::new()));
    let greenlets: Vec<_> = (0..GREENLETS)
        .map(|index| {
            let turns = turns.clone();
            spawn(move || {
                for round in 0..4 {
                    if index % 7 == 3 && round == 2 {
                        return;
                    }
                    turns.borrow_mut().push((round, index));
                    yield_now();
                }
            })
        })
        .collect();
    yield_now();
    greenlets.iter().skip(5).step_by(7).for_each(|greenlet| greenlet.kill_nowait());
    joinall(&greenlets);
    let expected = (0..4).flat_map(|round| {
        (0..GREENLETS)
            .filter(move |index| round <= 1 || ![3, 5].contains(&(index % 7)))
            .map(move |index| (round, index))
    });
    let turns = turns.take();
    let killed_late = turns.iter().filter(|(round, index)| index % 7 == 5 && *round > 1).count();
    assert_eq!(killed_late, 0);
    assert_eq!(turns, expected.collect::<Vec<_>>());
}

/// Waits when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs a callback of the hub that panics, and waits as `f` does while it unwinds.
fn nest(f: impl FnMut() + 'static) {
    get_hub().run_callback(move || {
        let _late = OnDrop(f);
        panic!("a callback that unwinds");
    });
}

#[test]
fn a_nested_joiner_leaves_the_links_of_its_greenlet_in_order() {
    let greenlet = spawn(|| sleep(Duration::from_millis(5)));
    let joined = greenlet.clone();
    nest(move || joined.join());
    sleep(Duration::from_millis(20));
    let called = Rc::new(Cell::new(false));
    let link = called.clone();
    greenlet.rawlink(move |_| link.set(true));
    sleep(Duration::from_millis(1));
    assert!(called.get());
}

#[test]
fn the_wake_of_main_below_a_nested_wait_loses_no_other_waiter() {
    let semaphore = Semaphore::new(0);
    let (first, second) = (Event::new(), Event::new());
    let end = second.clone();
    nest(move || end.wait());
    let thief = {
        let (semaphore, first) = (semaphore.clone(), first.clone());
        spawn(move || {
            yield_now();
            // The turn of main's wake comes while main cannot run.
            semaphore.release();
            yield_now();
            yield_now();
            assert!(semaphore.try_acquire(), "main has not run");
            first.set();
        })
    };
    let waiter = {
        let (semaphore, first) = (semaphore.clone(), first.clone());
        spawn(move || {
            first.wait();
            semaphore.acquire();
            semaphore.release();
        })
    };
    let releaser = {
        let (semaphore, first) = (semaphore.clone(), first.clone());
        spawn(move || {
            first.wait();
            yield_now();
            semaphore.release();
            yield_now();
            second.set();
        })
    };
    assert!(semaphore.acquire_timeout(Duration::from_secs(60)), "main gets its permit");
    semaphore.release();
    joinall(&[thief, waiter, releaser]);
    assert_eq!((semaphore.counter(), semaphore.linkcount()), (1, 0));
}

#[test]
fn a_nested_wait_that_is_over_ends_with_the_one_inside_it() {
    let log = Log::default();
    let (outer, inner) = (log.clone(), log.clone());
    nest(move || {
        sleep(Duration::from_millis(5));
        outer.add("outer");
    });
    nest(move || {
        sleep(Duration::from_millis(40));
        inner.add("inner");
    });
    let other = log.clone();
    let last = spawn(move || {
        sleep(Duration::from_secs(2));
        other.add("greenlet");
    });
    last.join();
    assert_eq!(log.take(), ["inner", "outer", "greenlet"]);
}
