//! Threads that end while greenlets of theirs have not: these are unwound, the rest is abandoned,
//! and nothing touches what is gone.

mod util;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ramie::hub::{Lent, Next, Remote, Watcher, abandoned_greenlets, lend};
use ramie::net::{TcpListener, TcpStream};
use ramie::sync::{Event, Semaphore};
use ramie::{
    AnyGreenlet, Greenlet, GreenletExit, Kill, LoopExit, Timeout, blocking, catch, get_hub, getcurrent,
    killall, raise, run, scope, sleep, spawn, with_timeout, yield_now,
};

use crate::util::footprint::{descriptors, mappings};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(3600);

/// The tests count what the whole process has, so they run one after another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a thread to its very end, its thread-locals included, and returns how many greenlets it
/// abandoned.
fn thread_to_its_end(body: impl FnOnce() + Send + 'static) -> usize {
    let before = abandoned_greenlets();
    within(LIMIT, body);
    abandoned_greenlets() - before
}

/// The number of uses of a value after it had been dropped.
static MISUSED: AtomicUsize = AtomicUsize::new(0);

/// A value of a thread-local that knows whether it is still there.
struct Tracked {
    alive: Cell<bool>,
}

impl Tracked {
    const fn new() -> Self {
        Tracked { alive: Cell::new(true) }
    }

    fn use_it(&self) {
        if !self.alive.get() {
            MISUSED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.alive.set(false);
    }
}

/// Uses what it refers to when it is dropped.
struct UsesAtDrop<'a>(&'a Tracked);

impl Drop for UsesAtDrop<'_> {
    fn drop(&mut self) {
        self.0.use_it();
    }
}

/// Calls something when its thread ends.
struct AtExit(RefCell<Option<Box<dyn FnOnce()>>>);

impl AtExit {
    const fn new() -> Self {
        AtExit(RefCell::new(None))
    }

    fn set(&self, f: impl FnOnce() + 'static) {
        *self.0.borrow_mut() = Some(Box::new(f));
    }
}

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

thread_local! {
    static TRACKED: Tracked = const { Tracked::new() };
    static OLDER: AtExit = const { AtExit::new() };
    static YOUNGER: AtExit = const { AtExit::new() };
}

/// Waits for long, and uses what it has a reference to afterwards, whatever comes.
fn hold(tracked: &Tracked) {
    let _late = UsesAtDrop(tracked);
    sleep(LONG);
    tracked.use_it();
}

/// The same, but no kill ends it.
fn hold_on(tracked: &Tracked) {
    let _late = UsesAtDrop(tracked);
    refuse_to_end();
    tracked.use_it();
}

/// Waits, whatever kills it.
fn refuse_to_end() {
    loop {
        let _ = catch::<GreenletExit, _>(|| sleep(LONG));
    }
}

/// Suspends greenlets that hold references into a thread-local, on their stacks and in destructors.
fn suspend_with_references() {
    suspend(hold);
}

fn suspend(hold: fn(&Tracked)) {
    for _ in 0..3 {
        spawn(move || TRACKED.with(hold));
    }
    yield_now();
}

#[test]
fn greenlets_never_see_a_thread_local_that_is_gone() {
    let _alone = alone();
    for (hold, left) in [(hold as fn(&Tracked), 0), (hold_on, 3)] {
        let abandoned = thread_to_its_end(move || {
            // Older than the hub.
            TRACKED.with(Tracked::use_it);
            suspend(hold);
        });
        assert_eq!(abandoned, left);
        // Younger than the hub: it goes first.
        assert_eq!(thread_to_its_end(move || suspend(hold)), left);
    }
    // A panic of the thread is no different.
    let before = abandoned_greenlets();
    let panic = catch_unwind(|| {
        within(LIMIT, || {
            suspend_with_references();
            std::panic::resume_unwind(Box::new("over"));
        });
    });
    assert!(panic.is_err());
    assert_eq!(abandoned_greenlets() - before, 0);
    assert_eq!(MISUSED.load(Ordering::Relaxed), 0);
}

