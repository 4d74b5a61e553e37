//! `scope`: greenlets that borrow from the frame that spawns them, which is not left before they are gone.

mod util;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::{
    AnyGreenlet, BlockingSwitchOutError, Builder, Event, Exception, Failure, GreenletExit, LoopExit, Scope,
    ScopedGreenlet, StackError, SystemExit, TimedOut, Timeout, abandoned_greenlets, add_spawn_callback,
    catch, fallible, get_hub, getcurrent, greenlet_local, joinall, killall, raise, remove_spawn_callback,
    scope, sleep, spawn, with_timeout, yield_now,
};

use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// Calls a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Panics when it is dropped, without a word.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        resume_unwind(Box::new("grenade"));
    }
}

/// Something on a frame that knows who still borrows it: the frame must not be left before all have let go.
struct Ground {
    borrowers: Cell<usize>,
    sum: Cell<u64>,
}

impl Ground {
    fn new() -> Self {
        Ground { borrowers: Cell::new(0), sum: Cell::new(0) }
    }

    fn borrow(&self) -> Borrow<'_> {
        self.borrowers.set(self.borrowers.get() + 1);
        Borrow(self)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.borrowers.get() != 0 {
            eprintln!("a frame was left that is lent");
            std::process::abort();
        }
    }
}

struct Borrow<'a>(&'a Ground);

impl Borrow<'_> {
    fn add(&self, by: u64) {
        self.0.sum.set(self.0.sum.get() + by);
    }
}

impl Drop for Borrow<'_> {
    fn drop(&mut self) {
        self.0.borrowers.set(self.0.borrowers.get() - 1);
    }
}

/// What a call is left with, if it is by an exception of that type.
fn left_by<E: Clone + 'static>(f: impl FnOnce()) -> E {
    match catch::<E, _>(f) {
        Ok(()) => panic!("it returned"),
        Err(caught) => (*caught).clone(),
    }
}

#[test]
fn children_borrow_and_return() {
    within(LIMIT, || {
        let before = settled();
        let mut numbers = vec![1, 2, 3];
        let total = Cell::new(0);
        let text = String::from("text");
        let name = scope(|s| {
            let last = s.spawn(|| {
                numbers.push(4);
                yield_now();
                numbers.push(5);
                &text[..2]
            });
            // Not Send, and shared.
            for i in 0..3 {
                let total = &total;
                s.spawn(move || {
                    yield_now();
                    total.set(total.get() + i);
                });
            }
            assert_eq!(last.get().unwrap(), "te");
            assert!(format!("{last:?} {s:?}").contains("tests/scope.rs"));
            let name = last.name();
            assert_eq!(last.join().unwrap(), "te");
            name
        });
        assert_eq!((numbers.len(), total.get()), (5, 3));
        assert!(name.starts_with("Greenlet-"));
        assert_eq!(scope(|_| 5), 5);
        assert_eq!(settled(), before);
    });
}

#[test]
fn children_spawn_children_as_long_as_the_scope_waits() {
    within(LIMIT, || {
        fn grow<'scope>(s: &'scope Scope<'scope, '_>, depth: u32, count: &'scope Cell<u32>) {
            count.set(count.get() + 1);
            if depth > 0 {
                yield_now();
                for _ in 0..2 {
                    s.spawn(move || grow(s, depth - 1, count));
                }
            }
        }
        let count = Cell::new(0);
        scope(|s| drop(s.spawn(|| grow(s, 5, &count))));
        assert_eq!(count.get(), 63);
        // The last child spawns another one when it ends.
        let late = Cell::new(0);
        scope(|s| {
            s.spawn(|| {
                let _guard = OnDrop(|| {
                    s.spawn(|| {
                        yield_now();
                        late.set(5);
                    });
                });
                yield_now();
            });
        });
        assert_eq!(late.get(), 5);
    });
}

#[test]
fn values_are_joined_once_and_may_be_waited_for() {
    within(LIMIT, || {
        let words = [String::from("a"), String::from("b")];
        scope(|s| {
            let handles: Vec<_> = words.iter().map(|word| s.spawn(move || word.as_str())).collect();
            assert_eq!(joinall(&handles).len(), 2);
            assert!(handles.iter().all(|handle| handle.ready() && handle.successful()));
            let values: Vec<_> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
            assert_eq!(values, ["a", "b"]);
            let any = s.spawn(|| 5).as_any().clone();
            assert!(any.downcast::<i32>().is_none());
            let sleeper = s.spawn(|| sleep(LONG));
            yield_now();
            killall(&[&sleeper]);
            assert!(sleeper.join().unwrap_err().is_exit());
        });
    });
}

