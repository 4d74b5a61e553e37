//! The golden traces of timeouts, events, semaphores and sockets; see `golden.rs` for the others
//! and the rules.

use std::io::{self, Read, Write};
#[cfg(unix)]
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use ramie::net::{TcpListener, TcpStream};
use ramie::sync::{Event, Semaphore};
use ramie::{TimedOut, Timeout, catch, get_hub, joinall, raise, sleep, spawn, spawn_later, yield_now};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(60);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Blocks the thread, hub and all.
fn busy(millis: u64) {
    thread::sleep(ms(millis));
}

/// gevent's `with timeout:`, which raises where `scope` returns an error.
fn under<R>(limit: &Timeout, f: impl FnOnce() -> R) -> R {
    limit.scope(f).unwrap_or_else(|TimedOut| raise(limit.clone()))
}

fn tcp_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let accepted = spawn(move || listener.accept());
    let stream = TcpStream::connect(address)?;
    let (other, _) = accepted.take().expect("accepting neither panics nor is killed")?;
    Ok((stream, other))
}

#[test]
fn b_30_of_nested_timeouts_the_earlier_is_raised() {
    fn nest(log: &Log, outer: Duration, inner: Duration) {
        let outer = Timeout::new(outer);
        let name = |timeout: &Timeout| if timeout.is(&outer) { "outer" } else { "inner" };
        let seen = catch::<Timeout, _>(|| {
            under(&outer, || {
                let seen = catch::<Timeout, _>(|| under(&Timeout::new(inner), || sleep(LONG)));
                let caught = seen.expect_err("one of the two is raised");
                let pending = if outer.pending() { "(outer-pending)" } else { "" };
                log.add(format!("inner-sees-{}{pending}", name(&caught)));
                raise(caught.into_exception())
            })
        });
        let caught = seen.expect_err("it was raised again");
        log.add(format!("outer-sees-{}", name(&caught)));
    }
    within(LIMIT, || {
        let log = Log::new();
        nest(&log, ms(5), LONG);
        nest(&log, LONG, ms(5));
        log.expect("inner-sees-outer outer-sees-outer inner-sees-inner(outer-pending) outer-sees-inner");
    });
}

#[test]
fn b_31_a_signal_of_the_same_iteration_beats_the_limit() {
    // Hazard 6: in gevent the limit wins, and the log is "False True".
    within(LIMIT, || {
        let log = Log::new();
        let event = Event::new();
        let (waiter, waits) = (event.clone(), log.clone());
        let g = spawn(move || waits.add(waiter.wait_timeout(ms(10))));
        yield_now();
        let setter = event.clone();
        spawn_later(ms(5), move || setter.set());
        busy(50);
        g.join();
        log.add(event.is_set());
        log.expect("true true");
    });
}

#[test]
fn b_32_data_of_the_same_iteration_beats_the_limit() -> io::Result<()> {
    within(LIMIT, || {
        let log = Log::new();
        let (a, mut b) = tcp_pair()?;
        a.set_read_timeout(Some(ms(10)))?;
        let reader = log.clone();
        let g = spawn(move || {
            let mut buffer = [0; 9];
            let read =
                (&a).read(&mut buffer).map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
            reader.add(read.unwrap_or_else(|error| error.to_string()));
        });
        yield_now();
        b.write_all(b"x")?;
        busy(50);
        g.join();
        log.expect("x");
        Ok(())
    })
}

#[test]
fn b_33_a_sleep_over_in_the_same_iteration_beats_the_timeout() {
    within(LIMIT, || {
        let log = Log::new();
        let sleeper = log.clone();
        let g = spawn(move || {
            let slept = Timeout::new(ms(5)).scope(|| sleep(ms(10)));
            sleeper.add(if slept.is_ok() { "slept" } else { "timeout" });
        });
        yield_now();
        busy(50);
        g.join();
        log.expect("slept");
    });
}

#[test]
fn b_34_a_yield_delivers_no_timeout() {
    within(LIMIT, || {
        let result = Timeout::new(ms(1)).scope(|| {
            busy(20);
            yield_now();
        });
        assert_eq!(result, Ok(()));
    });
}

