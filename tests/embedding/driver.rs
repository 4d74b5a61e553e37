//! The driver: woken for everything that main queues between two iterations, once, and for nothing
//! else.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ramie::channel::bounded;
use ramie::hub::{Next, add_spawn_callback, idle, remove_spawn_callback};
use ramie::sync::{AsyncResult, Event, Semaphore};
use ramie::{Greenlet, Timeout, get_hub, joinall, sleep, spawn, spawn_later, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(3600);

/// A driver that counts its wakes.
#[derive(Default)]
pub(crate) struct Driver(AtomicUsize);

impl Driver {
    /// Makes a new driver that of the hub of this thread.
    pub(crate) fn set() -> Arc<Driver> {
        let driver = Arc::new(Driver::default());
        get_hub().set_driver(Some(driver.clone().into()));
        driver
    }

    /// Returns the number of wakes since the last call.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Driver {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs iterations until nothing is queued.
fn settle() {
    while get_hub().poll_once() == Next::Now {}
}

/// Checks that `act`, done by main between two iterations, wakes the driver once, however often it
/// is done, and in each idle phase.
#[track_caller]
fn wakes<T>(name: &str, mut act: impl FnMut() -> T) {
    let driver = Driver::set();
    settle();
    for phase in 0..3 {
        assert_eq!(driver.take(), 0, "{name}: before phase {phase}");
        let first = act();
        assert_eq!(driver.take(), 1, "{name}: in phase {phase}");
        let second = act();
        assert_eq!(driver.take(), 0, "{name}: once in phase {phase}");
        settle();
        drop((first, second));
        settle();
        driver.take();
        settle();
    }
}

#[test]
fn everything_that_main_queues_wakes_it() {
    within(LIMIT, || {
        wakes("spawn", || spawn(|| {}));
        wakes("run_callback", || get_hub().run_callback(|| {}));
        wakes("Builder::start", || {
            let g = Greenlet::<()>::new(|| {});
            g.start();
            g
        });
    });
}

/// A greenlet that waits, and what ends its wait.
fn waiter(wait: impl FnOnce() + 'static) -> Greenlet<()> {
    let g = spawn(wait);
    settle();
    assert!(!g.ready());
    g
}

#[test]
fn everything_that_ends_a_wait_wakes_it() {
    within(LIMIT, || {
        let driver = Driver::set();
        let check = |name: &str, greenlets: &[&Greenlet<()>], act: &dyn Fn()| {
            settle();
            driver.take();
            act();
            assert_eq!(driver.take(), 1, "{name}");
            settle();
            assert!(greenlets.iter().all(|greenlet| greenlet.ready()), "{name}");
        };
        for many in [1, 3] {
            let event = Event::new();
            let waiting: Vec<_> = (0..many)
                .map(|_| {
                    let event = event.clone();
                    waiter(move || event.wait())
                })
                .collect();
            check("Event::set", &waiting.iter().collect::<Vec<_>>(), &|| event.set());
        }
        let result = AsyncResult::<u32>::new();
        let of = result.clone();
        let g = waiter(move || drop(of.get()));
        check("AsyncResult::set", &[&g], &|| result.set(1));
        let slots = Semaphore::new(0);
        let of = slots.clone();
        let g = waiter(move || of.acquire());
        check("Semaphore::release", &[&g], &|| assert_eq!(slots.release(), 1));
        let (sender, receiver) = bounded(1);
        let g = waiter(move || assert_eq!(receiver.recv(), Ok(1)));
        check("send", &[&g], &|| sender.try_send(1).unwrap());
        let (sender, receiver) = bounded::<u32>(1);
        let g = waiter(move || assert!(receiver.recv().is_err()));
        let sender = Cell::new(Some(sender));
        check("the drop of a sender", &[&g], &|| drop(sender.take()));
        let g = waiter(|| sleep(LONG));
        check("kill_nowait", &[&g], &|| g.kill_nowait());
        let g = waiter(|| Event::new().wait());
        check("a posted message of this thread", &[&g], &|| {
            g.kill_nowait();
            get_hub().remote().post(|| {}).unwrap();
        });
    });
}

#[test]
fn an_earlier_timer_wakes_it_and_a_later_one_does_not() {
    within(LIMIT, || {
        let hub = get_hub();
        let driver = Driver::set();
        assert_eq!(hub.poll_once(), Next::Idle);
        let middle = spawn_later(LONG, || {});
        assert_eq!(driver.take(), 1, "the first timer");
        assert!(matches!(hub.poll_once(), Next::At(_)));
        let late = spawn_later(2 * LONG, || {});
        assert_eq!(driver.take(), 0, "a later one");
        let early = Timeout::new(LONG / 2);
        early.start();
        assert_eq!(driver.take(), 1, "an earlier one");
        let earlier = spawn_later(LONG / 4, || {});
        assert_eq!(driver.take(), 0, "once in a phase");
        let watcher = hub.timer(LONG / 8, Duration::ZERO);
        assert!(matches!(hub.poll_once(), Next::At(_)));
        watcher.start(|| {}).unwrap();
        assert_eq!(driver.take(), 1, "a watcher");
        watcher.stop();
        early.cancel();
        let _ = hub.poll_once();
        driver.take();
        for greenlet in [middle, late, earlier] {
            greenlet.kill();
        }
        driver.take();
        assert_eq!(hub.poll_once(), Next::Idle);
        // The deadline of the earliest timer, not of any that was.
        let again = spawn_later(3 * LONG, || {});
        assert_eq!(driver.take(), 1);
        again.kill();
    });
}

#[test]
fn it_is_not_woken_while_the_hub_is_driven() {
    within(LIMIT, || {
        let driver = Driver::set();
        let event = Event::new();
        let set = event.clone();
        let g = spawn(move || {
            for _ in 0..100 {
                let event = set.clone();
                let inner = spawn(move || event.wait());
                yield_now();
                set.set();
                inner.join();
                set.clear();
                sleep(Duration::from_micros(10));
            }
        });
        driver.take();
        loop {
            match get_hub().poll_once() {
                Next::Now => {}
                Next::At(deadline) => thread::sleep(deadline.saturating_duration_since(Instant::now())),
                Next::Idle => break,
            }
            assert_eq!(driver.take(), 0);
        }
        assert!(g.ready());
        // Other waits of main drive the hub too.
        let g = spawn(|| {
            for _ in 0..10 {
                spawn(yield_now).join();
            }
        });
        assert_eq!(driver.take(), 1);
        g.join();
        get_hub().join();
        idle();
        assert_eq!(driver.take(), 0);
    });
}

#[test]
fn it_is_not_woken_after_now() {
    within(LIMIT, || {
        let driver = Driver::set();
        let g = spawn(|| {
            loop {
                yield_now();
            }
        });
        driver.take();
        assert_eq!(get_hub().poll_once(), Next::Now);
        spawn(|| {});
        assert_eq!(driver.take(), 0, "the program knows that it must call again");
        g.kill_nowait();
        settle();
        assert_eq!(driver.take(), 0);
    });
}

#[test]
fn it_is_told_of_what_another_wait_of_main_leaves() {
    within(LIMIT, || {
        let driver = Driver::set();
        settle();
        let event = Event::new();
        let set = event.clone();
        let g = spawn(move || {
            set.set();
            loop {
                yield_now();
            }
        });
        assert_eq!(driver.take(), 1);
        event.wait();
        assert_eq!(driver.take(), 1, "the greenlet is queued again");
        g.kill();
        driver.take();
        settle();
        // A wait that leaves a timer: the deadline is in the answer of the next iteration only.
        let sleeper = spawn(|| sleep(LONG));
        driver.take();
        yield_now();
        assert_eq!(driver.take(), 0);
        let earlier = spawn_later(LONG / 2, || {});
        assert_eq!(driver.take(), 1);
        sleeper.kill();
        earlier.kill();
    });
}

#[test]
fn a_new_driver_is_told_at_once_and_the_same_one_is_not() {
    within(LIMIT, || {
        let hub = get_hub();
        spawn(|| {});
        // One waker and its clone: two that are made from one `Arc` may have tables of their own.
        let first = Arc::new(Driver::default());
        let waker = Waker::from(first.clone());
        hub.set_driver(Some(waker.clone()));
        assert_eq!(first.take(), 1);
        hub.set_driver(Some(waker));
        assert_eq!(first.take(), 0);
        let second = Driver::set();
        assert_eq!((first.take(), second.take()), (0, 1));
        settle();
        hub.set_driver(Some(second.clone().into()));
        spawn(|| {});
        assert_eq!((first.take(), second.take()), (0, 1));
        settle();
        // One that replaces an armed one is armed itself.
        let third = Driver::set();
        spawn(|| {});
        assert_eq!((second.take(), third.take()), (0, 1));
        settle();
        hub.set_driver(None);
        spawn(|| {});
        settle();
        spawn_later(SHORT, || {}).join();
        assert_eq!(third.take(), 0);
        assert_eq!(Arc::strong_count(&third), 1, "the hub has dropped it");
    });
}

#[test]
fn the_end_of_the_thread_drops_it() {
    let driver = Arc::new(Driver::default());
    let waker = Waker::from(driver.clone());
    within(LIMIT, move || {
        get_hub().set_driver(Some(waker));
        settle();
        spawn(|| sleep(LONG));
        get_hub().poll_once();
    });
    assert_eq!(Arc::strong_count(&driver), 1);
    assert_eq!(driver.take(), 1);
}

#[test]
fn an_idle_watcher_and_a_spawn_callback_tell_it_too() {
    within(LIMIT, || {
        let driver = Driver::set();
        settle();
        let watcher = get_hub().watch_idle();
        watcher.start(|| {}).unwrap();
        assert_eq!(driver.take(), 1);
        watcher.stop();
        settle();
        let event = Event::new();
        let of = event.clone();
        let g = waiter(move || of.wait());
        driver.take();
        // A callback that ends a wait while main creates a greenlet that does not start.
        let callback = add_spawn_callback(move |_| event.set());
        let _later = spawn_later(LONG, || {});
        assert_eq!(driver.take(), 1);
        settle();
        assert!(g.ready());
        remove_spawn_callback(callback);
    });
}

/// A waker that runs a function.
struct Act<F>(F);

impl<F: Fn() + Send + Sync> Wake for Act<F> {
    fn wake(self: Arc<Self>) {
        self.0();
    }
}

#[test]
fn a_driver_runs_under_the_rules_of_a_callback() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let hub = get_hub();
        let attempts: [fn(); 4] = [
            || sleep(SHORT),
            || assert_eq!(get_hub().poll_once(), Next::Idle),
            || get_hub().set_driver(None),
            || panic!("a driver that fails"),
        ];
        for attempt in attempts {
            hub.set_driver(Some(Arc::new(Act(attempt)).into()));
            settle();
            let g = spawn(|| 5);
            let errors = errors.take();
            assert_eq!(errors.len(), 1, "{errors:?}");
            settle();
            assert_eq!(g.get().unwrap(), 5);
        }
        // It may queue.
        thread_local!(static LOG: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) });
        fn log(number: u32) {
            LOG.with_borrow_mut(|log| log.push(number));
        }
        hub.set_driver(Some(Arc::new(Act(|| drop(spawn(|| log(2))))).into()));
        settle();
        spawn(|| log(1));
        spawn(|| log(3));
        settle();
        assert_eq!(LOG.take(), [1, 2, 3]);
        hub.set_driver(None);
        assert!(errors.take().is_empty());
    });
}