#[test]
fn failures_that_nobody_joined_are_raised_at_the_end() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let finished = Cell::new(false);
        let failing = |joined: bool| {
            scope(|s| {
                let first = s.spawn(|| {
                    yield_now();
                    raise("first")
                });
                s.spawn(fallible(|| -> Result<(), i32> {
                    yield_now();
                    yield_now();
                    Err(5)
                }));
                s.spawn(|| {
                    sleep(SHORT);
                    finished.set(true);
                });
                if joined {
                    let failure = first.join().map(|()| ()).unwrap_err();
                    assert_eq!(failure.downcast_ref(), Some(&"first"));
                }
            });
        };
        assert_eq!(left_by::<&str>(|| failing(false)), "first");
        assert!(finished.take());
        assert_eq!(left_by::<i32>(|| failing(true)), 5);
        assert!(finished.take());
        assert_eq!(errors.words(), ["first", "5", "first", "5"]);
        // A panic arrives as the failure that it is.
        let failure = left_by::<Failure>(|| {
            scope(|s| drop(s.spawn(|| resume_unwind(Box::new("boom")))));
        });
        assert_eq!(failure.panic_message(), Some("boom"));
        // Joined after the fact, and killed: nothing is left to tell.
        let value = scope(|s| {
            let failed = s.spawn(|| raise("seen later"));
            let killed = s.spawn(|| sleep(LONG));
            let exits = s.spawn(|| raise(GreenletExit));
            yield_now();
            killed.kill();
            assert!(failed.join().map(|()| ()).is_err());
            drop(exits);
            7
        });
        assert_eq!(value, 7);
        // Many that nobody can join any more: the first is told.
        let first = left_by::<u32>(|| {
            scope(|s| (0..100_u32).for_each(|i| drop(s.spawn(move || raise(i)))));
        });
        assert_eq!(first, 0);
    });
}

#[test]
fn a_value_that_comes_with_a_failure_is_dropped() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let dropped = Cell::new(false);
        let raised = left_by::<&str>(|| {
            scope(|s| {
                s.spawn(|| raise("failed"));
                OnDrop(|| dropped.set(true))
            });
        });
        assert_eq!((raised, dropped.get()), ("failed", true));
    });
}

