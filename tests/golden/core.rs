//! The golden traces: small programs with an exact log that is known from gevent.
//!
//! Each test is named after its trace's number, and its log is gevent's. Where it is not, the test
//! names the hazard, one of the behaviours of gevent that look accidental and are not kept. Here
//! are the loop, links and kills; timeouts and what greenlets wait for are in `golden_waits.rs`.

use std::cell::Cell;
#[cfg(unix)]
use std::io::{self, Write};
use std::rc::Rc;
#[cfg(unix)]
use std::thread;
use std::time::{Duration, Instant};

#[cfg(unix)]
use ramie::hub::Watcher;
use ramie::hub::spawn_raw;
use ramie::sync::{Event, Semaphore};
use ramie::{
    Greenlet, GreenletExit, Kill, LoopExit, SystemExit, catch, get_hub, joinall, raise, sleep, spawn, wait,
    yield_now,
};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Blocks the thread, hub and all.
#[cfg(unix)]
fn busy(millis: u64) {
    thread::sleep(ms(millis));
}

/// Runs `f` and logs when it is killed; the exception passes through.
fn noting_exit<R>(log: &Log, word: &str, f: impl FnOnce() -> R) -> R {
    catch::<GreenletExit, R>(f).unwrap_or_else(|exit| {
        log.add(word);
        raise(exit.into_exception())
    })
}

#[test]
fn b_01_callbacks_and_starts_share_one_queue() {
    within(LIMIT, || {
        let log = Log::new();
        let nested = log.clone();
        get_hub().run_callback(move || {
            nested.add("a");
            get_hub().run_callback(nested.adder("nested"));
        });
        get_hub().run_callback(log.adder("b"));
        spawn(log.adder("g"));
        yield_now();
        log.expect("a b g");
    });
}

#[cfg(unix)]
#[test]
fn b_02_an_iteration_serves_by_kind_and_priority() {
    within(LIMIT, || {
        let log = Log::new();
        let hub = get_hub();
        sleep(ms(1));
        // Starts a watcher that logs once.
        let start = |watcher: Watcher, word: &'static str| {
            let watcher = Rc::new(watcher);
            let (log, this) = (log.clone(), watcher.clone());
            let started = watcher.start(move || {
                log.add(word);
                this.stop();
            });
            started.expect("the descriptor can be watched");
        };
        let mut writers = Vec::new();
        let mut readable = |word, priority| {
            let (reader, mut writer) = io::pipe().expect("the system has descriptors left");
            writer.write_all(b"x").expect("an empty pipe takes a byte");
            writers.push(writer);
            let watcher = hub.io(reader, true, false);
            watcher.set_priority(priority);
            start(watcher, word);
        };
        readable("io1", 0);
        readable("io2", 0);
        readable("io3", 0);
        readable("io+2", 2);
        for (after, word, priority) in [(5, "timer5", 0), (10, "timer10", 0), (7, "timeout7", -1)] {
            let watcher = hub.timer(ms(after), Duration::ZERO);
            watcher.set_priority(priority);
            start(watcher, word);
        }
        start(hub.check(), "check");
        start(hub.prepare(), "prepare");
        start(hub.watch_idle(), "idle");
        let callback = log.clone();
        hub.run_callback(move || {
            callback.add("callback");
            busy(30);
            get_hub().run_callback(callback.adder("nested"));
        });
        // gevent's program sleeps for 50 ms; a slow machine needs longer to come to an idle turn.
        while log.words().len() < 12 {
            sleep(ms(50));
        }
        // The order of sources of one priority is the system's and not promised; gevent shows
        // theirs reversed.
        let mut words = log.words();
        words[7..10].sort_unstable();
        let order = "prepare callback nested io+2 check timer5 timer10 io1 io2 io3 timeout7 idle";
        assert_eq!(words.join(" "), order, "{log:?}");
    });
}

