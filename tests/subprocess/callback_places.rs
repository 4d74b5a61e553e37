//! The places where code of the user's is called, for `callback_matrix.rs`.
#![cfg(unix)]

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use ramie::hub::{Lane, LinkId, WaitQueue, Waits, add_spawn_callback, lend, remove_spawn_callback};
use ramie::queue::{PriorityQueue, Queue};
use ramie::sync::{AsyncResult, Event};
use ramie::{
    Builder, Greenlet, Group, Kill, Limit, Mapping, Pool, Timeout, Waitable, blocking, catch, get_hub,
    greenlet_local, scope, sleep, spawn, spawn_later, tree_local, yield_now,
};

use crate::callback_matrix::{Act, panics, waits_while_it_unwinds};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

/// A value with traits that are all the user's.
struct Odd(Act);

impl Drop for Odd {
    fn drop(&mut self) {
        (self.0)(None);
    }
}

/// Acts when it is cloned, printed or compared, and not when it is dropped.
struct Loud {
    act: Act,
    number: u32,
}

impl Loud {
    fn new(act: &Act) -> Self {
        Loud { act: act.clone(), number: 0 }
    }
}

impl Clone for Loud {
    fn clone(&self) -> Self {
        (self.act)(None);
        Loud { act: self.act.clone(), number: self.number }
    }
}

impl fmt::Display for Loud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.act)(None);
        f.write_str("loud")
    }
}

impl fmt::Debug for Loud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.act)(None);
        f.write_str("Loud")
    }
}

impl Ord for Loud {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.act)(None);
        self.number.cmp(&other.number)
    }
}

impl PartialOrd for Loud {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Loud {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Loud {}

/// An exception with a destructor of the user's.
struct Thrown(#[expect(dead_code, reason = "it is dropped")] Odd);

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thrown")
    }
}

impl fmt::Debug for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thrown")
    }
}

/// An object that is waited for here runs user code to report if it is ready.
struct Asked {
    act: Act,
    ready: Cell<bool>,
}

impl Waits for Asked {
    fn is_ready(&self) -> bool {
        if get_hub().in_callback() {
            (self.act)(None);
        }
        self.ready.get()
    }
}

/// The same with several lanes.
struct Lanes {
    act: Act,
    ready: Cell<bool>,
}

impl Waits for Lanes {
    const RULE: ramie::hub::WakePolicy = ramie::hub::WakePolicy::Ordered;

    fn is_ready(&self) -> bool {
        self.ready.get()
    }

    fn next_lane(&self, waiting: [usize; 2], _last: Option<Lane>) -> Option<Lane> {
        if get_hub().in_callback() {
            (self.act)(None);
        }
        (self.ready.get() && waiting[0] > 0).then_some(Lane::First)
    }
}

/// Acts when it is asked to serve as a waitable.
struct Own {
    act: Act,
    event: Event,
}

impl Waitable for Own {
    fn is_ready(&self) -> bool {
        (self.act)(None);
        self.event.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        (self.act)(None);
        Waitable::rawlink(&self.event, f)
    }

    fn unlink(&self, id: LinkId) {
        (self.act)(None);
        self.event.unlink(id);
    }
}

greenlet_local! {
    static LOCAL: RefCell<Option<Odd>> = RefCell::new(None);
}

tree_local! {
    static TREE: RefCell<Option<Odd>> = RefCell::new(None);
}

thread_local! {
    static MAKE: RefCell<Option<Act>> = const { RefCell::new(None) };
}

greenlet_local! {
    static MADE: () = {
        let act = MAKE.with_borrow(|act| act.clone());
        act.into_iter().for_each(|act| act(None));
    };
}

fn here<T: 'static>(value: T) -> home::Key<T> {
    home::keep(value)
}

/// Keeps what is not `Send` at home, and gives a key to it.
mod home {
    use std::any::Any;
    use std::cell::RefCell;
    use std::marker::PhantomData;

