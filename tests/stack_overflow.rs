//! A greenlet that uses up its stack ends the process with a message that says which one, and what
//! to do.
#![expect(unsafe_code, reason = "an ordinary fault has to be made on purpose")]
#![cfg(unix)]

mod util;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::time::Duration;

use ramie::hub::{DEFAULT_STACK_SIZE, spawn_raw};
use ramie::{Builder, sleep, spawn, yield_now};

use crate::util::subprocess::{again, part, stderr};

/// The numbers of these signals, which are the same on every Unix.
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;
const SIGBUS: i32 = 10;

/// Uses some of the stack at each level, and comes to no end that a stack would hold.
fn recurse(level: usize) -> usize {
    let frame = black_box([level; 32]);
    if level == usize::MAX {
        return 0;
    }
    recurse(level + 1) + frame[level % 32]
}

#[track_caller]
fn expect_message(output: &Output, who: &str, size: usize) {
    let text = stderr(output);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    let line = text.lines().find(|line| line.starts_with("ramie: "));
    let line = line.unwrap_or_else(|| panic!("no message: {output:?}"));
    let start = format!("ramie: {who} (spawned at tests/stack_overflow.rs:");
    assert!(line.starts_with(&start), "{line}");
    let end = format!(") has overflowed its stack of {} KiB; raise it with Builder::stack_size", size / 1024);
    assert!(line.ends_with(&end), "{line}");
    let number = &line[start.len()..line.len() - end.len()];
    assert!(number.parse::<u32>().is_ok(), "{line}");
}

#[test]
fn overflow_is_explained() {
    match part().as_deref() {
        Some("named") => {
            let deep = Builder::new().name("deep one").stack_size(64 * 1024).spawn(|| recurse(0));
            // Others come and go in between.
            spawn(|| sleep(Duration::from_millis(1))).join();
            deep.join();
        }
        Some("unnamed") => spawn(|| recurse(0)).join(),
        Some("raw") => spawn_raw(|| _ = recurse(0)).join(),
        Some("late") => {
            let late = spawn(|| {
                yield_now();
                recurse(0)
            });
            let renamed = late.clone();
            spawn(move || renamed.set_name("late one"));
            late.join();
        }
        Some("thread") => {
            let overflowing = std::thread::spawn(|| {
                let deep = Builder::new().name("elsewhere").spawn(|| recurse(0));
                deep.join();
            });
            drop(overflowing.join());
        }
        Some(other) => unreachable!("{other}"),
        None => {
            expect_message(&again("overflow_is_explained", "named"), "greenlet 'deep one'", 64 * 1024);
            expect_message(
                &again("overflow_is_explained", "unnamed"),
                "an unnamed greenlet",
                DEFAULT_STACK_SIZE,
            );
            expect_message(&again("overflow_is_explained", "raw"), "an unnamed greenlet", DEFAULT_STACK_SIZE);
            expect_message(
                &again("overflow_is_explained", "late"),
                "greenlet 'late one'",
                DEFAULT_STACK_SIZE,
            );
            expect_message(
                &again("overflow_is_explained", "thread"),
                "greenlet 'elsewhere'",
                DEFAULT_STACK_SIZE,
            );
        }
    }
}

/// Code that was not made by rustc does not touch each page of a large frame. Here the first touch
/// is this far below the end of the stack.
#[test]
fn a_frame_that_steps_over_pages_is_caught() {
    match part() {
        Some(below) => {
            let below: usize = below.parse().expect("it is a number");
            let step = move || {
                let here = &raw const below;
                let far = here.wrapping_byte_sub(DEFAULT_STACK_SIZE + below).cast_mut();
                // SAFETY: there is none: the guard is there, and the process is to die of it.
                unsafe { far.write_volatile(1) };
            };
            Builder::new().name("stepping").spawn(step).join();
        }
        None => {
            for kib in [4, 16, 40, 56] {
                let output = again("a_frame_that_steps_over_pages_is_caught", &(kib * 1024).to_string());
                expect_message(&output, "greenlet 'stepping'", DEFAULT_STACK_SIZE);
            }
        }
    }
}

#[test]
fn overflow_of_the_threads_own_stack_is_left_to_std() {
    match part() {
        Some(_) => {
            spawn(|| ()).join();
            black_box(recurse(0));
        }
        None => {
            let output = again("overflow_of_the_threads_own_stack_is_left_to_std", "main");
            assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
            let text = stderr(&output);
            assert!(text.contains("has overflowed its stack"), "{output:?}");
            assert!(!text.contains("ramie:"), "{output:?}");
        }
    }
}

#[test]
fn ordinary_fault_is_left_to_the_system() {
    match part().as_deref() {
        Some(part) => {
            let address = black_box(if part == "null" { 0 } else { 8192 });
            let fault = move || {
                let nowhere = std::ptr::without_provenance::<u64>(address);
                // SAFETY: there is none: nothing is mapped there, and the process is to die of it.
                unsafe { nowhere.read_volatile() }
            };
            drop(spawn(fault).get());
        }
        None => {
            for part in ["null", "low"] {
                let output = again("ordinary_fault_is_left_to_the_system", part);
                let signal = output.status.signal();
                assert!(signal == Some(SIGSEGV) || signal == Some(SIGBUS), "{output:?}");
                assert!(!stderr(&output).contains("overflowed"), "{output:?}");
            }
        }
    }
}