#[test]
fn b_03_yielding_greenlets_hold_a_timer_up_for_one_interval() {
    within(LIMIT, || {
        let turns = Rc::new(Cell::new(0));
        let counter = turns.clone();
        let spinner = spawn(move || {
            loop {
                counter.set(counter.get() + 1);
                yield_now();
            }
        });
        let start = Instant::now();
        sleep(Duration::from_micros(100));
        let elapsed = start.elapsed();
        assert_eq!(turns.get() % 50, 0, "the clock is looked at after every 50 items: {}", turns.get());
        assert!(elapsed >= ms(4), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
        spinner.kill();
    });
}

#[test]
fn b_04_equal_deadlines_fire_in_order_of_start() {
    // Hazard 12: gevent's heap has no tie-break and gives 0 1 11 10 9 8 7 6 5 4 3 2.
    within(LIMIT, || {
        let log = Log::new();
        let deadline = Instant::now() + ms(5);
        let waiters: Vec<_> = (0..12)
            .map(|i| {
                let log = log.clone();
                spawn(move || {
                    Event::new().wait_timeout(deadline);
                    log.add(i);
                })
            })
            .collect();
        joinall(&waiters);
        log.expect("0 1 2 3 4 5 6 7 8 9 10 11");
    });
}

#[test]
fn b_06_spawned_by_a_greenlet_starts_behind_what_is_queued() {
    within(LIMIT, || {
        let log = Log::new();
        let first = log.clone();
        spawn(move || {
            first.add("1");
            spawn(first.adder("1a"));
            yield_now();
            first.add("1b");
        });
        spawn(log.adder("2"));
        yield_now();
        log.add("main");
        yield_now();
        log.expect("1 2 main 1a 1b");
    });
}

/// A greenlet that ends after it has queued a callback.
fn worker(log: &Log) -> Greenlet<()> {
    let log = log.clone();
    spawn(move || {
        sleep(ms(1));
        log.add("work-end");
        get_hub().run_callback(log.adder("c"));
    })
}

#[test]
fn b_07_links_run_behind_what_the_body_queued() {
    within(LIMIT, || {
        let log = Log::new();
        let g = worker(&log);
        g.rawlink(log.linker("raw1"));
        get_hub().join();
        log.expect("work-end c raw1");
    });
}

#[test]
fn b_08_links_and_waiters_interleave() {
    within(LIMIT, || {
        let log = Log::new();
        let g = worker(&log);
        let waiter = |name: &'static str| {
            let (g, log) = (g.clone(), log.clone());
            spawn(move || {
                g.join();
                log.add(format!("waiter-{name}"));
                yield_now();
                log.add(format!("{name}-again"));
            })
        };
        g.rawlink(log.linker("raw1"));
        let a = waiter("A");
        yield_now();
        g.link(log.linker("link2"));
        let b = waiter("B");
        yield_now();
        g.rawlink(log.linker("raw3"));
        joinall(&[a, b]);
        log.expect("work-end c raw1 waiter-A link2 waiter-B raw3 A-again B-again");
    });
}

#[test]
fn b_09_a_link_that_waits_lets_the_next_one_run() {
    within(LIMIT, || {
        let log = Log::new();
        let slow = log.clone();
        let g = spawn(|| 1);
        g.link(move |_| {
            slow.add("slow-start");
            sleep(ms(5));
            slow.add("slow-end");
        });
        g.link(log.linker("next"));
        get_hub().join();
        log.expect("slow-start next slow-end");
    });
}

#[test]
fn b_10_a_chain_of_permits_is_one_item_of_the_queue() {
    within(LIMIT, || {
        let log = Log::new();
        let semaphore = Semaphore::new(0);
        for i in 0..4 {
            let (log, semaphore) = (log.clone(), semaphore.clone());
            spawn(move || {
                semaphore.acquire();
                log.add(i);
                semaphore.release();
            });
        }
        yield_now();
        spawn(log.adder("cb"));
        semaphore.release();
        yield_now();
        log.expect("cb 0 1 2 3");
    });
}

#[test]
fn b_11_a_link_added_by_a_link_runs_in_the_same_pass() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(|| 1);
        let first = log.clone();
        g.rawlink(move |g| {
            first.add("a");
            g.rawlink(first.linker("x"));
        });
        let last = log.clone();
        get_hub().run_callback(move || {
            get_hub().run_callback(last.adder("c"));
        });
        g.rawlink(log.linker("b"));
        sleep(ms(1));
        log.expect("a b x c");
    });
}

#[test]
fn b_12_a_link_to_what_has_ended_runs_in_a_later_turn() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(|| 1);
        g.join();
        sleep(ms(1));
        g.link(log.linker("l"));
        log.add("sync");
        yield_now();
        log.expect("sync l");
    });
}

#[test]
fn b_13_of_two_links_that_unlink_each_other_one_runs() {
    within(LIMIT, || {
        let (log, errors) = (Log::new(), Log::of_errors());
        let g = spawn(|| 5);
        let second = Rc::new(Cell::new(None));
        let (first_log, of_first) = (log.clone(), second.clone());
        let first = g.link(move |g| {
            g.unlink(of_first.get().expect("the second is linked before the first runs"));
            first_log.add("one");
            raise("first");
        });
        let second_log = log.clone();
        second.set(Some(g.link(move |g| {
            g.unlink(first);
            second_log.add("one");
            raise("second");
        })));
        sleep(ms(5));
        log.expect("one");
        errors.expect("first");
    });
}

#[test]
fn b_14_join_and_get_of_what_has_ended_do_not_yield_but_wait_does() {
    within(LIMIT, || {
        let g = spawn(|| 1);
        g.join();
        sleep(ms(1));
        let log = Log::new();
        spawn(log.adder("ran"));
        g.join();
        assert!(log.is_empty(), "join yielded");
        assert_eq!(g.get().ok(), Some(1));
        assert!(log.is_empty(), "get yielded");
        wait(&[g]);
        log.expect("ran");
    });
}

