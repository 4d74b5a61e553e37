//! `lend`: work that borrows from a greenlet's frame and runs elsewhere; the frame is not left
//! before it is done.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ramie::hub::{BlockingSwitchOutError, FailureText, Lent, NotRun, abandoned_greenlets, lend};
use ramie::{
    GreenletExit, Kill, TimedOut, catch, get_hub, getcurrent, raise, sleep, spawn, with_timeout, yield_now,
};

use crate::util::assert_send;
use crate::util::borrow_fixtures::{Grenade, OnDrop};
use crate::util::footprint::settled;
use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(5);

/// Runs the work on a thread of its own.
fn on_a_thread(work: Lent) {
    drop(thread::spawn(move || work.run()));
}

/// A thread that runs what it is sent, and each time only when it is told.
struct Worker {
    works: Sender<Lent>,
    go: Sender<()>,
}

impl Worker {
    fn new() -> Self {
        let (works, queue): (_, Receiver<Lent>) = channel();
        let (go, told) = channel();
        thread::spawn(move || {
            for work in queue {
                if told.recv().is_err() {
                    return;
                }
                work.run();
            }
        });
        Worker { works, go }
    }
}

#[test]
fn work_borrows_and_returns() {
    assert_send::<Lent>();
    within(LIMIT, || {
        let mut numbers: Vec<u32> = (0..100).collect();
        let others = Cell::new(0);
        let in_main = lend(
            || {
                numbers.reverse();
                &numbers[..3]
            },
            on_a_thread,
        );
        assert_eq!(in_main.unwrap(), [99, 98, 97]);
        let before = settled();
        let g = spawn(|| {
            let mut text = String::from("a");
            for _ in 0..20 {
                lend(|| text.push('b'), on_a_thread).unwrap();
            }
            text
        });
        let mut here = 5;
        // At once, in `start` itself, and by another greenlet of this hub.
        assert_eq!(lend(|| here += 1, Lent::run).ok(), Some(()));
        let by_another = lend(|| here += 1, |work| drop(spawn(|| work.run())));
        assert_eq!((by_another.ok(), here), (Some(()), 7));
        others.set(others.get() + 1);
        assert_eq!(g.get().unwrap().len(), 21);
        assert_eq!(settled(), before);
    });
}

#[test]
fn others_run_meanwhile() {
    within(LIMIT, || {
        let worker = Worker::new();
        let turns = Rc::new(Cell::new(0));
        let counted = turns.clone();
        let go = worker.go.clone();
        spawn(move || {
            for _ in 0..10 {
                counted.set(counted.get() + 1);
                yield_now();
            }
            go.send(()).unwrap();
        });
        lend(|| (), |work| worker.works.send(work).unwrap()).unwrap();
        assert_eq!(turns.get(), 10);
    });
}

#[test]
fn all_that_is_borrowed_is_let_go_first() {
    within(LIMIT, || {
        for unrun in [false, true] {
            let gone = AtomicBool::new(false);
            let guard = OnDrop(|| {
                thread::sleep(SHORT);
                gone.store(true, Ordering::Relaxed);
            });
            let result = lend(
                move || {
                    let _guard = &guard;
                },
                |work| {
                    thread::spawn(move || if unrun { drop(work) } else { work.run() });
                },
            );
            assert!(gone.load(Ordering::Relaxed));
            assert_eq!(result.err().is_some_and(|failure| failure.is::<NotRun>()), unrun);
        }
    });
}

#[test]
fn panics_and_exceptions_are_the_failure() {
    within(LIMIT, || {
        let panicked = lend(|| -> () { resume_unwind(Box::new(17_u8)) }, on_a_thread);
        assert_eq!(panicked.unwrap_err().panic_payload().and_then(|p| p.downcast_ref()), Some(&17_u8));
        let raised = lend(|| -> () { raise("elsewhere") }, on_a_thread).unwrap_err();
        assert_eq!(raised.to_string(), "elsewhere");
        assert!(raised.is::<FailureText>());
        let here = lend(|| -> () { raise("here") }, |work| drop(spawn(|| work.run()))).unwrap_err();
        assert_eq!(here.downcast_ref(), Some(&"here"));
        // What `f` captured fails when it is dropped.
        let grenade = Grenade;
        let dropped = lend(
            move || {
                let _grenade = &grenade;
            },
            on_a_thread,
        );
        assert_eq!(dropped.unwrap_err().panic_message(), Some("grenade"));
        let grenade = Grenade;
        let unrun = lend(
            move || {
                let _grenade = &grenade;
            },
            |work| drop(thread::spawn(move || drop(work))),
        );
        assert!(unrun.unwrap_err().is::<NotRun>());
    });
}

