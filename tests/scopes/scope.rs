//! `scope`: greenlets that borrow from the frame that spawns them, which is not left before they
//! are gone.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::hub::{
    BlockingSwitchOutError, StackError, abandoned_greenlets, add_spawn_callback, remove_spawn_callback,
};
use ramie::io::copy_bidirectional;
use ramie::net::{TcpListener, TcpStream};
use ramie::{
    AnyGreenlet, Builder, Exception, Failure, GreenletExit, Scope, ScopedGreenlet, Timeout, catch, fallible,
    get_hub, getcurrent, greenlet_local, joinall, killall, raise, scope, sleep, spawn, with_timeout,
    yield_now,
};

use crate::util::borrow_fixtures::{Borrow, Grenade, Ground, OnDrop, left_by};
use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(300);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

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
            assert!(format!("{last:?} {s:?}").contains("tests/scopes/scope.rs"));
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
            killall([&sleeper]);
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
                    let failure = first.join().unwrap_err();
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
            assert!(failed.join().is_err());
            drop(exits);
            7
        });
        assert_eq!(value, 7);
        // Many that no handle can join any more: the first failure is raised.
        let first = left_by::<u32>(|| {
            scope(|s| (0..100_u32).for_each(|i| drop(s.spawn(move || raise(i)))));
        });
        assert_eq!(first, 0);
        // Also of those that could have been.
        let token = Rc::new("dropped");
        let first = left_by::<Rc<&str>>(|| {
            scope(|s| {
                for _ in 0..100 {
                    let failed = s.spawn(|| raise(token.clone()));
                    yield_now();
                    assert!(failed.ready());
                }
                assert_eq!(Rc::strong_count(&token), 2);
            });
        });
        assert!(Rc::ptr_eq(&first, &token));
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
        // They end with what the scope is left by, which is raised there.
        assert_eq!(errors.words(), Vec::<String>::new());
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
            let _forgotten = ManuallyDrop::new(s.spawn(|| {
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
        // Its destructor waits in the frame of other code: it counts until that is over. The killer
        // is queued first.
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
        // A value that no handle can take is dropped where it was made.
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
                        loop {
                            let _ = catch::<GreenletExit, _>(|| sleep(LONG));
                        }
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

/// A value that is dropped when the thread ends.
type AtExit = RefCell<Option<OnDrop<Box<dyn FnMut()>>>>;

thread_local! {
    static AT_EXIT: AtExit = const { RefCell::new(None) };
}

#[test]
fn works_in_the_destructors_of_a_thread_that_ends() {
    let (tell, told) = std::sync::mpsc::channel();
    for younger in [false, true] {
        let tell = tell.clone();
        within(LIMIT, move || {
            // Both get a destructor that waits: before the hub has noticed the end of the thread,
            // and after.
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
                        // Main continues in the middle of it.
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

/// The scope's caller gets what ended it. That its greenlets end with it is no failure of theirs.
#[test]
fn greenlets_that_end_with_their_scope_are_not_reported() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let late = with_timeout(SHORT, || {
            scope(|s| {
                s.spawn(|| sleep(LONG));
                s.spawn(|| s.spawn(|| sleep(LONG)).join());
            })
        });
        assert!(late.is_err());
        let caught = catch_unwind(|| {
            scope(|s| {
                s.spawn(|| sleep(LONG));
                yield_now();
                resume_unwind(Box::new("a panic"));
            })
        });
        assert!(caught.is_err());
        let (near, far) = pair();
        assert!(with_timeout(SHORT, || copy_bidirectional(&near, &far)).is_err());
        assert_eq!(errors.words(), Vec::<String>::new());

        // A greenlet of its own is a failure, as in gevent's `with`.
        let waiting = spawn(|| sleep(LONG));
        assert!(with_timeout(SHORT, || waiting.scope(|_| sleep(LONG))).is_err());
        assert!(waiting.ready());
        errors.expect("0.005 seconds");

        // So is what one of the children fails with itself.
        let late = with_timeout(SHORT, || {
            scope(|s| {
                s.spawn(|| {
                    if catch::<Timeout, _>(|| sleep(LONG)).is_err() {
                        raise("its own");
                    }
                });
            })
        });
        assert!(late.is_err());
        errors.expect("0.005 seconds its own");
    });
}

/// Two connected streams, at which nothing comes.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}