#[test]
fn b_15_the_loop_exit_is_mains_and_the_culprit_lives_on() {
    within(LIMIT, || {
        let event = Event::new();
        let waiter = event.clone();
        let g = spawn(move || waiter.wait());
        assert!(catch::<LoopExit, _>(|| g.join()).is_err());
        assert!(!g.dead());
        event.set();
        g.join();
        assert!(g.dead());
    });
}

#[test]
fn b_16_a_system_exit_reaches_main_before_everything_queued() {
    within(LIMIT, || {
        let (log, _errors) = (Log::new(), Log::of_errors());
        let dying = log.clone();
        let g = spawn(move || {
            dying.add("die");
            raise(SystemExit(3))
        });
        g.link(log.linker("link"));
        spawn(log.adder("other"));
        let exit = catch::<SystemExit, _>(|| sleep(LONG)).expect_err("main is told");
        log.add(format!("main-got-{}", exit.0));
        log.add(if g.ready() { "ready" } else { "?" });
        log.add(if g.dead() { "dead" } else { "notdead" });
        sleep(ms(10));
        log.expect("die main-got-3 ready notdead other link");
        assert!(g.dead());
    });
}

#[test]
fn b_20_a_kill_is_queued_behind_the_targets_next_turn() {
    within(LIMIT, || {
        let log = Log::new();
        let looper = log.clone();
        let g = spawn(move || {
            noting_exit(&looper, "exit", || {
                loop {
                    looper.add("turn");
                    yield_now();
                }
            })
        });
        yield_now();
        log.clear();
        g.kill();
        log.expect("turn exit");
    });
}

#[test]
fn b_21_a_wake_up_and_a_kill_take_their_turns_in_order() {
    within(LIMIT, || {
        let log = Log::new();
        let waiter = |event: &Event| {
            let (log, event) = (log.clone(), event.clone());
            spawn(move || {
                noting_exit(&log, "exit", || {
                    event.wait();
                    log.add("woke");
                    sleep(LONG);
                })
            })
        };
        let event = Event::new();
        let g = waiter(&event);
        yield_now();
        event.set();
        g.kill();
        log.add("|");
        let event = Event::new();
        let g = waiter(&event);
        yield_now();
        g.kill_nowait();
        event.set();
        g.join();
        log.expect("woke exit | exit");
    });
}

#[test]
fn b_22_killed_before_its_first_turn_it_never_runs() {
    within(LIMIT, || {
        let log = Log::new();
        let g = spawn(log.adder("BODY"));
        g.link(log.linker("link"));
        g.kill();
        yield_now();
        log.expect("link");
        assert!(g.successful());
        assert!(g.get().is_err_and(|failure| failure.is_exit()));
    });
}

#[test]
fn b_23_the_limit_of_a_kill_is_for_the_targets_clean_up() {
    struct SlowDrop(Log, Event);
    impl Drop for SlowDrop {
        fn drop(&mut self) {
            self.0.add("s");
            self.1.wait();
            self.0.add("e");
        }
    }
    within(LIMIT, || {
        let (log, go_on) = (Log::new(), Event::new());
        let slow = SlowDrop(log.clone(), go_on.clone());
        let g = spawn(move || {
            let _slow = slow;
            sleep(LONG);
        });
        yield_now();
        assert!(!g.kill_with(Kill::default().timeout(ms(5))));
        log.add("r");
        go_on.set();
        g.join();
        log.expect("s r e");
    });
}

#[test]
fn b_24_kills_hit_in_their_own_order() {
    within(LIMIT, || {
        let log = Log::new();
        let greenlets: Vec<_> = (0..4)
            .map(|i: usize| {
                let log = log.clone();
                spawn(move || noting_exit(&log, &i.to_string(), || sleep(LONG)))
            })
            .collect();
        yield_now();
        for i in [2, 0, 3, 1] {
            greenlets[i].kill_nowait();
        }
        yield_now();
        log.expect("2 0 3 1");
    });
}

#[test]
fn b_25_a_kill_waits_in_line_and_its_killer_for_it() {
    within(LIMIT, || {
        let log = Log::new();
        let killed = log.clone();
        let g = spawn(move || noting_exit(&killed, "exit", || sleep(LONG)));
        yield_now();
        spawn(log.adder("other"));
        g.kill();
        log.add("main");
        log.expect("other exit main");
    });
}

#[test]
fn b_66_a_killed_raw_greenlet_starts_and_is_hit_where_it_waits() {
    within(LIMIT, || {
        let log = Log::new();
        let sleeper = log.clone();
        spawn_raw(move || {
            noting_exit(&sleeper, "exit", || {
                sleeper.add("start");
                sleep(LONG);
            });
        })
        .kill_nowait();
        sleep(ms(1));
        log.add("|");
        spawn_raw(log.adder("ran")).kill_nowait();
        sleep(ms(1));
        log.expect("start exit | ran");
    });
}
