//! `RAMIE_CHECK_WAITS=1`: in debug builds a wait in a place that makes it unsound panics.
#![cfg(all(unix, debug_assertions))]

use std::process::{Command, Output};
use std::time::Duration;

use ramie::{catch, sleep, spawn, yield_now};

use crate::util::subprocess::{again, again_under, part, stderr};

thread_local! {
    static WAITS: u32 = {
        yield_now();
        5
    };
    static CALM: String = String::from("five");
}

fn checked(test: &str, part: &str) -> Output {
    let mut with_check = Command::new("env");
    with_check.arg("RAMIE_CHECK_WAITS=1");
    again_under(with_check, test, part)
}

#[track_caller]
fn expect_refusal(output: &Output, why: &str) {
    let text = stderr(output);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("RAMIE_CHECK_WAITS: ") && text.contains(why), "{output:?}");
}

#[test]
fn a_wait_in_the_initialiser_of_a_thread_local_is_refused() {
    const NAME: &str = "wait_check::a_wait_in_the_initialiser_of_a_thread_local_is_refused";
    match part().as_deref() {
        Some("greenlet") => assert!(spawn(|| WAITS.with(|five| *five)).get().is_err()),
        Some("unchecked") => assert_eq!(spawn(|| WAITS.with(|five| *five)).get().ok(), Some(5)),
        Some(other) => unreachable!("{other}"),
        None => {
            expect_refusal(&checked(NAME, "greenlet"), "initialiser of a thread_local!");
            let output = again(NAME, "unchecked");
            assert!(output.status.success(), "{output:?}");
        }
    }
}

#[test]
fn a_wait_in_a_scope_of_threads_is_refused() {
    const NAME: &str = "wait_check::a_wait_in_a_scope_of_threads_is_refused";
    match part() {
        Some(_) => {
            let waits = || std::thread::scope(|_| sleep(Duration::from_millis(1)));
            assert!(spawn(waits).get().is_err());
        }
        None => expect_refusal(&checked(NAME, "scope"), "std::thread::scope"),
    }
}

#[test]
fn other_waits_pass_the_check() {
    const NAME: &str = "wait_check::other_waits_pass_the_check";
    match part() {
        Some(_) => {
            let body = || {
                CALM.with(|five| {
                    yield_now();
                    five.len()
                })
            };
            assert_eq!(spawn(body).get().ok(), Some(4));
            assert!(catch::<ramie::GreenletExit, _>(|| sleep(Duration::from_millis(1))).is_ok());
            ramie::scope(|scope| {
                scope.spawn(yield_now);
            });
        }
        None => {
            let output = checked(NAME, "calm");
            assert!(output.status.success() && !stderr(&output).contains("RAMIE_CHECK_WAITS"), "{output:?}");
        }
    }
}