#[test]
fn abandoned_are_those_that_do_not_end() {
    let _alone = alone();
    assert_eq!(thread_to_its_end(|| ()), 0);
    assert_eq!(thread_to_its_end(yield_now), 0);
    let abandoned = thread_to_its_end(|| {
        let _never_started = Greenlet::new(|| ());
        let _ended = spawn(|| ()).get();
        let _in_the_queue = spawn(|| ());
        assert_eq!(abandoned_greenlets(), abandoned_greenlets());
    });
    assert_eq!(abandoned, 0);
    let abandoned = thread_to_its_end(|| {
        let event = Event::new();
        let waiting = event.clone();
        spawn(move || waiting.wait());
        spawn(|| sleep(LONG));
        spawn(|| TcpListener::bind("127.0.0.1:0").unwrap().accept());
        spawn(move || spawn(move || event.wait()).join());
        spawn(refuse_to_end);
        yield_now();
        yield_now();
    });
    assert_eq!(abandoned, 1);
    // A structured end abandons no greenlet.
    let abandoned = thread_to_its_end(|| {
        run(suspend_with_references);
    });
    assert_eq!(abandoned, 0);
    assert_eq!(MISUSED.load(Ordering::Relaxed), 0);
}

/// Counts how often values of it are dropped.
struct Counted(&'static AtomicUsize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_greenlets_hold_is_dropped_unless_they_do_not_end() {
    let _alone = alone();
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    let abandoned = thread_to_its_end(|| {
        for started in [true, false] {
            let counted = Counted(&DROPPED);
            spawn(move || {
                let _counted = counted;
                sleep(LONG);
            });
            if started {
                yield_now();
            }
        }
    });
    assert_eq!((abandoned, DROPPED.load(Ordering::Relaxed)), (0, 2));
    let abandoned = thread_to_its_end(|| {
        let counted = Counted(&DROPPED);
        spawn(move || {
            let _counted = counted;
            refuse_to_end();
        });
        yield_now();
    });
    assert_eq!((abandoned, DROPPED.load(Ordering::Relaxed)), (1, 2));
}

/// Destructors that wait have their time, and what they spawn is unwound too.
#[test]
fn destructors_of_what_is_unwound_may_wait_and_spawn() {
    let _alone = alone();
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            let counted = Counted(&DROPPED);
            spawn(move || {
                let _counted = counted;
                sleep(LONG);
            });
            sleep(Duration::from_millis(5));
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    let abandoned = thread_to_its_end(|| {
        spawn(|| {
            let _waits = Waits;
            sleep(LONG);
        });
        yield_now();
    });
    assert_eq!((abandoned, DROPPED.load(Ordering::Relaxed)), (0, 2));
}

/// The hub ends before every thread-local that greenlets use, where std registers each destructor
/// with the C library.
const EXACT: bool = cfg!(all(target_os = "linux", target_env = "gnu", not(miri)));

type Kept = Box<Counted>;
thread_local! {
    static SORTED: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// Suspends a greenlet in the middle of sorting a thread-local.
fn suspend_in_a_sort(wait: fn()) {
    spawn(move || {
        SORTED.with_borrow_mut(|values| {
            let mut compared = 0;
            values.sort_by(|_, _| {
                compared += 1;
                if compared == 12 {
                    wait();
                }
                std::cmp::Ordering::Less
            });
        });
    });
    sleep(Duration::from_millis(1));
}

#[test]
fn a_half_changed_thread_local_is_put_right_before_it_is_destroyed() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    let _alone = alone();
    for waits in [0, 40] {
        DROPPED.store(0, Ordering::Relaxed);
        let abandoned = thread_to_its_end(move || {
            // The sentinels of systems without an exact hook are planted more seldom then.
            (0..waits).for_each(|_| yield_now());
            let values = || (0..8).map(|_| Box::new(Counted(&DROPPED)));
            spawn(move || SORTED.with_borrow_mut(|sorted| sorted.extend(values()))).join();
            if waits == 0 || EXACT {
                suspend_in_a_sort(|| sleep(LONG));
            }
        });
        assert_eq!((abandoned, DROPPED.load(Ordering::Relaxed)), (0, 8));
    }
}