#[test]
fn panics_and_exceptions_of_the_closure_kill_the_children() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let ground = Ground::new();
        let seen = RefCell::new(Vec::new());
        let leave = |with: &dyn Fn()| {
            scope(|s| {
                let borrow = ground.borrow();
                s.spawn(move || {
                    borrow.add(1);
                    sleep(LONG);
                });
                s.spawn(|| {
                    let _borrow = ground.borrow();
                    let text = catch::<&str, _>(|| catch::<GreenletExit, _>(|| sleep(LONG)));
                    seen.borrow_mut().push(text.map(|_| ()).map_err(|caught| caught.exception().clone()));
                    for _ in 0..10 {
                        // It takes its time.
                        yield_now();
                    }
                });
                yield_now();
                let borrow = ground.borrow();
                // Never begins.
                s.spawn(move || borrow.add(1000));
                with();
            });
        };
        let exception = Exception::new("leaving");
        let thrown = exception.clone();
        let caught = catch::<&str, _>(|| leave(&|| raise(thrown.clone()))).unwrap_err();
        assert!(caught.exception().same(&exception));
        assert!(seen.borrow()[0].as_ref().is_err_and(|caught| caught.same(&exception)));
        assert_eq!((ground.borrowers.get(), ground.sum.get()), (0, 1));
        let panic = catch_unwind(AssertUnwindSafe(|| leave(&|| resume_unwind(Box::new(17_u8)))));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&17_u8));
        assert_eq!((ground.borrowers.get(), ground.sum.get()), (0, 2));
        assert!(errors.words().contains(&"leaving".to_owned()));
    });
}

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
            for turn in 0..40 {
                let (greenlet, left) = family(turns);
                (0..turn).for_each(|_| yield_now());
                for _ in 0..kills {
                    greenlet.kill_with_nowait("stop");
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
                if cfg!(miri) && turn % 4 != 0 {
                    continue;
                }
                // And everybody at once.
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
        parent.kill_with_nowait("first");
        parent.kill_with_nowait("second");
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
                    spawn(move || main.kill_with_nowait("first"));
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
fn handles_may_be_forgotten_and_kept_in_cycles() {
    within(LIMIT, || {
        thread_local! {
            static KEPT: RefCell<Vec<AnyGreenlet>> = const { RefCell::new(Vec::new()) };
        }
        let ground = Ground::new();
        let log = Log::new();
        scope(|s| {
            std::mem::forget(s.spawn(|| {
                let borrow = ground.borrow();
                yield_now();
                borrow.add(1);
            }));
            // A greenlet that holds its own handle.
            let own: Rc<RefCell<Option<ScopedGreenlet<'_, Borrow<'_>>>>> = Rc::default();
            let held = own.clone();
            *own.borrow_mut() = Some(s.spawn(|| {
                let _held = held;
                yield_now();
                ground.borrow()
            }));
            let kept = s.spawn(|| ground.borrow().add(1));
            KEPT.with(|all| all.borrow_mut().push(kept.as_any().clone()));
            // Links are served whenever their turn is, even if it comes after the scope.
            kept.link(log.linker("linked"));
            kept.rawlink(log.linker("told"));
            drop(own);
        });
        assert_eq!(ground.sum.get(), 2);
        yield_now();
        log.expect("linked told");
        KEPT.with(|all| {
            let all = all.borrow();
            assert!(all[0].dead() && all[0].ready());
            all[0].link(log.linker("late"));
            all[0].kill();
            all[0].join();
        });
        yield_now();
        log.expect("linked told late");
    });
}

#[test]
fn removing_links_does_not_keep_the_parent() {
    within(LIMIT, || {
        let done = Cell::new(0);
        scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    getcurrent().unlink_all();
                    yield_now();
                    getcurrent().unlink_all();
                    done.set(done.get() + 1);
                });
            }
        });
        assert_eq!(done.get(), 3);
    });
}

#[test]
fn a_closure_that_never_runs_is_dropped_before_the_scope_is_left() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let ground = Ground::new();
        scope(|s| {
            let borrow = ground.borrow();
            let killed = s.spawn(move || borrow.add(1));
            killed.kill();
            assert_eq!(ground.borrowers.get(), 0);
        });
        // Its destructor waits in somebody else's frame: it counts until that is over. The killer is queued first.
        let ground = Ground::new();
        let victim: Rc<RefCell<Option<AnyGreenlet>>> = Rc::default();
        let target = victim.clone();
        spawn(move || target.take().unwrap().kill());
        scope(|s| {
            let borrow = ground.borrow();
            let slow = OnDrop(move || {
                (0..5).for_each(|_| yield_now());
                borrow.add(1);
            });
            *victim.borrow_mut() = Some(s.spawn(move || drop(slow)).as_any().clone());
        });
        assert_eq!((ground.borrowers.get(), ground.sum.get()), (0, 1));
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
        assert_eq!(*caught.map(|()| ()).unwrap_err(), "over");
        assert_eq!(ground.sum.get(), 1);
        assert!(errors.words().iter().any(|word| word.contains("grenade")));
        // The parent is killed while such a destructor waits on its stack: raised after that, and nothing is lost.
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
fn destructors_of_what_a_child_owns_may_panic() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let ground = Ground::new();
        scope(|s| {
            let (borrow, grenade) = (ground.borrow(), Grenade);
            let captured = s.spawn(move || {
                let _both = (&borrow, &grenade);
                yield_now();
            });
            assert_eq!(captured.join().unwrap_err().panic_message(), Some("grenade"));
        });
        // A value that nobody can take is dropped where it was made.
        let dropped = left_by::<Failure>(|| scope(|s| drop(s.spawn(|| Grenade))));
        assert_eq!(dropped.panic_message(), Some("grenade"));
    });
}

