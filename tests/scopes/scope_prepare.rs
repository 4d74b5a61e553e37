//! `Builder::prepare` and spawn callbacks see greenlets of a scope: whatever they do with one, it
//! runs inside the scope or never.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ramie::hub::{add_spawn_callback, remove_spawn_callback};
use ramie::{
    AnyGreenlet, Builder, LoopExit, catch, fallible, getcurrent, raise, scope, sleep, spawn, with_timeout,
    yield_now,
};

use crate::util::borrow_fixtures::{Ground, OnDrop};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(300);
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

/// A name, and what `prepare` does with the greenlet that it is given.
type Action = (&'static str, fn(&AnyGreenlet));

const ACTIONS: [Action; 9] = [
    ("nothing", |_| ()),
    ("starts it", AnyGreenlet::start),
    ("starts it and lets it run", |g| {
        g.start();
        yield_now();
    }),
    ("starts it and joins it", |g| {
        g.start();
        g.join();
    }),
    ("starts it later", |g| g.start_later(SHORT)),
    ("kills it", AnyGreenlet::kill),
    ("kills it without waiting", AnyGreenlet::kill_nowait),
    ("throws into it", |g| g.throw("thrown")),
    ("waits for it to be dead", |g| {
        g.start();
        while !g.dead() {
            yield_now();
        }
    }),
];

/// The way in which `prepare` is left after that.
const ENDINGS: [(&str, fn()); 5] = [
    ("returns", || ()),
    ("waits", yield_now),
    ("panics", || std::panic::resume_unwind(Box::new("prepare"))),
    ("raises", || raise("prepare")),
    ("is timed out or killed", || sleep(LONG)),
];

/// The use of the handle that `prepare` has kept, when the scope is over.
const AFTERWARDS: [fn(&AnyGreenlet); 4] =
    [AnyGreenlet::start, |g| g.start_later(Duration::ZERO), AnyGreenlet::kill, |g| g.throw("late")];

/// The place where the greenlet is made.
fn lend_and_leave(
    kept: &Rc<RefCell<Vec<AnyGreenlet>>>,
    action: fn(&AnyGreenlet),
    ending: fn(),
    caught: bool,
) {
    let ground = Ground::new();
    let keep = kept.clone();
    let builder = Builder::new().prepare(move |g| {
        keep.borrow_mut().push(g.clone());
        action(g);
        ending();
    });
    let lent = &ground;
    let left = catch_unwind(AssertUnwindSafe(|| {
        with_timeout(4 * SHORT, || {
            scope(|s| {
                let borrow = lent.borrow();
                let make = || {
                    builder.spawn_scoped(s, move || {
                        borrow.add(1);
                        yield_now();
                        borrow.add(1);
                    })
                };
                if caught {
                    // The scope itself is left by returning.
                    let made = catch_unwind(AssertUnwindSafe(make));
                    drop(made.map_err(drop));
                } else {
                    make();
                }
            });
        })
    }));
    drop(left);
    assert_eq!(ground.borrowers.get(), 0);
    assert!(ground.sum.get() <= 2);
}

fn every_order(limit: usize) {
    for (what, action) in ACTIONS {
        for (how, ending) in ENDINGS {
            for caught in [false, true] {
                for afterwards in &AFTERWARDS[..limit] {
                    let kept = Rc::new(RefCell::new(Vec::new()));
                    lend_and_leave(&kept, action, ending, caught);
                    let noise = [1_u64; 64];
                    for g in kept.take() {
                        let place = format!("prepare {what} and {how}");
                        assert!(g.dead() && g.ready(), "{place}");
                        afterwards(&g);
                        g.join();
                        yield_now();
                        assert_eq!(noise, [1; 64]);
                    }
                }
            }
        }
    }
}

#[test]
fn whatever_prepare_does_a_child_is_gone_when_its_scope_is() {
    within(LIMIT, || {
        // Failures of children are theirs.
        ramie::get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
        let few = if cfg!(miri) { 1 } else { AFTERWARDS.len() };
        every_order(few);
        if !cfg!(miri) {
            spawn(move || every_order(few)).get().unwrap();
        }
    });
}

#[test]
fn what_prepare_has_started_runs_inside_the_scope() {
    within(LIMIT, || {
        let text = String::from("x");
        let seen = Cell::new(0);
        let builder = Builder::new().prepare(|g| {
            g.start();
            yield_now();
        });
        scope(|s| {
            builder.spawn_scoped(s, || seen.set(text.len()));
        });
        assert_eq!(seen.get(), 1);
    });
}

#[test]
fn a_parent_that_is_killed_in_prepare_takes_the_child_along() {
    within(LIMIT, || {
        let kept = Rc::new(RefCell::new(None));
        let parent = spawn({
            let kept = kept.clone();
            move || {
                let ground = Ground::new();
                let builder = Builder::new().prepare(move |g| {
                    *kept.borrow_mut() = Some(g.clone());
                    sleep(LONG);
                });
                scope(|s| {
                    let borrow = ground.borrow();
                    builder.spawn_scoped(s, move || borrow.add(1));
                });
            }
        });
        yield_now();
        parent.kill();
        let child = kept.take().unwrap();
        assert!(child.dead() && child.successful());
        child.start();
        yield_now();
    });
}

#[test]
fn a_grandchild_in_preparation_holds_the_scope() {
    within(LIMIT, || {
        let sum = Cell::new(0);
        let builder = Builder::new().prepare(|_| sleep(SHORT));
        scope(|s| {
            s.spawn(|| {
                builder.spawn_scoped(s, || sum.set(sum.get() + 1));
                sum.set(sum.get() + 10);
            });
        });
        assert_eq!(sum.get(), 11);
    });
}

#[test]
fn prepare_that_waits_for_an_unstarted_child_learns_that_nothing_can_come() {
    within(LIMIT, || {
        let ground = Ground::new();
        let builder = Builder::new().prepare(|g| g.join());
        let stuck = catch::<LoopExit, _>(|| {
            scope(|s| {
                let borrow = ground.borrow();
                builder.spawn_scoped(s, move || borrow.add(1));
            });
        });
        assert!(stuck.is_err());
        assert_eq!((ground.borrowers.get(), ground.sum.get()), (0, 0));
    });
}

#[test]
fn the_closure_is_dropped_in_the_scope_even_if_its_destructor_waits() {
    within(LIMIT, || {
        let dropped = Cell::new(false);
        let builder = Builder::new().prepare(|_| raise("no"));
        let left = catch::<&str, _>(|| {
            scope(|s| {
                let slow = OnDrop(|| {
                    sleep(SHORT);
                    dropped.set(true);
                });
                builder.spawn_scoped(s, move || drop(slow));
            });
        });
        assert!(left.is_err() && dropped.get());
    });
}

#[test]
fn spawn_callbacks_may_keep_and_start_what_is_lent() {
    within(LIMIT, || {
        let kept = Rc::new(RefCell::new(Vec::<AnyGreenlet>::new()));
        let seen = kept.clone();
        let id = add_spawn_callback(move |g| {
            seen.borrow_mut().push(g.clone());
            g.start();
            g.start_later(Duration::ZERO);
            raise("callbacks may fail");
        });
        ramie::get_hub().set_error_handler(Some(Rc::new(|_, _| ())));
        let ground = Ground::new();
        scope(|s| {
            for _ in 0..3 {
                let borrow = ground.borrow();
                s.spawn(move || borrow.add(1));
            }
        });
        assert!(remove_spawn_callback(id));
        assert_eq!((ground.borrowers.get(), ground.sum.get()), (0, 3));
        for g in kept.take() {
            g.start();
            assert!(g.dead());
        }
    });
}

#[test]
fn fallible_children_keep_their_errors() {
    within(LIMIT, || {
        scope(|s| {
            let failed = s.spawn(fallible(|| "x".parse::<u32>())).join().unwrap_err();
            assert!(failed.is::<std::num::ParseIntError>());
        });
    });
}

type Late = OnDrop<Box<dyn FnMut()>>;

thread_local! {
    /// The borrow of the closure of a child.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

#[test]
#[cfg_attr(miri, ignore = "the stand-in's fibers have thread-locals of their own")]
fn a_child_of_a_scope_that_its_thread_ended_cannot_be_started_by_a_destructor() {
    let (tell, told) = channel();
    within(LIMIT, move || {
        thread::spawn(move || {
            // The hub's own thread-local is the oldest, so that a destructor can have a hub.
            getcurrent();
            let kept = Rc::new(RefCell::new(None));
            let mine = kept.clone();
            // Older than the text, and so destroyed after it.
            LATE.with(|late| {
                *late.borrow_mut() = Some(OnDrop(Box::new(move || {
                    let child: AnyGreenlet = mine.take().unwrap();
                    child.start();
                    child.join();
                    tell.send(child.ready()).unwrap();
                })));
            });
            TEXT.with(|text| text.borrow_mut().push_str("a text that a child borrows"));
            spawn(move || {
                TEXT.with(|text| {
                    let builder = Builder::new().prepare(move |g| {
                        *kept.borrow_mut() = Some(g.clone());
                        sleep(LONG);
                    });
                    scope(|s| {
                        builder.spawn_scoped(s, || unreachable!("the closure borrows {}", text.borrow()));
                    });
                });
            });
            sleep(SHORT);
        })
        .join()
        .unwrap();
    });
    assert!(told.recv().unwrap());
}