/// The value cannot be repaired, so it is not destroyed.
#[test]
fn a_thread_local_that_an_abandoned_greenlet_has_half_changed_is_leaked() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    if !EXACT {
        return;
    }
    let _alone = alone();
    let abandoned = thread_to_its_end(|| {
        let values = (0..8).map(|_| Box::new(Counted(&DROPPED)));
        SORTED.with_borrow_mut(|sorted| sorted.extend(values));
        suspend_in_a_sort(refuse_to_end);
    });
    assert_eq!((abandoned, DROPPED.load(Ordering::Relaxed)), (1, 0));
}

#[test]
fn handles_that_are_dropped_late_do_no_harm() {
    struct Handles {
        greenlets: Vec<AnyGreenlet>,
        watcher: Option<Watcher>,
        rest: Vec<Box<dyn std::any::Any>>,
    }
    thread_local! {
        static HANDLES: RefCell<Handles> =
            const { RefCell::new(Handles { greenlets: Vec::new(), watcher: None, rest: Vec::new() }) };
    }
    let _alone = alone();
    for older in [true, false] {
        for ends in [true, false] {
            let abandoned = thread_to_its_end(move || {
                if older {
                    HANDLES.with(|_| ());
                    get_hub();
                } else {
                    get_hub();
                    HANDLES.with(|_| ());
                }
                let waiting = spawn(move || if ends { yield_now() } else { sleep(LONG) });
                let named = spawn(|| Rc::new(5));
                named.minimal_ident();
                let unstarted = Greenlet::new(|| 5);
                unstarted.minimal_ident();
                yield_now();
                yield_now();
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                assert!(listener.accept_timeout(Duration::from_millis(1)).is_err());
                let watcher = get_hub().timer(LONG, LONG);
                watcher.start(|| ()).unwrap();
                let (waiter, waker) = get_hub().waiter();
                HANDLES.with_borrow_mut(|handles| {
                    handles.greenlets = vec![waiting.into(), named.into(), unstarted.into()];
                    handles.watcher = Some(watcher);
                    handles.rest = vec![
                        Box::new(listener),
                        Box::new((waiter, waker, get_hub().keep_alive())),
                        Box::new((Event::new(), Semaphore::new(0), get_hub().remote())),
                        Box::new(get_hub().run_callback(|| ())),
                        Box::new(ramie::Timeout::new(LONG)),
                    ];
                });
            });
            assert_eq!(abandoned, 0, "the thread-local was older: {older}");
        }
    }
}

#[test]
fn calls_in_a_late_destructor_work() {
    let _alone = alone();
    static OUTCOMES: Mutex<Vec<(&str, bool)>> = Mutex::new(Vec::new());
    fn attempt(when: &'static str) {
        for f in [
            || drop(spawn(|| 5).get()),
            || sleep(Duration::from_millis(1)),
            || Event::new().set(),
            || {
                get_hub().run_callback(|| ());
            },
        ] {
            let result = catch_unwind(AssertUnwindSafe(f));
            OUTCOMES.lock().unwrap().push((when, result.is_ok()));
        }
    }
    thread_to_its_end(|| {
        OLDER.with(|at_exit| at_exit.set(|| attempt("the hub has ended")));
        spawn(|| sleep(LONG));
        yield_now();
        YOUNGER.with(|at_exit| at_exit.set(|| attempt("the hub is there")));
    });
    // Each makes another hub, except the event, which has no waiters.
    let gone = [true; 4].map(|fine| ("the hub has ended", fine));
    let there = [true; 4].map(|fine| ("the hub is there", fine));
    assert_eq!(*OUTCOMES.lock().unwrap(), [there, gone].concat());
}