#[test]
fn only_main_sets_it() {
    within(LIMIT, || {
        let errors = Log::of_errors();
        let g = spawn(|| get_hub().set_driver(None));
        settle();
        let message = "Hub::set_driver must be called from the main greenlet";
        assert!(g.get().unwrap_err().to_string().contains(message));
        assert_eq!(errors.take().len(), 1);
    });
}

/// A small executor: runs the hub whenever the driver was woken, or at a deadline, and never looks
/// otherwise.
#[test]
fn a_loop_that_trusts_the_driver_alone_misses_nothing() {
    within(LIMIT, || {
        let hub = get_hub();
        let driver = Driver::set();
        let done = Rc::new(Cell::new(0));
        let (sender, receiver) = bounded(4);
        let count = done.clone();
        let reader = spawn(move || {
            while let Ok(number) = receiver.recv() {
                if number % 7 == 0 {
                    sleep(Duration::from_micros(50));
                }
                let count = count.clone();
                spawn(move || count.set(count.get() + 1));
            }
        });
        let mut next = Next::Now;
        let mut sent = 0;
        let mut sender = Some(sender);
        loop {
            if next == Next::Now || driver.take() > 0 {
                next = hub.poll_once();
                continue;
            }
            // Main's own events, in between.
            if sent < 500 {
                sent += usize::from(sender.as_ref().expect("not dropped").try_send(sent).is_ok());
                if sent == 500 {
                    sender = None;
                }
            }
            match next {
                _ if driver.0.load(Ordering::Relaxed) > 0 => {}
                Next::At(deadline) if Instant::now() >= deadline => next = hub.poll_once(),
                Next::Idle if sent == 500 => break,
                _ => {}
            }
        }
        assert!(reader.ready());
        assert_eq!(done.get(), 500);
        joinall(&[reader]);
    });
}
