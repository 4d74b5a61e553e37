//! Kills, timeouts and system errors that meet a `scope`: its frame is not left before its
//! greenlets are gone.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use ramie::sync::Event;
use ramie::{
    GreenletExit, Kill, LoopExit, Scope, SystemExit, TimedOut, Timeout, catch, get_hub, getcurrent, raise,
    scope, sleep, spawn, with_timeout, yield_now,
};

use crate::util::borrow_fixtures::{Grenade, Ground, OnDrop, left_by};
use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(300);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// Spawns a greenlet with a scope of all sorts of children, which waits in many places.
fn family(turns: usize) -> (ramie::Greenlet<u64>, Rc<Cell<usize>>) {
    let left = Rc::new(Cell::new(0));
    let leaving = left.clone();
    let greenlet = spawn(move || {
        let _left = OnDrop(move || leaving.set(leaving.get() + 1));
        let ground = Ground::new();
        scope(|s| {
            for i in 0..3 {
                let borrow = ground.borrow();
                s.spawn(move || {
                    for _ in 0..turns {
                        borrow.add(i);
                        yield_now();
                    }
                });
                yield_now();
            }
            s.spawn(|| {
                // Waits while it unwinds.
                let _guard = OnDrop(|| {
                    let borrow = ground.borrow();
                    yield_now();
                    borrow.add(1);
                });
                (0..turns).for_each(|_| yield_now());
            });
            s.spawn(|| {
                // Swallows whatever comes.
                let borrow = ground.borrow();
                for _ in 0..turns {
                    let _ = catch::<GreenletExit, _>(|| catch::<&str, _>(yield_now));
                    borrow.add(1);
                }
            });
            let inner = s.spawn(|| {
                let own = Ground::new();
                scope(|inner| {
                    let (outer_borrow, own_borrow) = (ground.borrow(), own.borrow());
                    inner.spawn(move || {
                        for _ in 0..turns {
                            outer_borrow.add(1);
                            own_borrow.add(1);
                            yield_now();
                        }
                    });
                    yield_now();
                });
                own.sum.get()
            });
            yield_now();
            let of_inner = inner.join();
            yield_now();
            of_inner.unwrap_or(0)
        })
    });
    (greenlet, left)
}

#[test]
fn the_parent_is_killed_wherever_it_waits() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let turns = if cfg!(miri) { 2 } else { 6 };
        let before = settled();
        let mut completed = 0;
        for kills in 1..3 {
            for turn in (0..40).step_by(if cfg!(miri) { 6 } else { 1 }) {
                let (greenlet, left) = family(turns);
                (0..turn).for_each(|_| yield_now());
                for _ in 0..kills {
                    greenlet.kill_with(Kill::new("stop").nowait());
                }
                greenlet.join();
                match greenlet.get() {
                    Ok(sum) => {
                        completed += 1;
                        assert_eq!(sum, turns as u64);
                    }
                    Err(failure) => assert_eq!(failure.downcast_ref(), Some(&"stop")),
                }
                assert_eq!(left.get(), usize::from(turn > 0), "a greenlet that was begun is left once");
                assert_eq!(settled(), before);
                // And all at once.
                let (_, left) = family(turns);
                (0..turn).for_each(|_| yield_now());
                get_hub().kill_all(None).unwrap();
                assert!(left.get() <= 1);
                assert_eq!(settled(), before);
            }
        }
        assert!(completed > 0);
    });
}

#[test]
fn a_kill_during_the_wait_goes_to_the_children_first() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let log = Log::new();
        let noted = log.clone();
        let parent = spawn(move || {
            let log = noted;
            let caught = catch::<&str, _>(|| {
                scope(|s| {
                    s.spawn(|| {
                        let caught = catch::<&str, _>(|| sleep(LONG));
                        log.add(format!("child {}", caught.unwrap_err()));
                        sleep(SHORT);
                        log.add("child ends");
                    });
                });
                log.add("not reached");
            });
            log.add(format!("parent {}", caught.unwrap_err()));
            log.add(format!("later {}", catch::<&str, _>(yield_now).unwrap_err()));
            yield_now();
        });
        yield_now();
        yield_now();
        parent.kill_with(Kill::new("first").nowait());
        parent.kill_with(Kill::new("second").nowait());
        parent.join();
        log.expect("child first child ends parent first later second");
        assert!(parent.successful() && errors.is_empty());
    });
}