/// A call, with `true` if it ended as it must. The hub exists, has ended, or never existed, so the
/// call around a wait knows what the wait raises.
type Attempt = (&'static str, fn() -> bool);

#[test]
fn what_a_wait_raises_in_a_late_destructor_is_caught_there() {
    const SHORT: Duration = Duration::from_millis(2);
    const ATTEMPTS: [Attempt; 10] = [
        ("with_timeout", || with_timeout(SHORT, || sleep(LONG)).is_err()),
        ("with_timeout around many waits", || {
            with_timeout(SHORT, || (0..99_999).for_each(|_| sleep(SHORT / 4))).is_err()
        }),
        ("Timeout::scope", || Timeout::new(SHORT).scope(|| sleep(LONG)).is_err()),
        ("LoopExit", || catch::<LoopExit, _>(|| Event::new().wait()).is_err()),
        ("raise", || catch::<&str, _>(|| raise("raised")).is_err()),
        ("failure", || spawn(|| -> () { raise("failed") }).get().is_err()),
        ("kill", || {
            let greenlet = spawn(|| sleep(LONG));
            yield_now();
            greenlet.kill();
            greenlet.dead()
        }),
        ("scope", || scope(|s| s.spawn(yield_now).join().is_ok())),
        ("blocking", || blocking(|| 5) == 5),
        ("limit of a call", || !Event::new().wait_timeout(SHORT)),
    ];
    static OUTCOMES: Mutex<Vec<(&str, bool)>> = Mutex::new(Vec::new());
    fn attempt() {
        for (name, attempt) in ATTEMPTS {
            let outcome = catch_unwind(attempt).unwrap_or(false);
            OUTCOMES.lock().unwrap().push((name, outcome));
        }
    }
    let _alone = alone();
    // Older than the hub; between two waits; younger than all waits.
    for waits in [[0, 1], [1, 1], [1, 0]] {
        thread_to_its_end(move || {
            (0..waits[0]).for_each(|_| yield_now());
            YOUNGER.with(|at_exit| at_exit.set(attempt));
            (0..waits[1]).for_each(|_| yield_now());
        });
        let outcomes = std::mem::take(&mut *OUTCOMES.lock().unwrap());
        assert_eq!(outcomes, ATTEMPTS.map(|(name, _)| (name, true)), "{waits:?}");
    }
}

/// The destructor of a thread-local gets a hub of its own, to which what is left of the one before
/// is nothing.
#[test]
fn a_second_hub_does_not_know_what_belonged_to_the_first() {
    let _alone = alone();
    let (tell, told) = channel();
    thread_to_its_end(move || {
        let hub = get_hub();
        let (waiter, waker) = hub.waiter();
        let (alive, timer) = (hub.keep_alive(), hub.timer(LONG, Duration::ZERO));
        timer.start(|| ()).unwrap();
        let late = move || {
            catch::<&str, _>(|| raise("in the second hub")).expect_err("it was raised");
            let borrowed = 5;
            let leave = |work: Lent| {
                drop((waiter, waker, alive, timer));
                thread::spawn(|| work.run());
            };
            tell.send(lend(|| borrowed + 1, leave).unwrap()).unwrap();
        };
        YOUNGER.with(|at_exit| at_exit.set(late));
        yield_now();
    });
    assert_eq!(told.recv(), Ok(6));
}

/// Sources are numbered through all hubs: closing one of the first hub took the place away from one
/// of the second.
#[test]
fn a_socket_of_the_first_hub_leaves_those_of_the_second_alone() {
    let _alone = alone();
    let (tell, told) = channel();
    thread_to_its_end(move || {
        let old = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(old.accept_timeout(Duration::from_millis(1)).is_err());
        let late = move || {
            let new = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = new.local_addr().unwrap();
            // One call, and so one hub.
            let accepted = scope(|s| {
                let accepts = s.spawn(|| new.accept_timeout(LIMIT).is_ok());
                yield_now();
                drop(old);
                TcpStream::connect(address).unwrap();
                accepts.join().unwrap()
            });
            tell.send(accepted).unwrap();
        };
        YOUNGER.with(|at_exit| at_exit.set(late));
        yield_now();
    });
    assert_eq!(told.recv(), Ok(true));
}

/// Timers are numbered in each hub: dropping one of the first hub cancelled one of the second.
#[test]
fn a_timeout_of_the_first_hub_leaves_those_of_the_second_alone() {
    let _alone = alone();
    let (tell, told) = channel();
    thread_to_its_end(move || {
        let old = Timeout::new(LONG);
        old.start();
        let late = move || {
            let limited = with_timeout(Duration::from_millis(20), || {
                drop(old);
                sleep(LIMIT / 3);
            });
            tell.send(limited.is_err()).unwrap();
        };
        YOUNGER.with(|at_exit| at_exit.set(late));
        yield_now();
    });
    assert_eq!(told.recv(), Ok(true));
}

/// Not even by the second hub: what they hold references to is gone.
#[test]
fn nothing_reaches_an_abandoned_greenlet() {
    let _alone = alone();
    let before = MISUSED.load(Ordering::Relaxed);
    let (tell, told) = channel();
    let abandoned = thread_to_its_end(move || {
        get_hub();
        let greenlets = Rc::new(RefCell::new(vec![getcurrent()]));
        let late = {
            let greenlets = greenlets.clone();
            move || {
                let greenlets = greenlets.take();
                for greenlet in &greenlets {
                    greenlet.kill();
                    greenlet.kill_with(Kill::new("late").nowait());
                    greenlet.throw("late");
                    tell.send(greenlet.kill_with(Kill::default().timeout(LONG))).unwrap();
                }
                killall(&greenlets);
                spawn(yield_now).join();
            }
        };
        YOUNGER.with(|at_exit| at_exit.set(late));
        for _ in 0..3 {
            greenlets.borrow_mut().push(spawn(|| TRACKED.with(hold_on)).as_any().clone());
        }
        yield_now();
        greenlets.borrow_mut().push(spawn(|| TRACKED.with(hold_on)).as_any().clone());
    });
    // What had not begun was killed; the thread-local that called all of this was leaked with those
    // that hold on.
    let tried = if EXACT { vec![] } else { vec![false, false, false, false, true] };
    assert_eq!((abandoned, told.try_iter().collect::<Vec<_>>()), (3, tried));
    assert_eq!(MISUSED.load(Ordering::Relaxed), before);
}

#[test]
fn a_hub_that_is_made_while_another_one_ends_can_raise() {
    struct Spawns;
    impl Drop for Spawns {
        fn drop(&mut self) {
            spawn(|| ());
        }
    }
    let _alone = alone();
    let (tell, told) = channel();
    thread_to_its_end(move || {
        get_hub();
        let late = move || {
            let caught = catch::<&str, _>(|| raise("in the second hub"));
            tell.send(caught.is_err()).unwrap();
        };
        YOUNGER.with(|at_exit| at_exit.set(late));
        yield_now();
        let unheard = Spawns;
        get_hub().remote().post(move || drop(unheard)).unwrap();
    });
    assert_eq!(told.recv(), Ok(true));
}

#[test]
fn waits_in_a_late_destructor_resume_nobody() {
    let _alone = alone();
    let before = MISUSED.load(Ordering::Relaxed);
    thread_to_its_end(|| {
        get_hub();
        YOUNGER.with(|at_exit| {
            at_exit.set(|| {
                let _ = catch_unwind(|| sleep(Duration::from_millis(20)));
            })
        });
        spawn(|| {
            // Younger still, so it goes first.
            TRACKED.with(|tracked| {
                sleep(Duration::from_millis(5));
                tracked.use_it();
            });
        });
        yield_now();
    });
    assert_eq!(MISUSED.load(Ordering::Relaxed), before);
}

#[test]
fn what_the_hub_still_holds_may_panic_when_it_is_dropped() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("grenade"));
        }
    }
    ramie::greenlet_local! {
        static LOCAL: Grenade = Grenade;
    }
    let _alone = alone();
    // With two of a kind: a second panic during the first would end the process.
    let abandoned = thread_to_its_end(|| {
        for _ in 0..2 {
            let (grenade, posted) = (Grenade, Grenade);
            get_hub().run_callback(move || drop(grenade));
            get_hub().remote().post(move || drop(posted)).unwrap();
        }
        LOCAL.with(|_| ());
    });
    assert_eq!(abandoned, 0);
}

