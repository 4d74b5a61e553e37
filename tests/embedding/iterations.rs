//! An iteration: what runs in it and in which order, what is left to the next one, and the time that
//! it returns.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::channel::bounded;
use ramie::hub::{Next, idle};
use ramie::sync::{Event, Semaphore};
use ramie::{Failure, Timeout, Waitable, get_hub, sleep, spawn, spawn_later, with_timeout, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(3600);

/// Drives the hub until it has nothing left, and sleeps in between. Returns the number of
/// iterations.
fn drive() -> usize {
    for iterations in 1.. {
        match get_hub().poll_once() {
            Next::Now => {}
            Next::At(deadline) => thread::sleep(deadline.saturating_duration_since(Instant::now())),
            Next::Idle => return iterations,
        }
    }
    unreachable!("the range has no end")
}

/// The text of a panic that ended a greenlet or a call.
fn text(failure: &Failure) -> String {
    failure.to_string()
}

#[test]
fn an_empty_hub_is_idle() {
    within(LIMIT, || {
        assert_eq!(get_hub().poll_once(), Next::Idle);
        assert_eq!(get_hub().poll_once(), Next::Idle);
        assert_eq!(get_hub().next_deadline(), None);
    });
}

#[test]
fn greenlets_that_always_yield_have_one_turn_each() {
    within(LIMIT, || {
        let log = Log::new();
        for name in ["a", "b", "c"] {
            let log = log.clone();
            spawn(move || {
                loop {
                    log.add(name);
                    yield_now();
                }
            });
        }
        for _ in 0..100 {
            assert_eq!(get_hub().poll_once(), Next::Now);
            assert_eq!(log.take(), ["a", "b", "c"]);
        }
    });
}

#[test]
fn the_consequences_of_an_item_are_left_to_the_next_iteration() {
    within(LIMIT, || {
        let log = Log::new();
        let (outer, inner) = (log.clone(), log.clone());
        spawn(move || {
            outer.add("outer");
            spawn(inner.adder("inner"));
        });
        assert_eq!(get_hub().poll_once(), Next::Now);
        assert_eq!(log.take(), ["outer"]);
        assert_eq!(get_hub().poll_once(), Next::Idle);
        assert_eq!(log.take(), ["inner"]);
    });
}

#[test]
fn callbacks_come_before_the_poll_and_its_events() {
    within(LIMIT, || {
        let log = Log::new();
        let hub = get_hub();
        let watchers = [(hub.prepare(), "prepare"), (hub.check(), "check")];
        for (watcher, name) in &watchers {
            let name = *name;
            let log = log.clone();
            watcher.start(move || log.add(name)).unwrap();
        }
        spawn_later(SHORT, log.adder("timer"));
        thread::sleep(SHORT);
        spawn(log.adder("greenlet"));
        hub.run_callback(log.adder("callback"));
        assert_eq!(hub.poll_once(), Next::Idle);
        assert_eq!(log.take(), ["prepare", "greenlet", "callback", "check", "timer"]);
        assert_eq!(hub.poll_once(), Next::Idle);
        assert_eq!(log.take(), ["prepare", "check"]);
    });
}

/// A program of greenlets that wake, wait for, spawn and kill each other, without timers.
fn program(log: &Log) {
    let (event, slots) = (Event::new(), Rc::new(Semaphore::new(1)));
    let (sender, receiver) = bounded(2);
    for number in 0..8 {
        let (event, slots, sender, log) = (event.clone(), slots.clone(), sender.clone(), log.clone());
        spawn(move || {
            for turn in 0..number % 3 {
                log.add(format_args!("{number} yields {turn}"));
                yield_now();
            }
            slots.acquire();
            log.add(format_args!("{number} has the slot"));
            yield_now();
            slots.release();
            event.wait();
            log.add(format_args!("{number} saw the event"));
            sender.send(number).unwrap();
        });
    }
    drop(sender);
    let victim = spawn(|| sleep(LONG));
    victim.link(log.linker("the victim is dead"));
    let log = log.clone();
    spawn(move || {
        yield_now();
        event.set();
        victim.kill();
        log.add("killed");
        for number in receiver {
            log.add(format_args!("received {number}"));
        }
    });
}

#[test]
fn the_order_is_that_of_the_loop() {
    within(LIMIT, || {
        let (driven, embedded) = (Log::new(), Log::new());
        program(&driven);
        get_hub().join();
        program(&embedded);
        assert!(drive() > 3);
        let driven = driven.take();
        assert!(driven.len() > 30, "{driven:?}");
        assert_eq!(embedded.take(), driven);
        assert!(get_hub().greenlets().is_empty());
    });
}

#[test]
fn the_rest_of_a_long_queue_is_left_to_the_next_iterations() {
    within(LIMIT, || {
        const MANY: usize = 1000;
        let hub = get_hub();
        hub.set_switch_interval(Duration::ZERO);
        let order = Rc::new(RefCell::new(Vec::new()));
        for number in 0..MANY {
            let order = order.clone();
            spawn(move || order.borrow_mut().push(number));
        }
        let mut before = 0;
        let mut iterations = 0;
        while order.borrow().len() < MANY {
            let next = hub.poll_once();
            let after = order.borrow().len();
            // The last iteration may come to the end of the queue.
            assert!(next == Next::Now || next == Next::Idle && after == MANY, "{next:?}, {after}");
            assert!((before + 1..=before + 100).contains(&after), "{before}, then {after}");
            before = after;
            iterations += 1;
        }
        assert!(iterations >= MANY / 100);
        assert_eq!(*order.borrow(), (0..MANY).collect::<Vec<_>>());
        // Nothing that main has queued for itself is left behind.
        assert!(drive() <= iterations);
    });
}

#[test]
fn slow_greenlets_that_always_yield_do_not_pile_anything_up() {
    within(LIMIT, || {
        let hub = get_hub();
        hub.set_switch_interval(Duration::ZERO);
        let turns = Rc::new(Cell::new(0));
        let greenlets: Vec<_> = (0..10)
            .map(|_| {
                let turns = turns.clone();
                spawn(move || {
                    loop {
                        turns.set(turns.get() + 1);
                        thread::sleep(Duration::from_micros(10));
                        yield_now();
                    }
                })
            })
            .collect();
        for _ in 0..500 {
            let before = turns.get();
            assert_eq!(hub.poll_once(), Next::Now);
            assert!(turns.get() > before);
        }
        // The greenlets, and at most two of main's own items for each.
        assert!(hub.stats().queued <= 30, "{:?}", hub.stats());
        greenlets.iter().for_each(|greenlet| greenlet.kill_nowait());
        drive();
        assert!(hub.greenlets().is_empty());
    });
}

#[test]
fn deadlines_are_exact() {
    within(LIMIT, || {
        let hub = get_hub();
        let now = Instant::now();
        let deadlines = [3600, 1800, 7200].map(|seconds| now + Duration::new(seconds, 123_456_789));
        let greenlets = deadlines.map(|deadline| {
            spawn(move || {
                Event::new().wait_timeout(deadline);
            })
        });
        assert_eq!(hub.poll_once(), Next::At(deadlines[1]));
        assert_eq!(hub.next_deadline(), Some(deadlines[1]));
        greenlets[1].kill();
        assert_eq!(hub.poll_once(), Next::At(deadlines[0]));
        greenlets[0].kill();
        assert_eq!(hub.poll_once(), Next::At(deadlines[2]));
        greenlets[2].kill();
        assert_eq!(hub.poll_once(), Next::Idle);
        assert_eq!(hub.next_deadline(), None);
    });
}

#[test]
fn a_timer_without_end_is_no_deadline_to_overflow() {
    within(LIMIT, || {
        let g = spawn(|| sleep(Duration::MAX));
        let next = get_hub().poll_once();
        assert!(next == Next::Idle || matches!(next, Next::At(at) if at > Instant::now() + LONG), "{next:?}");
        g.kill();
    });
}

#[test]
fn a_deadline_that_has_passed_is_served() {
    within(LIMIT, || {
        let hub = get_hub();
        let deadline = Instant::now() + SHORT;
        let g = spawn(move || Event::new().wait_timeout(deadline));
        assert_eq!(hub.poll_once(), Next::At(deadline));
        thread::sleep(2 * SHORT);
        assert_eq!(hub.next_deadline(), Some(deadline));
        // The end of a limit is queued behind all events of the iteration.
        assert_eq!(hub.poll_once(), Next::Now);
        assert_eq!(hub.poll_once(), Next::Idle);
        assert!(!g.try_get().unwrap());
    });
}

#[test]
fn it_never_blocks() {
    within(LIMIT, || {
        let hub = get_hub();
        let _alive = hub.keep_alive();
        spawn(|| sleep(LONG));
        spawn(|| Event::new().wait());
        spawn(|| {
            let listener = ramie::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.accept().unwrap();
        });
        for _ in 0..10 {
            assert!(matches!(hub.poll_once(), Next::At(_)));
        }
        assert_eq!(hub.greenlets().len(), 3);
    });
}

#[test]
fn messages_of_other_threads_run_in_the_next_iteration() {
    within(LIMIT, || {
        let hub = get_hub();
        hub.poll_once();
        thread_local!(static POSTED: Cell<u32> = const { Cell::new(0) });
        let remote = hub.remote();
        let poster = thread::spawn(move || {
            for _ in 0..3 {
                remote.post(|| POSTED.set(POSTED.get() + 1)).unwrap();
            }
        });
        poster.join().unwrap();
        assert_eq!(hub.poll_once(), Next::Idle);
        assert_eq!(POSTED.get(), 3);
    });
}

#[test]
fn an_idle_wait_ends_and_an_idle_watcher_keeps_the_loop_awake() {
    within(LIMIT, || {
        let hub = get_hub();
        let g = spawn(idle);
        assert_eq!(hub.poll_once(), Next::Idle);
        assert!(g.dead());
        let calls = Rc::new(Cell::new(0));
        let watcher = hub.watch_idle();
        let count = calls.clone();
        watcher.start(move || count.set(count.get() + 1)).unwrap();
        for expected in 1..=3 {
            assert_eq!(hub.poll_once(), Next::Now);
            assert_eq!(calls.get(), expected);
        }
        watcher.stop();
        assert_eq!(hub.poll_once(), Next::Idle);
    });
}

#[test]
fn main_waits_for_an_idle_loop_beside_greenlets_that_always_yield() {
    within(LIMIT, || {
        let turns = Rc::new(Cell::new(0_u64));
        for _ in 0..3 {
            let turns = turns.clone();
            spawn(move || {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            });
        }
        for _ in 0..3 {
            let before = turns.get();
            idle();
            assert!(turns.get() > before);
        }
    });
}

#[test]
fn only_main_runs_an_iteration() {
    within(LIMIT, || {
        let message = "Hub::poll_once must be called from the main greenlet";
        let errors = Log::of_errors();
        let g = spawn(|| get_hub().poll_once());
        get_hub().run_callback(|| assert_eq!(get_hub().poll_once(), Next::Idle));
        let inner = spawn(|| {
            // The hub goes on as if nothing had been asked.
            let refused = catch_unwind(AssertUnwindSafe(|| get_hub().poll_once()));
            yield_now();
            refused.is_err()
        });
        drive();
        assert!(text(&g.get().unwrap_err()).contains(message));
        assert!(inner.get().unwrap());
        let errors = errors.take();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors.iter().all(|error| error.contains(message)), "{errors:?}");
    });
}