#[test]
fn timeouts_around_and_inside() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let ground = Ground::new();
        let late = with_timeout(SHORT, || {
            scope(|s| {
                let borrow = ground.borrow();
                s.spawn(move || {
                    let _borrow = borrow;
                    sleep(LONG);
                });
            });
        });
        assert_eq!(late, Err(TimedOut));
        assert_eq!(ground.borrowers.get(), 0);
        // The timeout of a child's own.
        let inside = scope(|s| s.spawn(|| with_timeout(SHORT, || sleep(LONG))).join().unwrap());
        assert_eq!(inside, Err(TimedOut));
        // Late, behind a kill: void when its scope has been left.
        let main = getcurrent();
        let caught = catch::<&str, _>(|| {
            with_timeout(SHORT, || {
                scope(|s| {
                    s.spawn(|| {
                        let _ = catch::<&str, _>(|| sleep(LONG));
                        sleep(10 * SHORT);
                    });
                    spawn(move || main.kill_with(Kill::new("first").nowait()));
                });
            })
        });
        assert_eq!(*caught.unwrap_err(), "first");
        sleep(2 * SHORT);
        // Cancelled by a child when it has fired: the exception stands, as it was handed on.
        let timeout = Timeout::new(SHORT);
        let result = timeout.scope(|| {
            scope(|s| {
                s.spawn(|| {
                    let caught = catch::<Timeout, _>(|| sleep(LONG)).unwrap_err();
                    caught.cancel();
                });
            });
        });
        assert_eq!(result, Err(TimedOut));
    });
}

#[test]
fn the_killed_scope_drops_closures_whose_destructors_wait_and_fail() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let ground = Ground::new();
        let g_sum = Rc::new(Cell::new(0));
        let caught = catch::<&str, _>(|| {
            scope(|s| {
                let borrow = ground.borrow();
                let slow = OnDrop(move || {
                    yield_now();
                    borrow.add(1);
                });
                s.spawn(move || drop(slow));
                let (borrow, grenade) = (ground.borrow(), Grenade);
                s.spawn(move || {
                    let _both = (&borrow, &grenade);
                });
                raise("over")
            })
        });
        assert_eq!(*caught.unwrap_err(), "over");
        assert_eq!(ground.sum.get(), 1);
        assert!(errors.words().iter().any(|word| word.contains("grenade")));
        // The parent is killed while such a destructor waits on its stack: raised after that, and
        // nothing is lost.
        let sum = g_sum.clone();
        let parent = spawn(move || {
            let ground = Ground::new();
            let caught = catch::<&str, _>(|| {
                catch::<GreenletExit, _>(|| {
                    scope(|s| {
                        let borrow = ground.borrow();
                        let slow = OnDrop(move || {
                            borrow.add(1);
                            sleep(LONG);
                        });
                        s.spawn(move || drop(slow));
                        raise("over")
                    })
                })
            });
            assert_eq!(*caught.map(|_: Result<(), _>| ()).unwrap_err(), "over");
            sum.set(ground.sum.get());
            // What came second.
            let second = catch::<GreenletExit, _>(|| sleep(LONG));
            assert!(second.is_err());
            5
        });
        yield_now();
        parent.kill();
        assert_eq!((parent.get().unwrap(), g_sum.get()), (5, 1));
    });
}

#[test]
fn scopes_in_destructors_that_run_while_unwinding() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let log = Log::new();
        let noted = log.clone();
        let parent = spawn(move || {
            let log = noted;
            let caught = catch::<GreenletExit, _>(|| {
                let _guard = OnDrop(|| {
                    let ground = Ground::new();
                    scope(|s| {
                        let borrow = ground.borrow();
                        s.spawn(move || {
                            sleep(2 * SHORT);
                            borrow.add(1);
                        });
                    });
                    log.add(ground.sum.get());
                    // A limit inside the destructor works, and its children are killed by it.
                    let late = with_timeout(SHORT, || scope(|s| drop(s.spawn(|| sleep(LONG)))));
                    log.add(late.is_err());
                });
                sleep(LONG);
            });
            assert!(caught.is_err());
            log.add(catch::<&str, _>(yield_now).unwrap_err());
        });
        yield_now();
        parent.kill_nowait();
        yield_now();
        yield_now();
        // Put off: the children of the destructor are not interrupted either.
        parent.kill_with(Kill::new("put off").nowait());
        parent.join();
        log.expect("1 true put off");
    });
}

#[test]
fn main_that_waits_for_nothing_kills_its_children() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let ground = Ground::new();
        let event = Event::new();
        let exit = left_by::<LoopExit>(|| {
            scope(|s| {
                for _ in 0..3 {
                    let borrow = ground.borrow();
                    s.spawn(|| {
                        let _borrow = borrow;
                        event.wait();
                    });
                }
                s.spawn(|| {
                    let own = 5;
                    scope(|inner| {
                        inner.spawn(|| {
                            event.wait();
                            own
                        });
                    });
                });
            });
        });
        assert_eq!(exit.waiting.len(), 6);
        assert_eq!(ground.borrowers.get(), 0);
        // One that survives it and then finds something to wait for.
        let mut survived = false;
        left_by::<LoopExit>(|| {
            scope(|s| {
                s.spawn(|| {
                    let _ = catch::<LoopExit, _>(|| event.wait());
                    sleep(SHORT);
                    survived = true;
                });
            });
        });
        assert!(survived);
        // In a destructor it is put off, as every exception is.
        let put_off = catch::<&str, _>(|| {
            let _guard = OnDrop(|| {
                scope(|s| {
                    let borrow = ground.borrow();
                    s.spawn(|| {
                        let _borrow = borrow;
                        event.wait();
                    });
                });
            });
            raise("unwinding")
        });
        assert!(put_off.is_err());
        left_by::<LoopExit>(yield_now);
        yield_now();
    });
}

