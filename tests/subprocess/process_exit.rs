//! The end of a process: no greenlet keeps it from ending, and no thread-local is destroyed that is
//! half-changed.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::cell::RefCell;
use std::cmp::Ordering;
use std::process::{Command, Output, abort, exit};
use std::sync::atomic::{AtomicBool, Ordering as Memory};
use std::thread;
use std::time::Duration;

use ramie::hub::lend;
use ramie::pool::blocking_owned;
use ramie::{GreenletExit, blocking, catch, get_hub, sleep, spawn, yield_now};

use crate::util::subprocess::{again, again_under, part, stderr};
use crate::util::within;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(3600);

/// Ends the process with 7 when it is dropped.
struct Exits;

impl Drop for Exits {
    fn drop(&mut self) {
        exit(7);
    }
}

/// Aborts the process when it is dropped a second time, which the flag outlives.
struct Element(&'static AtomicBool);

impl Drop for Element {
    fn drop(&mut self) {
        if self.0.swap(true, Memory::Relaxed) {
            eprintln!("dropped twice");
            abort();
        }
    }
}

thread_local! {
    static SORTED: RefCell<Vec<Element>> = const { RefCell::new(Vec::new()) };
}

/// Suspends a greenlet in the middle of sorting a thread-local that was not used before.
fn suspend_in_a_sort(wait: fn()) {
    spawn(move || {
        SORTED.with_borrow_mut(|values| {
            values.extend((0..8).map(|_| Element(Box::leak(Box::new(AtomicBool::new(false))))));
            let mut compared = 0;
            values.sort_by(|_, _| {
                compared += 1;
                if compared == 12 {
                    wait();
                }
                Ordering::Less
            });
        });
    });
}

fn refuse_to_end() {
    loop {
        let _ = catch::<GreenletExit, _>(|| sleep(LONG));
    }
}

fn wait_long() {
    sleep(LONG);
}

fn play(part: &str) {
    match part {
        "main" => {
            spawn(wait_long);
            yield_now();
        }
        "greenlet" => drop(spawn(|| exit(7)).get()),
        "raw link" => {
            let ended = spawn(|| ());
            ended.rawlink(|_| exit(7));
            yield_now();
            yield_now();
        }
        "callback" => {
            get_hub().run_callback(|| exit(7));
            yield_now();
        }
        "value" => {
            drop(spawn(|| Exits));
            yield_now();
            yield_now();
        }
        "killed unrun" => {
            let exits = Exits;
            spawn(move || drop(exits)).kill();
        }
        "refuses" => {
            spawn(refuse_to_end);
            yield_now();
        }
        "blocking" => {
            spawn(|| blocking(|| thread::sleep(LONG)));
            sleep(Duration::from_millis(10));
        }
        "blocking owned" => {
            spawn(|| blocking_owned(|| thread::sleep(LONG)));
            sleep(Duration::from_millis(10));
        }
        "lent to a greenlet that refuses to end" => {
            let start = |work: ramie::hub::Lent| {
                thread::spawn(move || {
                    spawn(move || work.run());
                    sleep(Duration::from_millis(1));
                });
            };
            spawn(move || lend(refuse_to_end, start));
            sleep(Duration::from_millis(10));
        }
        "sort" | "sort, and a greenlet" | "sort, and a greenlet at once" | "sort that refuses" => {
            suspend_in_a_sort(if part == "sort that refuses" { refuse_to_end } else { wait_long });
            if part != "sort, and a greenlet at once" {
                sleep(Duration::from_millis(1));
            }
            if part.contains("greenlet") {
                drop(spawn(|| exit(7)).get());
            }
        }
        other => panic!("no such part: {other}"),
    }
    exit(7);
}

const PARTS: [&str; 14] = [
    "main",
    "greenlet",
    "raw link",
    "callback",
    "value",
    "killed unrun",
    "refuses",
    "blocking",
    "blocking owned",
    "lent to a greenlet that refuses to end",
    "sort",
    "sort, and a greenlet",
    "sort, and a greenlet at once",
    "sort that refuses",
];

/// Plays every part, and checks that the process has ended with 7.
fn play_all(name: &'static str, run: fn(&str, &str) -> Output) {
    for part in PARTS {
        let output = within(LIMIT, move || run(name, part));
        assert_eq!(output.status.code(), Some(7), "{part}: {output:?}");
        let names =
            stderr(&output).contains("greenlets that did not end with their thread are abandoned: 1\n");
        let refuses = ["refuses", "blocking", "lent to a greenlet that refuses to end", "sort that refuses"];
        assert_eq!(names, refuses.contains(&part), "{part}: {}", stderr(&output));
    }
}

#[test]
fn a_process_ends_when_it_exits() {
    if let Some(part) = part() {
        return play(&part);
    }
    play_all("process_exit::a_process_ends_when_it_exits", again);
}

/// The harness runs a test on the first thread if it may use no other.
#[test]
fn a_process_ends_when_its_first_thread_exits() {
    if let Some(part) = part() {
        return play(&part);
    }
    play_all("process_exit::a_process_ends_when_its_first_thread_exits", |test, part| {
        let mut tool = Command::new("env");
        tool.arg("RUST_TEST_THREADS=1");
        again_under(tool, test, part)
    });
}