/// An error with a text that panics.
struct Mute;

impl std::fmt::Debug for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        resume_unwind(Box::new("mute"))
    }
}

impl std::fmt::Display for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        resume_unwind(Box::new("mute"))
    }
}

#[test]
fn an_exception_that_cannot_be_printed_has_a_replacement_for_its_text() {
    within(LIMIT, || {
        let failure = lend(|| -> () { raise(Mute) }, on_a_thread).unwrap_err();
        let text = failure.downcast_ref::<FailureText>().expect("it was raised on another thread");
        assert!(text.kind().ends_with("Mute"), "{text:?}");
    });
}

#[test]
fn start_may_panic_with_and_without_the_work() {
    within(LIMIT, || {
        for hands_on in [false, true] {
            let done = AtomicBool::new(false);
            let left = catch_unwind(AssertUnwindSafe(|| {
                lend(
                    || {
                        thread::sleep(SHORT);
                        done.store(true, Ordering::Relaxed);
                    },
                    |work| {
                        let work = if hands_on {
                            on_a_thread(work);
                            None
                        } else {
                            Some(work)
                        };
                        let _work = work;
                        resume_unwind(Box::new("start"));
                    },
                )
            }));
            assert_eq!(left.unwrap_err().downcast_ref(), Some(&"start"));
            assert_eq!(done.load(Ordering::Relaxed), hands_on);
        }
        // It waits and is killed there, after the work has been handed on.
        let g = spawn(|| {
            let mut value = 0;
            let exit = catch::<GreenletExit, _>(|| {
                lend(
                    || {
                        thread::sleep(SHORT);
                        value = 5;
                    },
                    |work| {
                        on_a_thread(work);
                        sleep(LIMIT);
                    },
                )
            });
            assert!(exit.is_err());
            value
        });
        yield_now();
        g.kill();
        assert_eq!(g.get().unwrap(), 5);
    });
}

#[test]
fn nothing_is_lent_in_the_hub() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let touched = Rc::new(Cell::new(0));
        let seen = touched.clone();
        get_hub().run_callback(move || {
            let result = catch::<BlockingSwitchOutError, _>(|| lend(|| (), |_| seen.set(seen.get() + 1)));
            assert!(result.is_err());
            seen.set(seen.get() + 10);
            let _ = lend(|| (), |_| seen.set(seen.get() + 1));
        });
        yield_now();
        assert_eq!(touched.get(), 10);
        assert_eq!(errors.words(), ["impossible to call a blocking function in a callback of the hub"]);
    });
}

#[test]
fn kills_are_raised_when_the_work_is_done() {
    within(LIMIT, || {
        let worker = Rc::new(Worker::new());
        let log = Log::new();
        let g = spawn({
            let (worker, log) = (worker.clone(), log.clone());
            move || {
                let mut value = 0;
                let caught = catch::<&str, _>(|| {
                    lend(|| value = 5, |work| worker.works.send(work).unwrap()).unwrap();
                    log.add("not reached");
                });
                log.add(format!("{} {value}", caught.unwrap_err()));
                let second = catch::<&str, _>(yield_now);
                log.add(second.unwrap_err());
                yield_now();
                log.add("over");
            }
        });
        yield_now();
        g.kill_with(Kill::new("first").nowait());
        g.kill_with(Kill::new("second").nowait());
        for _ in 0..5 {
            yield_now();
        }
        assert!(log.is_empty());
        worker.go.send(()).unwrap();
        g.join();
        assert_eq!(log.words(), ["first 5", "second", "over"]);
    });
}

