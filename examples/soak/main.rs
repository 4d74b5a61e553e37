//! Runs everything at once for twenty minutes, with peers that misbehave, and accounts for what is
//! left.
//!
//! ```text
//! cargo run --release --example soak
//! cargo run --release --example soak -- --seconds 30 --seed 7
//! cargo run --release --example soak -- --only streams,tls
//! ```
//!
//! The time is cut into periods of a few seconds. In each of them all subjects run side by side on
//! one hub; at its end each subject accounts for its greenlets, permits, items and bytes, and the
//! hub must hold what it held before. At the end of the program the descriptors, threads and
//! children of the process must be those of the beginning, and its memory must not have grown. A
//! discrepancy is printed, and the exit status is 1.
//!
//! The system's order of events is not repeated by a seed, but what each subject does is. On Unix
//! only.
//!
//! Ends by itself: yes

#[cfg(unix)]
mod blocking;
#[cfg(unix)]
mod children;
#[cfg(unix)]
mod context;
#[cfg(unix)]
mod datagrams;
#[cfg(unix)]
#[path = "../http/mod.rs"]
mod http;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod locks;
#[cfg(unix)]
mod measure;
#[cfg(unix)]
mod pools;
#[cfg(unix)]
mod queues;
#[cfg(unix)]
mod shared;
#[cfg(unix)]
mod soak;
#[cfg(unix)]
mod streams;
#[cfg(unix)]
mod threads;
#[cfg(unix)]
mod tls;
#[cfg(unix)]
mod web;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    soak::main()
}

#[cfg(not(unix))]
fn main() {
    println!("child processes and Unix sockets are available on Unix only");
}
