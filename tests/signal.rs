//! Signals: waited for, handled in greenlets, and given back.
#![cfg(unix)]

mod util;

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use ramie::signal::{
    SIGCHLD, SIGCONT, SIGHUP, SIGILL, SIGKILL, SIGPIPE, SIGSEGV, SIGSTOP, SIGURG, SIGUSR1, SIGUSR2, SIGWINCH,
    Signals, signal_handler,
};
use ramie::sync::Event;
use ramie::{
    LoopExit, TimedOut, catch, get_hub, iwait, joinall, sleep, spawn, wait_timeout, with_timeout, yield_now,
};

use crate::util::footprint::{self, settled};
use crate::util::log::Log;
use crate::util::sleepers::parked;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(3600);

/// Runs a test while no other one listens to the signals of this process, and looks for what it has
/// left.
#[track_caller]
fn alone(body: impl FnOnce() + Send + 'static) {
    footprint::alone(LIMIT, body);
}

/// Sends this thread a signal, which has arrived when this returns.
fn raise(signal: i32) {
    signal_hook::low_level::raise(signal).unwrap();
}

#[test]
fn signal_wakes_whoever_waits() {
    alone(|| {
        let signals = Signals::new([SIGUSR1, SIGHUP]).unwrap();
        assert_eq!(signals.try_wait(), None);
        assert_eq!(signals.wait_timeout(SHORT).unwrap(), None);
        // Nothing else is left that could wake main, and it is no deadlock.
        let sender = thread::spawn(|| {
            thread::sleep(Duration::from_millis(20));
            raise(SIGHUP);
        });
        assert_eq!(signals.wait().unwrap(), SIGHUP);
        sender.join().unwrap();
        let sender = spawn(|| raise(SIGUSR1));
        assert_eq!(signals.wait_timeout(LIMIT).unwrap(), Some(SIGUSR1));
        sender.join();
        assert_eq!(signals.wait_timeout(SHORT).unwrap(), None);
    });
}

#[test]
fn signals_that_came_before_are_there_once_for_each_kind() {
    alone(|| {
        let signals = Signals::new([SIGUSR2, SIGUSR1]).unwrap();
        signals.add(SIGWINCH).unwrap();
        signals.add(SIGUSR1).unwrap();
        for signal in [SIGWINCH, SIGUSR1, SIGUSR1, SIGUSR2, SIGUSR1] {
            raise(signal);
        }
        assert_eq!(signals.wait().unwrap(), SIGUSR2);
        assert_eq!(signals.try_wait(), Some(SIGUSR1));
        raise(SIGUSR1);
        assert_eq!(signals.wait().unwrap(), SIGUSR1);
        assert_eq!(signals.wait_timeout(Duration::ZERO).unwrap(), Some(SIGWINCH));
        assert_eq!(signals.wait_timeout(SHORT).unwrap(), None);
        assert_eq!(format!("{signals:?}"), format!("Signals([{SIGUSR2}, {SIGUSR1}, {SIGWINCH}])"));
    });
}

#[test]
fn greenlets_share_out_the_signals_of_one_object() {
    alone(|| {
        let signals = Rc::new(Signals::new([SIGUSR1, SIGUSR2, SIGHUP]).unwrap());
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let signals = signals.clone();
                parked(move || signals.wait().unwrap())
            })
            .collect();
        // All at once: each of them wakes, and each finds one.
        for signal in [SIGUSR1, SIGUSR2, SIGHUP] {
            raise(signal);
        }
        joinall(&waiting);
        let mut taken = waiting.iter().map(|waiting| waiting.get().unwrap()).collect::<Vec<_>>();
        taken.sort_unstable();
        let mut sent = [SIGUSR1, SIGUSR2, SIGHUP];
        sent.sort_unstable();
        assert_eq!(taken, sent);
        // One signal wakes all, and all but one go on waiting.
        let waiting = [0, 1].map(|_| {
            let signals = signals.clone();
            parked(move || signals.wait().unwrap())
        });
        raise(SIGUSR1);
        assert_eq!(iwait(&waiting).take(1).count(), 1);
        let left = waiting.iter().filter(|waiting| !waiting.ready()).count();
        assert_eq!(left, 1);
        waiting.iter().for_each(|waiting| waiting.kill());
    });
}

#[test]
fn every_object_and_every_thread_gets_each_signal() {
    alone(|| {
        let here = [Signals::new([SIGUSR1]).unwrap(), Signals::new([SIGUSR1, SIGUSR2]).unwrap()];
        let (ready, is_ready) = channel();
        let there = thread::spawn(move || {
            let signals = Signals::new([SIGUSR1]).unwrap();
            ready.send(()).unwrap();
            signals.wait().unwrap()
        });
        is_ready.recv().unwrap();
        raise(SIGUSR1);
        for signals in &here {
            assert_eq!(signals.wait().unwrap(), SIGUSR1);
        }
        assert_eq!(there.join().unwrap(), SIGUSR1);
        // One that goes takes nothing from the others.
        let [first, second] = here;
        drop(first);
        raise(SIGUSR1);
        assert_eq!(second.wait().unwrap(), SIGUSR1);
    });
}