#[test]
fn a_result_that_comes_with_a_kill_is_dropped() {
    within(LIMIT, || {
        let worker = Rc::new(Worker::new());
        let dropped = Rc::new(Cell::new(false));
        let g = spawn({
            let (worker, dropped) = (worker.clone(), dropped.clone());
            move || {
                let count = AtomicUsize::new(0);
                let caught = catch::<GreenletExit, _>(|| {
                    let guard = OnDrop(|| _ = count.fetch_add(1, Ordering::Relaxed));
                    lend(move || guard, |work| worker.works.send(work).unwrap()).is_ok()
                });
                assert!(caught.is_err());
                dropped.set(count.load(Ordering::Relaxed) == 1);
            }
        });
        yield_now();
        g.kill_nowait();
        yield_now();
        worker.go.send(()).unwrap();
        g.join();
        assert!(g.successful() && dropped.get());
    });
}

#[test]
fn timeouts_wait_too_and_are_void_once_they_are_closed() {
    within(LIMIT, || {
        let worker = Worker::new();
        let go = worker.go.clone();
        let send = |work| worker.works.send(work).unwrap();
        spawn(move || {
            sleep(10 * SHORT);
            go.send(()).unwrap();
        });
        let mut value = 0;
        let late = with_timeout(SHORT, || lend(|| value = 1, send).is_ok());
        assert_eq!((late, value), (Err(TimedOut), 1));
        // The kill is first. The timeout's scope is gone when the next wait comes.
        let main = getcurrent();
        let go = worker.go.clone();
        spawn(move || {
            main.kill_with(Kill::new("first").nowait());
            sleep(10 * SHORT);
            go.send(()).unwrap();
        });
        let caught = catch::<&str, _>(|| with_timeout(SHORT, || lend(|| value = 2, send).is_ok()));
        assert_eq!(*caught.unwrap_err(), "first");
        assert_eq!(value, 2);
        sleep(2 * SHORT);
    });
}

#[test]
fn works_in_destructors_that_run_while_unwinding() {
    within(LIMIT, || {
        let worker = Rc::new(Worker::new());
        let log = Log::new();
        let g = spawn({
            let (worker, log) = (worker.clone(), log.clone());
            move || {
                let caught = catch::<GreenletExit, _>(|| {
                    let _guard = OnDrop(|| {
                        let mut value = 1;
                        lend(|| value += 1, |work| worker.works.send(work).unwrap()).unwrap();
                        log.add(value);
                    });
                    sleep(LIMIT);
                });
                assert!(caught.is_err());
                log.add(catch::<&str, _>(yield_now).unwrap_err());
            }
        });
        yield_now();
        g.kill_nowait();
        yield_now();
        g.kill_with(Kill::new("put off").nowait());
        yield_now();
        worker.go.send(()).unwrap();
        g.join();
        assert_eq!(log.words(), ["2", "put off"]);
        // And in a thread that panics.
        let mut value = 1;
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _guard = OnDrop(|| lend(|| value += 1, on_a_thread).unwrap());
            resume_unwind(Box::new(()));
        }));
        assert!(panic.is_err());
        assert_eq!(value, 2);
    });
}

#[test]
fn work_that_is_forgotten_is_waited_for_for_ever() {
    within(LIMIT, || {
        let before = abandoned_greenlets();
        thread::spawn(|| {
            let left = Rc::new(Cell::new(false));
            let seen = left.clone();
            let g = spawn(move || {
                let _guard = OnDrop(|| seen.set(true));
                let value = AtomicUsize::new(5);
                let _ = lend(|| value.load(Ordering::Relaxed), |work| _ = ManuallyDrop::new(work));
            });
            yield_now();
            assert!(!g.kill_with(Kill::default().timeout(SHORT)));
            assert!(!left.get());
        })
        .join()
        .unwrap();
        assert!(abandoned_greenlets() > before);
    });
}

/// Tells when it is dropped, which is at the end of its thread.
struct Counted {
    inside: AtomicUsize,
    dropped_with: Arc<Mutex<Option<usize>>>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.dropped_with.lock().unwrap() = Some(self.inside.load(Ordering::Relaxed));
    }
}

