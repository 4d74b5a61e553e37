//! Aborts: a lent frame that can neither be waited in nor left ends the process with a message.
#![cfg(unix)]

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;

use ramie::sync::Event;
use ramie::{Builder, LoopExit, catch, raise, scope};

use crate::util::subprocess::{again, part, stderr};

/// The number of this signal, which is the same on every Unix.
const SIGABRT: i32 = 6;

/// Waits forever when it is dropped.
struct Stuck<'a>(&'a Event);

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

fn play(part: &str) {
    let event = Event::new();
    let lent = Cell::new(5);
    match part {
        "swallows" => scope(|s| {
            Builder::new().name("deaf").spawn_scoped(s, || {
                while lent.get() > 0 {
                    let _ = catch::<LoopExit, _>(|| event.wait());
                }
            });
        }),
        "destructor" => scope(|s| {
            Builder::new().name("deaf").spawn_scoped(s, || {
                let _stuck = Stuck(&event);
                lent.set(6);
                event.wait();
            });
        }),
        "panics" => scope(|s| {
            Builder::new().name("deaf").spawn_scoped(s, || {
                let _stuck = Stuck(&event);
                lent.set(6);
                event.wait();
            });
            ramie::yield_now();
            raise("leaving")
        }),
        other => panic!("no such part: {other}"),
    }
    println!("the frame was left");
}

#[test]
fn children_that_never_end_are_named() {
    if let Some(part) = part() {
        return play(&part);
    }
    for part in ["swallows", "destructor", "panics"] {
        let output = again("scope_aborts::children_that_never_end_are_named", part);
        let text = stderr(&output);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{part}: {output:?}");
        assert!(text.contains("ramie: a frame is lent, and it waits forever for"), "{part}: {text}");
        assert!(
            text.contains("<deaf Running, spawned at tests/subprocess/scope_aborts.rs:"),
            "{part}: {text}"
        );
        assert!(text.contains("in Event::wait"), "{part}: {text}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("the frame was left"), "{part}");
    }
}