#[test]
fn remotes_of_a_hub_that_ended_say_so() {
    let _alone = alone();
    for abandons in [false, true] {
        let (remote, waker): (Remote, _) = within(LIMIT, move || {
            if abandons {
                spawn(|| sleep(LONG));
                yield_now();
            }
            let (waiter, waker) = get_hub().waiter();
            drop(waiter);
            (get_hub().remote(), waker)
        });
        assert!(remote.is_closed());
        assert!(remote.post(|| ()).is_err() && remote.spawn(|| ()).is_err());
        assert!(!waker.wake());
    }
}

#[test]
fn threads_that_come_and_go_leave_nothing() {
    let _alone = alone();
    let life = || {
        let mut threads = Vec::new();
        for number in 0..5 {
            threads.push(thread::spawn(move || {
                let greenlets: Vec<_> = (0..20).map(|i| spawn(move || i + number)).collect();
                let sum: i32 = greenlets.iter().map(|greenlet| greenlet.get().unwrap()).sum();
                sleep(Duration::from_millis(1));
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                assert!(listener.accept_timeout(Duration::from_millis(1)).is_err());
                sum
            }));
        }
        for thread in threads {
            thread.join().unwrap();
        }
    };
    // The first ones fill the caches of the system's threads.
    life();
    let before = (descriptors(), mappings());
    for _ in 0..10 {
        life();
    }
    let after = (descriptors(), mappings());
    let (Some(before_maps), Some(after_maps)) = (before.1, after.1) else {
        return println!("skipped: the system does not tell what a process holds");
    };
    assert_eq!(after.0, before.0, "descriptors");
    // Which of a handful of stacks and arenas the C library keeps is its own affair.
    assert!(after_maps <= before_maps + 20, "{before_maps} mappings became {after_maps}");
}

#[cfg(unix)]
#[test]
fn a_thread_that_has_embedded_its_hub_leaves_nothing() {
    use std::os::fd::AsRawFd;
    static UNWOUND: AtomicUsize = AtomicUsize::new(0);
    struct Count;
    impl Drop for Count {
        fn drop(&mut self) {
            UNWOUND.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _alone = alone();
    let life = || {
        let abandoned = thread_to_its_end(|| {
            let hub = get_hub();
            assert!(hub.as_raw_fd() >= 0);
            spawn(|| {
                let _count = Count;
                sleep(LONG);
            });
            spawn(|| {
                let _count = Count;
                loop {
                    yield_now();
                }
            });
            hub.set_driver(Some(std::task::Waker::noop().clone()));
            assert_eq!(hub.poll_once(), Next::Now);
            assert_eq!(hub.poll_once(), Next::Now);
            // The thread ends in the middle of it all.
            spawn(|| unreachable!("killed before its first turn"));
        });
        assert_eq!(abandoned, 0);
    };
    life();
    let before = descriptors();
    for _ in 0..10 {
        life();
    }
    assert_eq!(descriptors(), before);
    assert_eq!(UNWOUND.load(Ordering::Relaxed), 22);
}
