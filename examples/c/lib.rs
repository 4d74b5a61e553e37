//! A C interface to a hub that the loop of a C program drives: `ramie.h` describes it, `main.c` uses
//! it.
//!
//! No unwinding crosses C code. An exception that would unwind a greenlet (a kill, a timeout) ends the
//! wait with `RAMIE_INTERRUPTED` instead, and a panic ends the process.
//!
//! `no_mangle` is an unsafe attribute, since two functions of a program must not have the same name:
//! the names here begin with that of the library.

#![cfg(unix)]
#![expect(unsafe_code, reason = "defines functions for C, and calls one of C")]
#![warn(missing_docs)]

use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use ramie::hub::{Next, Raised, try_get_hub};
use ramie::io::wait_read;
use ramie::{get_hub, sleep, spawn, yield_now};

const OK: c_int = 0;
const INTERRUPTED: c_int = 1;
const ERROR: c_int = -1;

const NOW: c_int = 0;
const AT: c_int = 1;
const IDLE: c_int = 2;
const INTERRUPTED_MAIN: c_int = 3;

/// Runs `f`. Returns `None` if an exception has ended it. A panic goes on, and so ends the process at
/// the border to C.
fn caught<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => match payload.downcast::<Raised>() {
            Ok(raised) => {
                // Taken out: it counts as handled.
                drop(raised.into_exception());
                None
            }
            Err(panic) => resume_unwind(panic),
        },
    }
}

/// Runs a call that waits.
fn waited(wait: impl FnOnce()) -> c_int {
    caught(wait).map_or(INTERRUPTED, |()| OK)
}

/// Creates the hub of this thread, if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn ramie_open() -> c_int {
    match try_get_hub() {
        Ok(_) => OK,
        Err(_) => ERROR,
    }
}

/// Spawns a greenlet that calls `body` with `argument`.
///
/// # Safety
///
/// `body` must be safe to be called once with `argument` on this thread, at any later time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ramie_spawn(body: unsafe extern "C" fn(*mut c_void), argument: *mut c_void) {
    spawn(move || {
        // SAFETY: the caller has promised that this call is safe.
        unsafe { body(argument) }
    });
}

/// Suspends the greenlet for a time.
#[unsafe(no_mangle)]
pub extern "C" fn ramie_sleep(nanoseconds: u64) -> c_int {
    waited(|| sleep(Duration::from_nanos(nanoseconds)))
}

/// Lets everything run that is queued.
#[unsafe(no_mangle)]
pub extern "C" fn ramie_yield() -> c_int {
    waited(yield_now)
}

/// Suspends the greenlet until a descriptor may be read.
///
/// # Safety
///
/// The descriptor must stay open during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ramie_wait_readable(fd: c_int) -> c_int {
    if fd < 0 {
        return ERROR;
    }
    // SAFETY: the caller keeps the descriptor open, and it is not -1.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    match caught(|| wait_read(&fd, None)) {
        Some(Ok(_)) => OK,
        Some(Err(_)) => ERROR,
        None => INTERRUPTED,
    }
}

/// Runs one iteration of the hub.
#[unsafe(no_mangle)]
pub extern "C" fn ramie_poll_once() -> c_int {
    match caught(|| get_hub().poll_once()) {
        Some(Next::Now) => NOW,
        Some(Next::At(_)) => AT,
        Some(Next::Idle) => IDLE,
        None => INTERRUPTED_MAIN,
    }
}

/// Returns the time to the earliest deadline, or -1.
#[unsafe(no_mangle)]
pub extern "C" fn ramie_timeout() -> i64 {
    match get_hub().next_deadline() {
        None => -1,
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)
        }
    }
}

/// Returns the descriptor of the hub.
#[unsafe(no_mangle)]
pub extern "C" fn ramie_fd() -> c_int {
    get_hub().as_raw_fd()
}

/// Returns the number of greenlets that have not ended.
#[unsafe(no_mangle)]
pub extern "C" fn ramie_greenlets() -> u64 {
    get_hub().stats().greenlets as u64
}
