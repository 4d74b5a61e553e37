//! std's and crossbeam's tests of locks and meeting points, restated for [`ramie::sync`].

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ramie::sync::{Barrier, Mutex, Once, OnceCell, RwLock, WaitGroup};
use ramie::{Greenlet, TimedOut, get_hub, joinall, sleep, spawn, with_timeout, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(2);

// --- Mutex ----------------------------------------------------------------------------------------------------------

#[test]
fn a_mutex_lets_one_in_at_a_time_and_in_order() {
    within(LIMIT, || {
        let log = Rc::new(Mutex::new(Vec::new()));
        let greenlets: Vec<_> = (0..5)
            .map(|i| {
                let log = log.clone();
                spawn(move || {
                    for _ in 0..2 {
                        let mut log = log.lock();
                        log.push(i);
                        yield_now();
                        log.push(i);
                        drop(log);
                        yield_now();
                    }
                })
            })
            .collect();
        joinall(&greenlets);
        let log = log.lock();
        assert!(log.chunks(2).all(|pair| pair[0] == pair[1]));
        let turns: Vec<u32> = log.iter().step_by(2).copied().collect();
        assert_eq!(turns, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_mutex_gives_its_value_back() {
    within(LIMIT, || {
        let mut mutex: Mutex<u32> = 4.into();
        *mutex.get_mut() += 1;
        *mutex.lock() += 1;
        assert_eq!((mutex.to_string_while_locked(), mutex.into_inner()), ("6".to_owned(), 6));
        assert_eq!(*Mutex::<u32>::default().lock(), 0);
        // Also without a known size.
        let unsized_mutex: &Mutex<[u32]> = &Mutex::new([1, 2, 3]);
        unsized_mutex.lock()[1] = 20;
        assert_eq!(&*unsized_mutex.lock(), &[1, 20, 3]);
    });
}

trait Shown {
    fn to_string_while_locked(&self) -> String;
}

impl Shown for Mutex<u32> {
    fn to_string_while_locked(&self) -> String {
        let guard = self.lock();
        assert_eq!(format!("{guard:?} {self:?}"), "6 Mutex { value: <locked> }");
        guard.to_string()
    }
}

#[test]
fn a_mutex_is_tried_and_waited_for_with_a_limit() {
    within(LIMIT, || {
        let mutex = Rc::new(Mutex::new(1));
        let guard = mutex.try_lock().unwrap();
        assert!(mutex.is_locked() && mutex.try_lock().is_none());
        let start = Instant::now();
        assert!(mutex.lock_timeout(SHORT).is_none());
        assert!(mutex.lock_timeout(Instant::now() + SHORT).is_none());
        assert!(start.elapsed() >= SHORT * 2);
        let waiter = spawn({
            let mutex = mutex.clone();
            move || mutex.lock_timeout(LONG).map(|guard| *guard)
        });
        yield_now();
        drop(guard);
        assert_eq!(waiter.get().unwrap(), Some(1));
        assert!(!mutex.is_locked());
    });
}

/// A mutex is not poisoned: neither by a panic nor by a kill.
#[test]
fn a_holder_that_unwinds_releases_and_poisons_nothing() {
    within(LIMIT, || {
        get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
        let mutex = Rc::new(Mutex::new(0));
        let holders = [true, false].map(|panics| {
            let mutex = mutex.clone();
            spawn(move || {
                let mut guard = mutex.lock();
                *guard += 1;
                if panics {
                    resume_unwind(Box::new("oh"));
                }
                sleep(LONG);
            })
        });
        yield_now();
        holders[1].kill();
        assert!(holders[0].get().unwrap_err().is_panic());
        assert_eq!(*mutex.lock(), 2);
    });
}

// --- RwLock ---------------------------------------------------------------------------------------------------------

/// A greenlet that logs when it has the lock and holds it for a turn.
fn user(lock: &Rc<RwLock<u32>>, log: &Log, name: &'static str) -> Greenlet<()> {
    let (lock, log) = (lock.clone(), log.clone());
    spawn(move || {
        if name.starts_with('w') {
            let mut guard = lock.write();
            log.add(name);
            yield_now();
            *guard += 1;
        } else {
            let guard = lock.read();
            log.add(name);
            let before = *guard;
            yield_now();
            assert_eq!(*guard, before);
        }
    })
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    within(LIMIT, || {
        let lock = RwLock::new(1);
        let (one, two) = (lock.read(), lock.try_read().unwrap());
        assert_eq!(*one + *two, 2);
        assert!(lock.try_write().is_none() && lock.write_timeout(SHORT).is_none());
        drop(one);
        assert!(lock.try_write().is_none());
        drop(two);
        let mut guard = lock.try_write().unwrap();
        *guard = 5;
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        assert!(lock.read_timeout(SHORT).is_none() && lock.write_timeout(Duration::ZERO).is_none());
        drop(guard);
        assert_eq!(*lock.read(), 5);
        assert_eq!(lock.into_inner(), 5);
    });
}

/// Readers that keep coming do not keep a writer out, and those that waited when it left come
/// before the next writer.
#[test]
fn a_writer_gets_in_and_then_the_readers_that_waited() {
    within(LIMIT, || {
        let log = Log::new();
        let lock = Rc::new(RwLock::new(0));
        for name in ["r1", "w1", "r2", "w2", "r3", "w3"] {
            user(&lock, &log, name);
        }
        get_hub().join();
        log.expect("r1 w1 r2 r3 w2 w3");
        assert_eq!(*lock.read(), 3);
    });
}

#[test]
fn readers_that_keep_coming_do_not_starve_a_writer() {
    within(LIMIT, || {
        let lock = Rc::new(RwLock::new(0));
        let stop = Rc::new(Cell::new(false));
        let readers = [(); 3].map(|()| {
            let (lock, stop) = (lock.clone(), stop.clone());
            spawn(move || {
                while !stop.get() {
                    let _guard = lock.read();
                    yield_now();
                }
            })
        });
        yield_now();
        for _ in 0..10 {
            *lock.write_timeout(LONG).unwrap() += 1;
        }
        stop.set(true);
        joinall(&readers);
        assert_eq!(*lock.read(), 10);
    });
}

#[test]
fn writers_that_keep_coming_do_not_starve_a_reader() {
    within(LIMIT, || {
        let lock = Rc::new(RwLock::new(0));
        let stop = Rc::new(Cell::new(false));
        let writers = [(); 3].map(|()| {
            let (lock, stop) = (lock.clone(), stop.clone());
            spawn(move || {
                while !stop.get() {
                    let mut guard = lock.write();
                    yield_now();
                    *guard += 1;
                }
            })
        });
        yield_now();
        for _ in 0..10 {
            assert!(lock.read_timeout(Duration::from_secs(5)).is_some());
        }
        stop.set(true);
        joinall(&writers);
    });
}

/// Readers that were kept back for a writer's sake go on when it leaves the line, however it
/// leaves.
#[test]
fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
    within(LIMIT, || {
        for kill in [true, false] {
            let lock = Rc::new(RwLock::new(0));
            let guard = lock.read();
            let writer = spawn({
                let lock = lock.clone();
                move || lock.write_timeout(if kill { LONG } else { SHORT }).is_some()
            });
            yield_now();
            let reader = spawn({
                let lock = lock.clone();
                move || lock.read_timeout(LONG).is_some()
            });
            yield_now();
            assert!(!reader.ready());
            if kill {
                writer.kill();
            } else {
                assert!(!writer.get().unwrap());
            }
            assert!(reader.get().unwrap());
            drop(guard);
            assert!(lock.try_write().is_some());
        }
    });
}

/// A reader that was to come before the next writer and leaves does not keep that writer out.
#[test]
fn readers_that_give_up_let_the_writer_behind_them_in() {
    within(LIMIT, || {
        let lock = Rc::new(RwLock::new(0));
        let guard = lock.write();
        let readers = [(); 2].map(|()| {
            let lock = lock.clone();
            spawn(move || drop(lock.read()))
        });
        let writer = spawn({
            let lock = lock.clone();
            move || lock.write_timeout(LONG).is_some()
        });
        yield_now();
        readers.iter().for_each(|reader| reader.kill_nowait());
        drop(guard);
        assert!(writer.get().unwrap());
        assert!(readers.iter().all(|reader| reader.dead()) && lock.try_write().is_some());
    });
}

#[test]
fn a_lock_shows_and_gives_its_value() {
    within(LIMIT, || {
        let mut lock: RwLock<u32> = 1.into();
        *lock.get_mut() = 2;
        assert_eq!(format!("{lock:?} {:?}", lock.read()), "RwLock { value: 2 } 2");
        let guard = lock.write();
        assert_eq!(format!("{lock:?} {guard:?}"), "RwLock { value: <locked> } 2");
        drop(guard);
        let unsized_lock: &RwLock<[u32]> = &RwLock::new([1, 2]);
        unsized_lock.write()[0] = 3;
        assert_eq!(&*unsized_lock.read(), &[3, 2]);
    });
}

// --- Barrier --------------------------------------------------------------------------------------------------------

#[test]
fn a_barrier_opens_when_the_last_one_comes_and_has_one_leader() {
    within(LIMIT, || {
        let barrier = Rc::new(Barrier::new(10));
        let greenlets: Vec<_> = (0..9)
            .map(|_| {
                let barrier = barrier.clone();
                spawn(move || barrier.wait().is_leader())
            })
            .collect();
        yield_now();
        assert!(greenlets.iter().all(|g| !g.ready()));
        assert!(barrier.wait().is_leader());
        yield_now();
        assert!(greenlets.iter().all(|g| g.ready() && !g.get().unwrap()));
    });
}

#[test]
fn a_barrier_is_used_again_and_again() {
    within(LIMIT, || {
        let barrier = Rc::new(Barrier::new(3));
        let rounds = Rc::new(RefCell::new([0; 3]));
        let greenlets: Vec<_> = (0..3)
            .map(|i| {
                let (barrier, rounds) = (barrier.clone(), rounds.clone());
                spawn(move || {
                    let mut led = 0;
                    for round in 0..20 {
                        rounds.borrow_mut()[i] = round;
                        led += usize::from(barrier.wait().is_leader());
                        // No thread is a round ahead that has not begun.
                        assert!(rounds.borrow().iter().all(|other| *other == round || *other == round + 1));
                        (0..i).for_each(|_| yield_now());
                    }
                    led
                })
            })
            .collect();
        assert_eq!(greenlets.iter().map(|g| g.get().unwrap()).sum::<usize>(), 20);
    });
}

#[test]
fn a_barrier_for_none_or_one_never_waits() {
    within(LIMIT, || {
        for size in [0, 1] {
            let barrier = Barrier::new(size);
            assert!(barrier.wait().is_leader() && barrier.wait().is_leader());
        }
    });
}

#[test]
fn a_killed_waiter_takes_its_arrival_back() {
    within(LIMIT, || {
        let barrier = Rc::new(Barrier::new(2));
        let victim = spawn({
            let barrier = barrier.clone();
            move || barrier.wait()
        });
        yield_now();
        victim.kill();
        assert_eq!(with_timeout(SHORT, || barrier.wait()), Err(TimedOut));
        let other = spawn({
            let barrier = barrier.clone();
            move || barrier.wait().is_leader()
        });
        yield_now();
        assert!(!other.ready());
        assert!(barrier.wait().is_leader() && !other.get().unwrap());
        // A kill that comes when the barrier has opened is too late to take anything back.
        let late = spawn({
            let barrier = barrier.clone();
            move || barrier.wait()
        });
        yield_now();
        late.kill_nowait();
        barrier.wait();
        yield_now();
        assert!(late.dead());
        assert_eq!(format!("{barrier:?}"), "Barrier { size: 2, arrived: 0 }");
    });
}

// --- Once, OnceCell -------------------------------------------------------------------------------------------------

#[test]
fn what_is_done_once_is_waited_for_by_everybody() {
    within(LIMIT, || {
        let once = Rc::new(Once::new());
        let calls = Rc::new(Cell::new(0));
        let greenlets: Vec<_> = (0..10)
            .map(|_| {
                let (once, calls) = (once.clone(), calls.clone());
                spawn(move || {
                    once.call_once(|| {
                        (0..4).for_each(|_| yield_now());
                        calls.set(calls.get() + 1);
                    });
                    assert!(once.is_completed() && calls.get() == 1);
                })
            })
            .collect();
        yield_now();
        assert!(!once.is_completed());
        joinall(&greenlets);
        assert!(greenlets.iter().all(|g| g.successful()));
        once.call_once(|| panic!("it was done"));
    });
}

#[test]
fn what_panicked_is_tried_again() {
    within(LIMIT, || {
        let once = Once::new();
        let panicked = catch_unwind(AssertUnwindSafe(|| once.call_once(|| resume_unwind(Box::new("oh")))));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"oh"));
        assert!(!once.is_completed());
        once.call_once(|| ());
        assert!(once.is_completed());
    });
}

#[test]
fn a_cell_is_filled_by_the_first_who_succeeds() {
    within(LIMIT, || {
        get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
        let cell = Rc::new(OnceCell::new());
        assert_eq!(cell.get(), None);
        // One fails, one panics, one is killed at it; the fourth makes it, and the fifth waits and
        // gets that.
        let failing = spawn({
            let cell = cell.clone();
            move || {
                cell.get_or_try_init(|| {
                    yield_now();
                    Err("no luck")
                })
                .copied()
            }
        });
        let panicking = spawn({
            let cell = cell.clone();
            move || *cell.get_or_init(|| resume_unwind(Box::new("oh")))
        });
        let killed = spawn({
            let cell = cell.clone();
            move || {
                *cell.get_or_init(|| {
                    sleep(LONG);
                    3
                })
            }
        });
        let makers = [4, 5].map(|i| {
            let cell = cell.clone();
            spawn(move || {
                *cell.get_or_init(|| {
                    yield_now();
                    i
                })
            })
        });
        assert_eq!(failing.get().unwrap(), Err("no luck"));
        assert!(panicking.get().unwrap_err().is_panic());
        killed.kill();
        assert_eq!(makers.map(|g| g.get().unwrap()), [4, 4]);
        assert_eq!((cell.get(), cell.set(6)), (Some(&4), Err(6)));
    });
}

#[test]
fn setting_a_cell_waits_for_who_makes_its_value() {
    within(LIMIT, || {
        let cell = Rc::new(OnceCell::new());
        let maker = spawn({
            let cell = cell.clone();
            move || {
                let made: Result<&u32, &str> = cell.get_or_try_init(|| {
                    yield_now();
                    Err("no luck")
                });
                made.is_ok()
            }
        });
        yield_now();
        assert_eq!(cell.set(7), Ok(()));
        assert!(!maker.get().unwrap());
        let mut cell = Rc::into_inner(cell).unwrap();
        *cell.get_mut().unwrap() += 1;
        assert_eq!((cell.take(), cell.take(), cell.set(9)), (Some(8), None, Ok(())));
        assert_eq!(cell.into_inner(), Some(9));
    });
}

// --- WaitGroup ------------------------------------------------------------------------------------------------------

#[test]
fn a_group_is_waited_for_by_all_its_members() {
    within(LIMIT, || {
        let log = Log::new();
        let group = WaitGroup::new();
        for i in 0..3 {
            let (member, log) = (group.clone(), log.clone());
            spawn(move || {
                (0..i).for_each(|_| yield_now());
                log.add(i);
                member.wait();
                log.add("over");
            });
        }
        assert_eq!(format!("{group:?}"), "WaitGroup { members: 4 }");
        group.wait();
        log.add("main");
        get_hub().join();
        assert_eq!(log.words()[..3], ["0", "1", "2"]);
        assert_eq!(log.words()[3..].iter().filter(|word| *word == "over").count(), 3);
    });
}

/// A killed greenlet, waiting or working, has left the group.
#[test]
fn a_killed_member_has_left() {
    within(LIMIT, || {
        let group = WaitGroup::new();
        let [worker, waiter] = [false, true].map(|waits| {
            let member = group.clone();
            spawn(move || {
                if waits {
                    member.wait();
                } else {
                    sleep(LONG);
                    drop(member);
                }
            })
        });
        yield_now();
        waiter.kill();
        worker.kill();
        assert_eq!(format!("{group:?}"), "WaitGroup { members: 1 }");
        group.wait();
        assert_eq!(with_timeout(LONG, || WaitGroup::default().wait()), Ok(()));
    });
}