#[test]
fn system_exit_of_a_child_ends_the_scope_of_main() {
    within(LIMIT, || {
        let ground = Ground::new();
        let exit = left_by::<SystemExit>(|| {
            scope(|s| {
                let borrow = ground.borrow();
                s.spawn(move || {
                    let _borrow = borrow;
                    sleep(LONG);
                });
                s.spawn(|| {
                    yield_now();
                    raise(SystemExit(3));
                });
            });
        });
        assert_eq!((exit, ground.borrowers.get()), (SystemExit(3), 0));
        // The same exception, once more for each of the children that it was handed on to.
        while catch::<SystemExit, _>(yield_now).is_err() {}
        // In the scope of another greenlet it goes to main, and nowhere else.
        let parent = spawn(|| scope(|s| drop(s.spawn(|| raise(SystemExit(4))))));
        assert_eq!(left_by::<SystemExit>(|| sleep(LONG)), SystemExit(4));
        parent.join();
        assert!(parent.successful());
    });
}

/// Small random numbers, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The use that one child of a random schedule makes of its borrow.
fn act<'scope>(
    s: &'scope Scope<'scope, '_>,
    cells: &'scope [Cell<u64>],
    random: &'scope RefCell<Random>,
    depth: u32,
) {
    let pick = |limit| random.borrow_mut().below(limit);
    for _ in 0..pick(4) {
        let at = pick(cells.len() as u64) as usize;
        cells[at].set(cells[at].get() + 1);
        // The last cell is the sum of all others; they are changed with no wait in between.
        cells[cells.len() - 1].set(cells[cells.len() - 1].get() + u64::from(at != cells.len() - 1));
        if at == cells.len() - 1 {
            cells[at].set(cells[at].get() - 1);
        }
        match pick(10) {
            0 if depth > 0 => drop(s.spawn(move || act(s, cells, random, depth - 1))),
            1 if depth > 0 => {
                let own = Cell::new(0);
                scope(|inner| {
                    inner.spawn(|| {
                        yield_now();
                        own.set(own.get() + 1);
                        cells[0].set(cells[0].get() + 1);
                        cells[cells.len() - 1].set(cells[cells.len() - 1].get() + 1);
                    });
                    yield_now();
                });
            }
            2 => raise("failed"),
            3 => _ = catch::<GreenletExit, _>(yield_now),
            4 => {
                let _guard = OnDrop(yield_now);
                yield_now();
            }
            5 => getcurrent().kill(),
            6 => resume_unwind(Box::new("boom")),
            _ => yield_now(),
        }
    }
}

#[test]
fn random_schedules_keep_the_books() {
    let rounds = if cfg!(miri) {
        6
    } else if cfg!(ramie_fiber = "thread") {
        200
    } else {
        4000
    };
    within(LIMIT, move || {
        let _errors = Log::of_errors();
        let before = settled();
        let failed = Rc::new(Cell::new([0_u64; 3]));
        for round in 0..rounds {
            let ends = failed.clone();
            let mut outside = Random(round * 7 + 1);
            let parent = spawn(move || {
                let random = RefCell::new(Random(round));
                let cells: Vec<Cell<u64>> = (0..5).map(|_| Cell::new(0)).collect();
                let result = catch_unwind(AssertUnwindSafe(|| {
                    scope(|s| {
                        for _ in 0..4 {
                            s.spawn(|| act(s, &cells, &random, 3));
                        }
                        act(s, &cells, &random, 2);
                        let victim = s.spawn(|| act(s, &cells, &random, 1));
                        yield_now();
                        victim.kill();
                    })
                }));
                let mut counts = ends.get();
                counts[usize::from(result.is_err())] += 1;
                ends.set(counts);
                let (sum, parts) = cells.split_last().unwrap();
                assert_eq!(sum.get(), parts.iter().map(Cell::get).sum::<u64>());
                // No borrower is left that would change them.
                let then: Vec<u64> = cells.iter().map(Cell::get).collect();
                for _ in 0..3 {
                    let _ = catch::<GreenletExit, _>(|| catch::<&str, _>(yield_now));
                }
                assert_eq!(then, cells.iter().map(Cell::get).collect::<Vec<_>>());
                (result, ends).1
            });
            for _ in 0..outside.below(8) {
                yield_now();
            }
            match outside.below(3) {
                0 => parent.kill_nowait(),
                1 => {
                    parent.kill_with(Kill::new("from outside").nowait());
                }
                _ => {}
            }
            parent.join();
            let failure = parent.exception();
            assert!(
                failure.as_ref().is_none_or(|failure| failure.is::<&str>()),
                "round {round}: {failure:?}"
            );
        }
        let [returned, raised, _] = failed.get();
        assert!(cfg!(miri) || (returned > 0 && raised > 0));
        assert_eq!(settled(), before);
    });
}