#[test]
fn interrupted_wait_loses_no_signal() {
    alone(|| {
        let signals = Rc::new(Signals::new([SIGUSR1]).unwrap());
        let before = settled();
        for _ in 0..3 {
            let waiting = parked({
                let signals = signals.clone();
                move || signals.wait().unwrap()
            });
            // The signal and the kill come together.
            raise(SIGUSR1);
            waiting.kill();
            assert!(waiting.dead());
            if waiting.get().is_err() {
                assert_eq!(signals.try_wait(), Some(SIGUSR1));
            }
            assert_eq!(with_timeout(SHORT, || signals.wait().map(drop).unwrap()), Err(TimedOut));
        }
        raise(SIGUSR1);
        assert_eq!(signals.wait().unwrap(), SIGUSR1);
        assert_eq!(signals.wait_timeout(SHORT).unwrap(), None);
        // It has been registered since the first wait.
        assert_eq!(settled().greenlets, before.greenlets);
        assert_eq!(settled().refs, before.refs);
    });
}

#[test]
fn signals_are_waited_for_among_others() {
    alone(|| {
        let objects = [Signals::new([SIGUSR1]).unwrap(), Signals::new([SIGUSR2, SIGHUP]).unwrap()];
        assert!(wait_timeout(&objects, SHORT).is_empty(), "none has come");
        spawn(|| raise(SIGUSR2));
        let mut ready = iwait(&objects);
        assert!(std::ptr::eq(ready.next().unwrap(), &raw const objects[1]));
        drop(ready);
        // Not taken yet, so still ready.
        assert_eq!(wait_timeout(&objects[1..], LONG).len(), 1);
        raise(SIGHUP);
        assert_eq!(objects[1].wait().unwrap(), SIGUSR2);
        assert_eq!(wait_timeout(&objects[1..], LONG).len(), 1, "there is one more");
        assert_eq!(objects[1].wait().unwrap(), SIGHUP);
        assert!(wait_timeout(&objects, SHORT).is_empty(), "all have been taken");
    });
}

#[test]
fn flood_of_signals_ends() {
    alone(|| {
        let signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
        let handled = Rc::new(Cell::new(0));
        let count = handled.clone();
        let handler = signal_handler(SIGUSR1, move || count.set(count.get() + 1)).unwrap();
        let sender = thread::spawn(|| {
            for _ in 0..100_000 {
                raise(SIGUSR1);
            }
            raise(SIGUSR2);
        });
        let mut taken = 0;
        while signals.wait().unwrap() == SIGUSR1 {
            taken += 1;
        }
        sender.join().unwrap();
        // It is unknown if the last one was taken.
        while signals.wait_timeout(SHORT).unwrap().is_some() {}
        assert!(taken > 0 && handled.get() > 0);
        drop(handler);
    });
}

/// One that rings a bell which is gone is sent a `SIGPIPE`, and a program may have gone back to
/// dying of that.
#[test]
fn listeners_that_are_dropped_in_a_flood_break_no_pipe() {
    alone(|| {
        let _kept = Signals::new([SIGUSR1]).unwrap();
        let broken = Signals::new([SIGPIPE]).unwrap();
        let (end, ended) = channel();
        let sender = thread::spawn(move || {
            while ended.try_recv().is_err() {
                raise(SIGUSR1);
            }
        });
        for _ in 0..300 {
            drop(Signals::new([SIGUSR1]).unwrap());
            drop(signal_handler(SIGUSR1, || ()).unwrap());
            signal_handler(SIGUSR1, || ()).unwrap().cancel();
        }
        end.send(()).unwrap();
        sender.join().unwrap();
        assert_eq!(broken.try_wait(), None);
    });
}

