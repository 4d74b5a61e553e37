//! Refuses waits in places where they are unsound, on request and only in debug builds.
//!
//! std does not report a `thread_local!` that is being initialised, or a `std::thread::scope` that
//! is open. The frames of both are on the stack of the greenlet that waits, so a backtrace contains
//! them. A backtrace takes about a millisecond, so it is captured only if the environment variable
//! `RAMIE_CHECK_WAITS` requests it.

use std::backtrace::Backtrace;
use std::env;
use std::sync::OnceLock;
use std::thread;

/// The reason for the initialiser of a thread-local, whose frame has one of two names.
const INITIALISER: &str =
    "in the initialiser of a thread_local!, which another greenlet can run a second time during the wait";

/// The parts of a frame's name, all of which must occur, and the reason why a wait under that frame
/// is refused.
const REFUSED: [(&[&str], &str); 4] = [
    (&["get_or_init_slow"], INITIALISER),
    (&["std::sys::thread_local::", "initialize"], INITIALISER),
    (
        &["std::thread::scoped::scope"],
        "in a std::thread::scope, whose threads are not joined if the greenlet is abandoned; use ramie::scope",
    ),
    (
        &["scoped_tls::ScopedKey", "::set"],
        "while a reference to the stack of the greenlet is lent through a thread-local",
    ),
];

/// Panics if the caller must not wait at its position, and the check is enabled.
pub(super) fn check(reason: &str) {
    static ASKED: OnceLock<bool> = OnceLock::new();
    let asked = ASKED.get_or_init(|| env::var_os("RAMIE_CHECK_WAITS").is_some_and(|value| value != "0"));
    // A panic in a destructor of an unwinding would end the process.
    if *asked && !thread::panicking() {
        look(reason);
    }
}

#[cold]
fn look(reason: &str) {
    let trace = Backtrace::force_capture().to_string();
    if let Some(why) = refusal(&trace) {
        panic!("RAMIE_CHECK_WAITS: {reason} waits {why}");
    }
}

fn refusal(trace: &str) -> Option<&'static str> {
    let refused = |words: &[&str]| trace.lines().any(|line| words.iter().all(|word| line.contains(word)));
    REFUSED.iter().find(|(words, _)| refused(words)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_frames_in_question_are_refused() {
        let initialiser = "   7: std::sys::thread_local::native::lazy::Storage<T,D>::get_or_init_slow";
        let scope = "  12: std::thread::scoped::scope";
        let destructor = "   9: std::sys::thread_local::native::eager::destroy";
        let with = "   9: std::thread::local::LocalKey<T>::with";
        assert!(refusal(initialiser).is_some_and(|why| why.contains("thread_local!")));
        assert!(refusal(scope).is_some_and(|why| why.contains("std::thread::scope")));
        assert_eq!(refusal(&[destructor, with].join("\n")), None);
    }
}
