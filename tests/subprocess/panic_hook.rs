//! Panic hooks that wait, and hooks that are set while a greenlet waits in an unwinding: the cases
//! that the documentation names.
#![cfg(unix)]

use std::os::unix::process::ExitStatusExt;
use std::panic::{catch_unwind, set_hook, take_hook};
use std::time::Duration;

use ramie::{sleep, spawn, yield_now};

use crate::util::subprocess::{again, part, stderr};

const SHORT: Duration = Duration::from_millis(20);
/// The number of SIGABRT.
const ABORT: i32 = 6;

/// Waits while it is dropped.
struct Waits;

impl Drop for Waits {
    fn drop(&mut self) {
        sleep(SHORT);
    }
}

#[test]
fn a_panic_while_a_hook_waits_ends_the_process_with_a_message() {
    const NAME: &str = "panic_hook::a_panic_while_a_hook_waits_ends_the_process_with_a_message";
    match part().as_deref() {
        Some("alone") => {
            set_hook(Box::new(|_| sleep(SHORT)));
            let alone = spawn(|| panic!("alone"));
            assert!(alone.get().is_err());
        }
        Some(other) => {
            set_hook(Box::new(|_| sleep(10 * SHORT)));
            let first = spawn(|| panic!("first"));
            yield_now();
            match other {
                "panic" => drop(spawn(|| panic!("second")).get()),
                "set_hook" => set_hook(Box::new(|_| ())),
                _ => unreachable!("{other}"),
            }
            drop(first.get());
        }
        None => {
            let output = again(NAME, "alone");
            assert!(output.status.success(), "{output:?}");
            for part in ["panic", "set_hook"] {
                let output = again(NAME, part);
                assert_eq!(output.status.signal(), Some(ABORT), "{part}: {output:?}");
                assert!(stderr(&output).contains("panicked while processing panic"), "{part}: {output:?}");
            }
        }
    }
}

#[test]
fn a_hook_cannot_be_set_while_a_greenlet_waits_in_an_unwinding() {
    const NAME: &str = "panic_hook::a_hook_cannot_be_set_while_a_greenlet_waits_in_an_unwinding";
    match part() {
        Some(_) => {
            let unwinding = spawn(|| {
                let _waits = Waits;
                sleep(Duration::from_secs(3600));
            });
            yield_now();
            unwinding.kill_nowait();
            yield_now();
            assert!(catch_unwind(|| drop(take_hook())).is_err());
            assert!(catch_unwind(|| set_hook(Box::new(|_| ()))).is_err());
            unwinding.join();
            drop(take_hook());
        }
        None => {
            let output = again(NAME, "set");
            assert!(output.status.success(), "{output:?}");
        }
    }
}