#[test]
fn greenlets_are_killed_and_time_out() {
    within(LIMIT, || {
        let log = Log::new();
        let (one, other) = (log.clone(), log.clone());
        let killed = spawn(move || {
            let _guard = Guard(one, "killed");
            sleep(LONG);
        });
        let late = spawn(move || {
            let _guard = Guard(other, "late");
            with_timeout(SHORT, || sleep(LONG)).is_err()
        });
        assert!(matches!(get_hub().poll_once(), Next::At(_)));
        killed.kill_nowait();
        // The same greenlet, killed by a call that waits between two iterations.
        killed.kill();
        assert_eq!(log.take(), ["killed"]);
        drive();
        assert!(late.get().unwrap());
        assert_eq!(log.take(), ["late"]);
    });
}

struct Guard(Log, &'static str);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

#[test]
fn other_waits_of_main_mix_with_iterations() {
    within(LIMIT, || {
        let hub = get_hub();
        let event = Event::new();
        let log = Log::new();
        for name in ["a", "b"] {
            let (event, log) = (event.clone(), log.clone());
            spawn(move || {
                event.wait();
                log.add(name);
                yield_now();
                log.add(name);
            });
        }
        hub.poll_once();
        event.set();
        // Main is resumed between the two waiters, in the middle of the loop.
        event.rawlink(Box::new(|| {}));
        yield_now();
        drive();
        let mut log = log.take();
        log.sort();
        assert_eq!(log, ["a", "a", "b", "b"]);
        sleep(SHORT);
        let timeout = Timeout::new(LONG);
        timeout.start();
        assert!(matches!(hub.poll_once(), Next::At(_)));
        timeout.cancel();
        assert_eq!(hub.poll_once(), Next::Idle);
    });
}

/// Waits when it is dropped.
struct SleepsInDrop(Rc<Cell<bool>>);

impl Drop for SleepsInDrop {
    fn drop(&mut self) {
        sleep(Duration::from_millis(20));
        self.0.set(true);
    }
}

#[test]
fn a_destructor_that_waits_in_a_callback_runs_inside_an_iteration() {
    let slept = Rc::new(Cell::new(false));
    let waiter = SleepsInDrop(slept.clone());
    spawn(|| {}).rawlink(move |_| {
        let _waiter = waiter;
        panic!("a callback that unwinds, and waits meanwhile");
    });
    for _ in 0..5 {
        let slept = slept.clone();
        spawn(move || {
            while !slept.get() {
                thread::sleep(Duration::from_millis(3));
                sleep(Duration::ZERO);
            }
        });
    }
    let hub = get_hub();
    while !slept.get() {
        hub.poll_once();
    }
    while !hub.greenlets().is_empty() {
        hub.poll_once();
    }
}