thread_local! {
    static COUNTED: RefCell<Option<Rc<Counted>>> = const { RefCell::new(None) };
}

#[test]
fn what_an_abandoned_greenlet_has_lent_is_not_used_after_its_thread() {
    if cfg!(any(miri, ramie_fiber = "thread")) {
        // The stand-in's greenlets do not see the thread-locals of their thread.
        return;
    }
    within(LIMIT, || {
        let (begun, has_begun) = channel();
        let (keep, kept) = channel();
        let dropped_with: Arc<Mutex<Option<usize>>> = Arc::default();
        let last = dropped_with.clone();
        thread::spawn(move || {
            // It lends what belongs to its thread: one piece of work is under way when that ends,
            // the other is not.
            COUNTED.set(Some(Rc::new(Counted { inside: AtomicUsize::new(0), dropped_with: last })));
            for under_way in [true, false] {
                let (begun, keep) = (begun.clone(), keep.clone());
                spawn(move || {
                    COUNTED.with_borrow(|counted| {
                        let counted: &Counted = counted.as_ref().unwrap();
                        let work = || {
                            counted.inside.fetch_add(1, Ordering::Relaxed);
                            begun.send(()).unwrap();
                            thread::sleep(10 * SHORT);
                            counted.inside.fetch_add(1, Ordering::Relaxed);
                        };
                        let start =
                            |work| if under_way { on_a_thread(work) } else { keep.send(work).unwrap() };
                        let _ = lend(work, start);
                    });
                });
            }
            yield_now();
            has_begun.recv().unwrap();
        })
        .join()
        .unwrap();
        // The other one is abandoned with its borrow: then the thread-local is leaked, where that
        // is possible.
        let leaks = cfg!(all(target_os = "linux", target_env = "gnu"));
        let dropped_with = *dropped_with.lock().unwrap();
        assert_eq!(dropped_with, (!leaks).then_some(2), "the thread has waited for what was under way");
        let late: Lent = kept.recv().unwrap();
        late.run();
        assert!(kept.try_recv().is_err());
    });
}

/// A value that is dropped when the thread ends.
type AtExit = RefCell<Option<OnDrop<Box<dyn FnMut()>>>>;

thread_local! {
    static OLDER: AtExit = const { RefCell::new(None) };
}

#[test]
fn works_in_the_destructors_of_a_thread_that_ends() {
    let (tell, told) = channel();
    within(LIMIT, move || {
        // Younger than the hub's place, older than what notices the thread's end: its destructor
        // gets a hub of its own.
        getcurrent();
        OLDER.with(|older| {
            *older.borrow_mut() = Some(OnDrop(Box::new(move || {
                let mut value = 0;
                for _ in 0..3 {
                    assert!(lend(|| value += 1, on_a_thread).is_ok());
                    let failed = lend(|| -> () { raise("late") }, |work| drop(spawn(|| work.run())));
                    assert_eq!(failed.unwrap_err().downcast_ref(), Some(&"late"));
                }
                tell.send(value).unwrap();
            })));
        });
        yield_now();
    });
    assert_eq!(told.recv().unwrap(), 3);
}

#[test]
fn many_lend_at_once() {
    let rounds = if cfg!(miri) { 3 } else { 200 };
    within(LIMIT, move || {
        let total = Rc::new(Cell::new(0));
        let greenlets: Vec<_> = (0..10_usize)
            .map(|number| {
                let total = total.clone();
                spawn(move || {
                    let mut sum = 0;
                    let mut done = 0;
                    let mut kills = 0;
                    while done < rounds {
                        let result = catch::<&str, _>(|| {
                            lend(|| sum += number, on_a_thread).unwrap();
                        });
                        // Killed or not, it was done.
                        done += 1;
                        kills += usize::from(result.is_err());
                    }
                    assert_eq!(sum, rounds * number);
                    total.set(total.get() + kills);
                })
            })
            .collect();
        yield_now();
        for round in 0..rounds {
            greenlets[round % 10].kill_with(Kill::new("now and then").nowait());
            yield_now();
        }
        for greenlet in &greenlets {
            greenlet.get().unwrap();
        }
        assert!(total.get() > 0);
    });
}