#[test]
fn b_35_timeouts_due_together_fire_by_deadline() {
    within(LIMIT, || {
        let log = Log::new();
        let start = Instant::now();
        let greenlets = [30, 10, 20].map(|limit| {
            let log = log.clone();
            spawn(move || {
                if Timeout::at(start + ms(limit)).scope(|| Event::new().wait()).is_err() {
                    log.add(limit);
                }
            })
        });
        yield_now();
        busy(50);
        joinall(&greenlets);
        log.expect("10 20 30");
    });
}

#[test]
fn b_51_waiters_of_a_set_event_are_woken_although_it_was_cleared() {
    within(LIMIT, || {
        let log = Log::new();
        let event = Event::new();
        for i in 0..3 {
            let (log, event) = (log.clone(), event.clone());
            spawn(move || {
                let woken = event.wait_timeout(LONG);
                log.add(format!("{i}-{woken}-{}", event.is_set()));
            });
        }
        yield_now();
        event.set();
        event.clear();
        log.add("m");
        yield_now();
        log.expect("m 0-true-false 1-true-false 2-true-false");
    });
}

#[test]
fn b_52_who_waits_on_an_event_just_set_comes_last() {
    within(LIMIT, || {
        let log = Log::new();
        let event = Event::new();
        for i in 0..2 {
            let (log, event) = (log.clone(), event.clone());
            spawn(move || {
                event.wait();
                log.add(i);
            });
        }
        yield_now();
        event.set();
        event.wait();
        log.add("main");
        log.expect("0 1 main");
    });
}

#[test]
fn b_53_a_set_event_wakes_its_late_waiter_when_the_others_are_killed() {
    // Hazard 1: in gevent the pass is called off with the last ordinary waiter, and main gets
    // LoopExit.
    within(LIMIT, || {
        let event = Event::new();
        let waiter = event.clone();
        let g = spawn(move || waiter.wait());
        yield_now();
        g.kill_nowait();
        event.set();
        assert!(event.wait_timeout(ms(50)));
        assert!(event.is_set());
    });
}

#[test]
fn b_54_a_permit_goes_to_who_asks_before_who_waits() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        for _ in 0..2 {
            let semaphore = semaphore.clone();
            spawn(move || semaphore.acquire());
        }
        yield_now();
        semaphore.release();
        let barged = semaphore.try_acquire();
        yield_now();
        assert!(barged);
        assert_eq!(semaphore.linkcount(), 2);
    });
}

#[test]
fn b_55_as_many_waiters_are_woken_as_there_are_permits() {
    within(LIMIT, || {
        let log = Log::new();
        let semaphore = Semaphore::new(0);
        for i in 0..5 {
            let (log, semaphore) = (log.clone(), semaphore.clone());
            spawn(move || {
                semaphore.acquire();
                log.add(i);
            });
        }
        yield_now();
        for _ in 0..3 {
            semaphore.release();
        }
        log.add("m");
        yield_now();
        log.add(format!("left{}", semaphore.linkcount()));
        log.expect("m 0 1 2 left2");
    });
}

#[cfg(unix)]
#[test]
fn b_62_closing_tells_the_reader_in_a_later_turn() -> io::Result<()> {
    within(LIMIT, || {
        let log = Log::new();
        let (a, _b) = tcp_pair()?;
        let a = Rc::new(a);
        let (reader, reads) = (a.clone(), log.clone());
        spawn(move || {
            let read = (&*reader).read(&mut [0]);
            // The number of EBADF on every Unix.
            reads.add(read.is_err_and(|error| error.raw_os_error() == Some(9)));
        });
        yield_now();
        a.close();
        log.add("closed");
        yield_now();
        log.expect("closed true");
        Ok(())
    })
}

#[test]
fn b_65_a_waiter_that_expires_takes_nobodys_wake_up_along() {
    // Hazards 1 and 6: in gevent the first waiter times out and the setter sleeps forever; "w-False
    // set".
    within(LIMIT, || {
        let log = Log::new();
        let event = Event::new();
        let (waiter, waits) = (event.clone(), log.clone());
        spawn(move || waits.add(format!("w-{}", waiter.wait_timeout(ms(10)))));
        yield_now();
        busy(30);
        let (setter, sets) = (event.clone(), log.clone());
        spawn_later(Duration::ZERO, move || {
            setter.set();
            setter.wait_timeout(ms(200));
            sets.add("late-woke");
        });
        get_hub().join_timeout(Duration::from_secs(1));
        log.add(if event.is_set() { "set" } else { "unset" });
        log.expect("w-true late-woke set");
    });
}