#[test]
fn nobody_listens_to_what_cannot_be_heard() {
    alone(|| {
        for signal in [SIGKILL, SIGSTOP, SIGSEGV, SIGILL] {
            assert_eq!(Signals::new([SIGUSR1, signal]).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(signal_handler(signal, || ()).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        for signal in [-1, 0, 1000, i32::MAX, i32::MIN] {
            assert!(Signals::new([signal]).is_err(), "{signal}");
        }
        let none = Signals::new([]).unwrap();
        assert_eq!(none.wait_timeout(SHORT).unwrap(), None);
    });
}

#[test]
fn handler_runs_in_a_greenlet_for_each_signal() {
    alone(|| {
        let (log, go) = (Log::new(), Rc::new(Event::new()));
        let (handling, going) = (log.clone(), go.clone());
        let handler = signal_handler(SIGUSR1, move || {
            handling.add("begins");
            going.wait();
            handling.add("ends");
        })
        .unwrap();
        for _ in 0..2 {
            raise(SIGUSR1);
            sleep(SHORT);
        }
        // The second came while the first one waited.
        log.expect("begins begins");
        go.set();
        sleep(SHORT);
        log.expect("begins begins ends ends");
        drop(handler);
    });
}

#[test]
fn several_handlers_run_until_each_is_cancelled() {
    alone(|| {
        let log = Log::new();
        let handler = |word: &'static str| {
            let log = log.clone();
            signal_handler(SIGUSR1, move || log.add(word)).unwrap()
        };
        let (first, second) = (handler("first"), handler("second"));
        let signals = Signals::new([SIGUSR1]).unwrap();
        raise(SIGUSR1);
        sleep(SHORT);
        let mut both = log.words();
        both.sort();
        assert_eq!(both, ["first", "second"]);
        log.clear();
        first.cancel();
        first.cancel();
        raise(SIGUSR1);
        sleep(SHORT);
        log.expect("second");
        // What has come, and was not begun, is forgotten.
        raise(SIGUSR1);
        second.cancel();
        sleep(SHORT);
        log.expect("second");
        assert!(format!("{second:?}").contains("active: false"));
        assert_eq!(signals.try_wait(), Some(SIGUSR1));
        drop((first, second));
    });
}

#[test]
fn handler_may_cancel_itself() {
    alone(|| {
        let count = Rc::new(Cell::new(0));
        let slot = Rc::new(RefCell::new(None));
        let (counting, own) = (count.clone(), Rc::downgrade(&slot));
        let handler = signal_handler(SIGUSR1, move || {
            counting.set(counting.get() + 1);
            let handler = own.upgrade().and_then(|slot| slot.take());
            drop::<Option<ramie::signal::SignalHandler>>(handler);
        });
        *slot.borrow_mut() = Some(handler.unwrap());
        let signals = Signals::new([SIGUSR1]).unwrap();
        for _ in 0..2 {
            raise(SIGUSR1);
            sleep(SHORT);
        }
        assert_eq!(count.get(), 1);
        drop(signals);
    });
}

#[test]
fn waiting_handler_does_not_keep_the_loop_alive() {
    alone(|| {
        let handler = signal_handler(SIGUSR1, || ()).unwrap();
        get_hub().join();
        assert!(catch::<LoopExit, _>(|| Event::new().wait()).is_err());
        handler.set_ref(true);
        assert!(!get_hub().join_timeout(SHORT), "now it does");
        handler.set_ref(false);
        assert!(get_hub().join_timeout(LONG));
        // But what it has begun is finished.
        let done = Rc::new(Cell::new(false));
        let end = done.clone();
        let sleeper = signal_handler(SIGUSR2, move || {
            sleep(SHORT);
            end.set(true);
        })
        .unwrap();
        raise(SIGUSR2);
        sleep(Duration::from_millis(1));
        get_hub().join();
        assert!(done.get());
        drop((handler, sleeper));
    });
}

#[test]
fn failure_of_a_handler_reaches_main_and_the_handler_stays() {
    alone(|| {
        let errors = Log::of_errors();
        let handler = signal_handler(SIGUSR1, || ramie::raise("no luck")).unwrap();
        for _ in 0..2 {
            spawn(|| raise(SIGUSR1));
            let caught = catch::<&str, _>(|| sleep(LONG)).unwrap_err();
            assert_eq!(*caught, "no luck");
        }
        drop(handler);
        let handler = signal_handler(SIGUSR1, || panic!("even less")).unwrap();
        spawn(|| raise(SIGUSR1));
        let caught = catch::<ramie::Failure, _>(|| sleep(LONG)).unwrap_err();
        assert_eq!(caught.panic_message(), Some("even less"));
        assert_eq!(errors.len(), 3);
        drop(handler);
        // A killed handler has not failed.
        let handler = signal_handler(SIGUSR1, || sleep(LONG)).unwrap();
        raise(SIGUSR1);
        sleep(SHORT);
        get_hub().greenlets().iter().for_each(|greenlet| greenlet.kill());
        sleep(SHORT);
        assert_eq!(errors.len(), 3);
        drop(handler);
    });
}

#[test]
fn signals_that_do_nothing_by_default_are_heard_and_forgotten() {
    alone(|| {
        for signal in [SIGCHLD, SIGURG, SIGWINCH, SIGCONT] {
            let signals = Signals::new([signal]).unwrap();
            raise(signal);
            assert_eq!(signals.wait().unwrap(), signal);
            drop(signals);
            // No listener is left, and the process continues.
            raise(signal);
            yield_now();
        }
    });
}

#[test]
fn dropped_in_another_order_and_on_an_ending_thread() {
    alone(|| {
        let kept = signal_handler(SIGUSR1, || ()).unwrap();
        thread::spawn(|| {
            let signals = Signals::new([SIGUSR1]).unwrap();
            let handler = signal_handler(SIGUSR1, || ()).unwrap();
            assert_eq!(signals.wait_timeout(Duration::from_millis(1)).unwrap(), None);
            thread_local!(static LATE: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) });
            LATE.with_borrow_mut(|late| {
                late.push(Box::new(signals));
                late.push(Box::new(handler));
            });
        })
        .join()
        .unwrap();
        raise(SIGUSR1);
        sleep(SHORT);
        drop(kept);
    });
}
