//! gevent's tests of signals (`test__signal.py`), restated; `signal.rs` has more.
#![cfg(unix)]

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ramie::signal::{SIGALRM, SIGUSR1, signal_handler};
use ramie::sync::Event;
use ramie::{catch, get_hub, raise, sleep};

use crate::util::log::Log;
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(3600);

/// Stands for `signal.alarm`: the signal comes from outside of the greenlets.
fn alarm() -> thread::JoinHandle<()> {
    thread::spawn(|| {
        thread::sleep(Duration::from_millis(20));
        signal_hook::low_level::raise(SIGALRM).unwrap();
    })
}

/// gevent: `TestSignal::test_alarm`.
#[test]
fn alarm_is_raised_in_main_by_its_handler() {
    within(LIMIT, || {
        let _errors = Log::of_errors();
        let handler = signal_handler(SIGALRM, || raise("alarmed")).unwrap();
        // It does not keep the loop alive, unless that is asked for.
        get_hub().join();
        handler.set_ref(true);
        assert!(!get_hub().join_timeout(Duration::from_millis(1)));
        handler.set_ref(false);
        get_hub().join();
        // It stays in force after it has failed.
        for _ in 0..2 {
            let sender = alarm();
            assert!(catch::<&str, _>(|| sleep(LONG)).is_err_and(|error| *error == "alarmed"));
            sender.join().unwrap();
        }
        handler.cancel();
    });
}

/// gevent, section 6.9 of the reference: the handler may block, repeats are merged, `cancel` can be
/// repeated.
#[test]
fn handler_blocks_and_repeats_are_merged() {
    within(LIMIT, || {
        let (calls, done) = (Rc::new(Cell::new(0)), Rc::new(Event::new()));
        let (count, end) = (calls.clone(), done.clone());
        let handler = signal_handler(SIGUSR1, move || {
            count.set(count.get() + 1);
            sleep(Duration::from_millis(1));
            end.set();
        })
        .unwrap();
        for _ in 0..3 {
            signal_hook::low_level::raise(SIGUSR1).unwrap();
        }
        done.wait_timeout(LONG);
        assert_eq!(calls.get(), 1);
        handler.cancel();
        handler.cancel();
    });
}
