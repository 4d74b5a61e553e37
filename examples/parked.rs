//! Parks a great many greenlets at once and says what each of them costs.
//!
//! ```text
//! cargo run --release --example parked
//! cargo run --release --example parked -- --greenlets 1000000
//! ```
//!
//! Ends by itself: yes

use std::cell::Cell;
use std::fs;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use indicatif::{HumanBytes, HumanCount};
use lexopt::prelude::*;
use ramie::sync::Event;
use ramie::{Failure, JoinOptions};

const HELP: &str = "\
Parks greenlets and says what each of them costs.

Usage: parked [--greenlets N]

Options:
  --greenlets N  How many [100000]
  -h, --help     Print this
";

fn main() -> ExitCode {
    let greenlets = match parse() {
        Ok(Some(greenlets)) => greenlets,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("parked: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match ramie::run(|| park(greenlets)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("parked: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Option<usize>, lexopt::Error> {
    let mut greenlets = 100_000;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("greenlets") => greenlets = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(greenlets))
}

fn park(count: usize) -> Result<(), Failure> {
    let before = resident();
    let event = Event::new();
    let parked = Rc::new(Cell::new(0));

    let start = Instant::now();
    let greenlets: Vec<_> = (0..count)
        .map(|_| {
            let (event, parked) = (event.clone(), parked.clone());
            ramie::spawn(move || {
                parked.update(|parked| parked + 1);
                event.wait();
            })
        })
        .collect();
    // Everything that is queued already runs before this returns, so each of them has come to its
    // wait.
    ramie::yield_now();
    let spawned = start.elapsed();

    let each = |total: u128| total / count.max(1) as u128;
    println!("{} greenlets wait for one event", HumanCount(parked.get()));
    println!("spawned and parked in {} ms, {} ns each", spawned.as_millis(), each(spawned.as_nanos()));
    match before.zip(resident()) {
        Some((before, now)) => {
            let total = now.saturating_sub(before);
            println!("resident memory: {}, {} bytes each", HumanBytes(total), each(total.into()));
        }
        None => println!("resident memory: unknown"),
    }
    println!("the hub holds:\n{}", ramie::get_hub().stats());

    let start = Instant::now();
    event.set();
    // A stack that the system refuses shows here as its greenlet's failure, with the reason.
    ramie::joinall_with(&greenlets, JoinOptions { raise_error: true, ..JoinOptions::default() })?;
    let joined = start.elapsed();
    println!("woken and joined in {} ms, {} ns each", joined.as_millis(), each(joined.as_nanos()));
    Ok(())
}

/// The memory of this process that is in use, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}