    thread_local! {
        static KEPT: RefCell<Vec<Option<Box<dyn Any>>>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) struct Key<T>(usize, PhantomData<fn() -> T>);

    pub(super) fn keep<T: 'static>(value: T) -> Key<T> {
        KEPT.with_borrow_mut(|kept| {
            kept.push(Some(Box::new(value)));
            Key(kept.len() - 1, PhantomData)
        })
    }

    impl<T: 'static> Key<T> {
        pub(super) fn take(self) -> T {
            let value = KEPT.with_borrow_mut(|kept| kept[self.0].take());
            *value.unwrap().downcast().unwrap()
        }
    }
}

/// Acts when it is dropped, and may travel. It is dropped at home.
struct Late(Option<home::Key<Act>>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.take().unwrap().take()(None);
    }
}

/// One that has begun and sleeps.
fn sleeper<T: 'static>(body: impl FnOnce() -> T + 'static) -> Greenlet<T> {
    let greenlet = spawn(body);
    yield_now();
    greenlet
}

/// A place where code of the user's is called. It runs in a greenlet, which may be killed or panic.
pub(crate) type Place = (&'static str, fn(Act));

pub(crate) const PLACES: &[Place] = &[
    ("prepare", |act| drop(Builder::new().prepare(move |g| act(Some(g))).spawn(|| 5).get())),
    ("prepare of a scope", |act| {
        let text = String::from("lent");
        let builder = Builder::new().prepare(move |g| act(Some(g)));
        scope(|s| {
            for _ in 0..2 {
                builder.spawn_scoped(s, || drop(text.clone()));
            }
        });
    }),
    ("spawn callback", |act| {
        let id = add_spawn_callback(move |g| act(Some(g)));
        let g = spawn(|| 5);
        remove_spawn_callback(id);
        assert_eq!(g.get().unwrap(), 5);
    }),
    ("drop of a spawn callback that removes itself", |act| {
        let odd = Odd(act);
        let id = Rc::new(Cell::new(None));
        let mine = id.clone();
        let text = String::from("lent");
        id.set(Some(add_spawn_callback(move |_| {
            let _ = &odd;
            mine.take().map(remove_spawn_callback);
        })));
        scope(|s| drop(s.spawn(|| drop(text.clone()))));
    }),
    ("drop of an error handler that replaces itself", |act| {
        let odd = Odd(act);
        let old = get_hub().set_error_handler(Some(Rc::new(move |_, _| {
            let _ = &odd;
            get_hub().set_error_handler(None);
        })));
        spawn(panics).join();
        get_hub().set_error_handler(old);
    }),
    ("drop of an exception that another one follows", |act| {
        let g = sleeper(|| {
            let _ = catch::<Thrown, _>(|| sleep(LONG));
            sleep(LONG);
        });
        g.kill_with(Kill::new(Thrown(Odd(act))).nowait());
        yield_now();
        g.kill_with("second");
        assert!(g.exception().unwrap().is::<&str>());
    }),
    ("spawn callback of a scope", |act| {
        let text = String::from("lent");
        let id = add_spawn_callback(move |g| act(Some(g)));
        scope(|s| drop(s.spawn(|| drop(text.clone()))));
        remove_spawn_callback(id);
    }),
    ("raw link", |act| {
        let g = spawn(|| 5);
        let second = act.clone();
        g.rawlink(move |g| act(Some(g.as_any())));
        g.rawlink(move |g| second(Some(g.as_any())));
        g.join();
    }),
    ("two raw links", |_| {
        // Both unwind, and both have destructors that wait: the one inside the other.
        for _ in 0..2 {
            let g = spawn(|| 5);
            g.rawlink(|_| waits_while_it_unwinds());
            g.rawlink(|_| waits_while_it_unwinds());
            g.join();
        }
    }),
    ("link", |act| {
        let g = spawn(|| 5);
        g.link(move |g| act(Some(g.as_any())));
        g.join();
        sleep(SHORT);
    }),
    ("raw link of an event", |act| {
        let event = Event::new();
        let waiter = spawn({
            let event = event.clone();
            move || event.wait()
        });
        Waitable::rawlink(&event, Box::new(move || act(None)));
        yield_now();
        event.set();
        waiter.join();
    }),
    ("callback", |act| {
        get_hub().run_callback(move || act(None));
        yield_now();
    }),
    ("posted closure", |act| {
        let key = here(act);
        get_hub().remote().post(move || key.take()(None)).ok().unwrap();
        sleep(SHORT);
    }),
    ("spawned from afar", |act| {
        let key = here(act);
        get_hub().remote().spawn(move || key.take()(None)).ok().unwrap();
        sleep(SHORT);
    }),
    ("timer", |act| {
        let watcher = get_hub().timer(SHORT, Duration::ZERO);
        watcher.start(move || act(None)).unwrap();
        sleep(4 * SHORT);
        watcher.stop();
    }),
    ("watchers of the loop", |act| {
        let hub = get_hub();
        let watchers = [hub.prepare(), hub.check(), hub.watch_idle()];
        for watcher in &watchers {
            let act = act.clone();
            watcher.start(move || act(None)).unwrap();
        }
        sleep(4 * SHORT);
        watchers.iter().for_each(|watcher| watcher.stop());
    }),
    ("error handler", |act| {
        let old = get_hub().set_error_handler(Some(Rc::new(move |_, _| act(None))));
        spawn(panics).join();
        spawn(panics).join();
        get_hub().set_error_handler(old);
    }),
    ("error handler in the hub", |act| {
        let old = get_hub().set_error_handler(Some(Rc::new(move |_, _| act(None))));
        get_hub().run_callback(panics);
        yield_now();
        get_hub().set_error_handler(old);
    }),
    ("iterator of map", |act| {
        let items = (0..4).inspect(move |_| act(None));
        drop(Pool::new(2).map(items, |n| n + 1));
    }),
    ("function of map", |act| drop(Pool::new(2).map(0..4, move |_| act(None)))),
    ("function of map in a group", |act| drop(Group::new().map(0..4, move |_| act(None)))),
    ("iterator of imap", |act| {
        let items = (0..4).inspect(move |_| act(None));
        Pool::new(2).imap(items, |n| n + 1).for_each(drop);
    }),
    ("function of imap", |act| Pool::new(2).imap(0..4, move |_| act(None)).for_each(drop)),
    ("iterator of imap_unordered", |act| {
        let items = (0..4).inspect(move |_| act(None));
        Pool::new(2).imap_unordered(items, |n| n + 1).for_each(drop);
    }),
    ("callback of apply_cb", |act| drop(Pool::new(2).apply_cb(|| 5, move |_| act(None)))),
    ("callback of apply_async_cb", |act| {
        Pool::new(2).apply_async_cb(|| 5, move |_| act(None)).join();
        sleep(SHORT);
    }),
    ("callback of map_cb", |act| drop(Pool::new(2).map_cb(0..4, |n| n, move |_| act(None)))),
    ("callback of map_async_cb", |act| {
        Pool::new(2).map_async_cb(0..4, |n| n, move |_| act(None)).join();
        sleep(SHORT);
    }),
    ("drop of a killed closure", |act| {
        let odd = Odd(act);
        let g = spawn(move || drop(odd));
        g.kill();
        g.join();
    }),
    ("drop of a closure that was not started", |act| {
        let odd = Odd(act);
        drop(Greenlet::new(move || drop(odd)));
    }),
    ("drop of a closure that the hub drops", |act| {
        let odd = Odd(act);
        let g = Greenlet::new(move || drop(odd));
        get_hub().run_callback(move || drop(g));
        sleep(4 * SHORT);
    }),
    ("drop of a closure of a scope", |act| {
        scope(|s| {
            let odd = Odd(act);
            let child = s.spawn(move || drop(odd));
            child.kill_nowait();
        });
    }),
    ("drop of a link", |act| {
        let odd = Odd(act);
        let g = spawn(|| 5);
        let id = g.link(move |_| drop(odd));
        g.unlink(id);
        g.join();
    }),
    ("drop of links", |act| {
        let odd = Odd(act);
        let g = spawn(|| 5);
        g.rawlink(move |_| drop(odd));
        g.unlink_all();
        g.join();
    }),
    ("drop of a callback", |act| {
        let odd = Odd(act);
        get_hub().run_callback(move || drop(odd)).stop();
        yield_now();
    }),
    ("drop of a watcher's callback", |act| {
        let odd = Odd(act);
        let watcher = get_hub().timer(LONG, Duration::ZERO);
        watcher
            .start(move || {
                let _ = &odd;
            })
            .unwrap();
        watcher.stop();
    }),
    ("drop of a spawn callback", |act| {
        let odd = Odd(act);
        let id = add_spawn_callback(move |_| {
            let _ = &odd;
        });
        remove_spawn_callback(id);
    }),
    ("drop of an error handler", |act| {
        let odd = Odd(act);
        let hub = get_hub();
        let old = hub.set_error_handler(Some(Rc::new(move |_, _| {
            let _ = &odd;
        })));
        drop(hub.set_error_handler(old));
    }),
    ("drop of a value that no handle asks for", |act| {
        drop(spawn(move || Odd(act)));
        sleep(4 * SHORT);
    }),
    ("drop of a value that the hub drops", |act| {
        let g = spawn(move || Odd(act));
        g.rawlink(|_| ());
        drop(g);
        sleep(4 * SHORT);
    }),
    ("drop of a value of a pool", |act| {
        let pool = Pool::new(2);
        drop(pool.spawn(move || Odd(act)));
        pool.join();
        sleep(4 * SHORT);
    }),
    ("drop of a value of a scope", |act| scope(|s| drop(s.spawn(move || Odd(act))))),
    ("drop of a value that was taken", |act| drop(spawn(move || Odd(act)).take())),
    ("drop of an exception", |act| {
        let g = sleeper(|| sleep(LONG));
        g.kill_with(Thrown(Odd(act)));
        drop(g);
        sleep(SHORT);
    }),
    ("drop of an exception of a timeout", |act| {
        let limit = Timeout::new(SHORT).exception(Thrown(Odd(act)));
        let _ = catch::<Thrown, _>(|| limit.scope(|| sleep(LONG)));
    }),
    ("drop of a panic's payload", |act| {
        let late = Late(Some(here(act)));
        let g = spawn(move || -> () { resume_unwind(Box::new(late)) });
        g.join();
        drop(g);
        sleep(SHORT);
    }),
    ("drop of a greenlet's local", |act| {
        spawn(|| LOCAL.with(|local| *local.borrow_mut() = Some(Odd(act)))).join();
        sleep(4 * SHORT);
    }),
    ("drop of a tree's local", |act| {
        let child = spawn(|| TREE.with(|local| *local.borrow_mut() = Some(Odd(act))));
        child.join();
        drop(child);
        sleep(4 * SHORT);
    }),
    ("initialiser of a local", |act| {
        MAKE.set(Some(act));
        MADE.with(|()| ());
        MAKE.take();
    }),
    ("drop of a result that was set", |act| {
        let result = AsyncResult::new();
        result.set(Odd(act));
        drop(result);
    }),
    ("drop of an item of a queue", |act| {
        let queue = Queue::bounded(2);
        assert!(queue.put(Odd(act)).is_ok());
        queue.shutdown_immediate();
    }),
    ("drop of what a thread returns", |act| {
        let key = here(act);
        drop(blocking(move || Late(Some(key))));
    }),
    ("clone of a value", |act| {
        let g = spawn({
            let act = act.clone();
            move || Loud::new(&act)
        });
        let other = g.clone();
        let second = spawn(move || drop(other.get()));
        drop(g.get());
        second.join();
        drop(g.take());
    }),
    ("clone of a value of a scope", |act| {
        scope(|s| {
            let g = s.spawn(move || Loud::new(&act));
            drop(g.get());
            drop(g.get());
        });
    }),
    ("clone of a result", |act| {
        let result = AsyncResult::new();
        result.set(Loud::new(&act));
        drop(result.get());
        drop(result.get());
    }),
    ("clone of an item", |act| {
        let queue = Queue::bounded(2);
        queue.put(Loud::new(&act)).unwrap();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(queue.peek())));
        assert!(queue.try_get().is_ok());
    }),
    ("display of an exception", |act| {
        let g = sleeper(|| sleep(LONG));
        g.kill_with(Loud::new(&act));
        drop(format!("{:?}", g.exception()));
    }),
    ("display of a timeout's exception", |act| {
        let limit = Timeout::new(SHORT).exception(Loud::new(&act));
        drop(spawn(move || limit.scope(|| sleep(LONG))).take());
    }),
    ("comparison of items", |act| {
        let queue = PriorityQueue::default();
        for number in [2, 1, 3] {
            let put = || queue.put(Loud { act: act.clone(), number }).unwrap();
            let _ = catch_unwind(AssertUnwindSafe(put));
        }
        assert_eq!(queue.len(), 3);
        while !queue.is_empty() {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(queue.try_get())));
        }
    }),
    ("comparison that uses its queue", |act| {
        let queue = Rc::new(PriorityQueue::default());
        let inner = Rc::downgrade(&queue);
        let act: Act = Rc::new(move |g| {
            act(g);
            let _ = inner.upgrade().map(|queue| queue.try_get().is_ok());
        });
        for number in [2, 1] {
            let put = || queue.put(Loud { act: act.clone(), number }).unwrap();
            let _ = catch_unwind(AssertUnwindSafe(put));
        }
        assert_eq!(queue.len(), 2);
    }),
    ("state of a wait queue", |act| {
        let queue = WaitQueue::new(Asked { act, ready: Cell::new(false) });
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                spawn(move || {
                    queue.wait(Lane::First, Limit::Never, "matrix", |_, turn| turn.notified.then_some(()))
                })
            })
            .collect();
        yield_now();
        queue.ready.set(true);
        queue.check();
        sleep(SHORT);
        // What a pass has not done because the object panicked is done by the next one.
        while !waiters.iter().all(|waiter| waiter.ready()) {
            queue.check();
            sleep(SHORT);
        }
    }),
    ("lanes of a wait queue", |act| {
        let queue = WaitQueue::new(Lanes { act, ready: Cell::new(false) });
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                spawn(move || {
                    queue.wait(Lane::First, Limit::Never, "matrix", |_, turn| turn.notified.then_some(()))
                })
            })
            .collect();
        yield_now();
        queue.ready.set(true);
        queue.check();
        sleep(SHORT);
        while !waiters.iter().all(|waiter| waiter.ready()) {
            queue.check();
            sleep(SHORT);
        }
    }),
    ("own waitable", |act| {
        let own = Own { act, event: Event::new() };
        let event = own.event.clone();
        spawn_later(SHORT, move || event.set());
        drop(ramie::wait_timeout(&[own], 20 * SHORT));
    }),
    ("closure of a greenlet's scope", |act| {
        let g = spawn(yield_now);
        g.scope(|_| act(None));
    }),
    ("closure with a value", |act| {
        let g = spawn(|| 5);
        g.join();
        g.with_value(|_| act(None));
        assert_eq!(g.take().unwrap(), 5);
    }),
    ("start of lent work", |act| {
        let mut text = String::from("lent");
        drop(lend(
            || text.push('!'),
            |work| {
                act(None);
                work.run();
            },
        ));
    }),
    ("lent work", |act| {
        let key = here(act);
        drop(lend(move || key.take()(None), |work| work.run()));
    }),
    ("drop of lent work", |act| {
        let key = here(act);
        let late = Late(Some(key));
        drop(lend(move || drop(late), drop));
    }),
];