#[test]
fn without_a_stack_the_closure_is_dropped() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let ground = Ground::new();
        scope(|s| {
            let borrow = ground.borrow();
            let huge = Builder::new().stack_size(1 << 62).spawn_scoped(s, move || borrow.add(1));
            if cfg!(any(miri, ramie_fiber = "thread")) {
                // The stand-in brings stacks of its own, and has no room for this one either.
                huge.kill();
                return;
            }
            assert!(huge.join().unwrap_err().is::<StackError>());
        });
        assert_eq!((ground.borrowers.get(), ground.sum.get()), (0, 0));
        if cfg!(any(miri, ramie_fiber = "thread")) {
            return;
        }
        left_by::<StackError>(|| {
            scope(|s| {
                let borrow = ground.borrow();
                Builder::new().stack_size(1 << 62).spawn_scoped(s, move || borrow.add(1));
            });
        });
    });
}

#[test]
fn spawn_callbacks_may_kill_a_child_at_its_start() {
    within(LIMIT, || {
        let ground = Ground::new();
        let id = add_spawn_callback(|greenlet| greenlet.kill());
        scope(|s| {
            let borrow = ground.borrow();
            s.spawn(move || borrow.add(1));
        });
        assert!(remove_spawn_callback(id));
        assert_eq!((ground.borrowers.get(), ground.sum.get()), (0, 0));
    });
}

#[test]
fn there_are_no_scopes_in_the_hub() {
    within(LIMIT, || {
        let ran = Rc::new(Cell::new(0));
        let seen = ran.clone();
        get_hub().run_callback(move || {
            let refused = catch::<BlockingSwitchOutError, _>(|| scope(|_| seen.set(seen.get() + 1)));
            assert!(refused.is_err());
            seen.set(seen.get() + 10);
        });
        yield_now();
        assert_eq!(ran.get(), 10);
    });
}

#[test]
fn the_fiber_has_returned_when_the_scope_has() {
    greenlet_local! {
        static SLOW: RefCell<Option<OnDrop<Box<dyn FnMut()>>>> = RefCell::new(None);
    }
    within(LIMIT, || {
        let ended = Rc::new(Cell::new(false));
        let kept = scope(|s| {
            let ended = ended.clone();
            let child = s.spawn(move || {
                SLOW.with(|slow| {
                    *slow.borrow_mut() = Some(OnDrop(Box::new(move || {
                        (0..5).for_each(|_| yield_now());
                        ended.set(true);
                    })));
                });
            });
            child.as_any().clone()
        });
        assert!(kept.dead() && ended.get());
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
        parent.kill_with_nowait("put off");
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
        assert!(put_off.map(|()| ()).is_err());
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

#[test]
fn a_scope_that_is_abandoned_is_never_left() {
    within(LIMIT, || {
        let before = abandoned_greenlets();
        thread::spawn(|| {
            spawn(|| {
                let ground = Ground::new();
                scope(|s| {
                    let running = ground.borrow();
                    s.spawn(move || {
                        let _running = running;
                        sleep(LONG);
                    });
                    sleep(SHORT);
                    let unrun = ground.borrow();
                    s.spawn(move || unrun.add(1));
                });
            });
            sleep(2 * SHORT);
        })
        .join()
        .unwrap();
        assert!(abandoned_greenlets() >= before + 2);
    });
}

thread_local! {
    static AT_EXIT: RefCell<Option<OnDrop<Box<dyn FnMut()>>>> = const { RefCell::new(None) };
}

#[test]
fn works_in_the_destructors_of_a_thread_that_ends() {
    let (tell, told) = std::sync::mpsc::channel();
    for younger in [false, true] {
        let tell = tell.clone();
        within(LIMIT, move || {
            // Both get a destructor that waits: before the hub has noticed the end of the thread, and after.
            getcurrent();
            if younger {
                yield_now();
            }
            AT_EXIT.with(|slot| {
                *slot.borrow_mut() = Some(OnDrop(Box::new(move || {
                    let ground = Ground::new();
                    scope(|s| {
                        for turns in 0..4 {
                            let borrow = ground.borrow();
                            s.spawn(move || {
                                (0..turns).for_each(|_| sleep(SHORT));
                                borrow.add(1);
                            });
                        }
                        // Main goes on in the middle of it.
                        yield_now();
                        scope(|inner| drop(inner.spawn(yield_now)));
                        sleep(SHORT);
                    });
                    tell.send(ground.sum.get()).unwrap();
                })));
            });
            if !younger {
                yield_now();
            }
        });
        assert_eq!(told.recv().unwrap(), 4);
    }
}

/// Small random numbers, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What one child of a random schedule does with what it has borrowed.
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
                // Nobody is left who would change them.
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
                1 => parent.kill_with_nowait("from outside"),
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
