//! Counts the instructions of common pieces of work, and compares them with the record.
//!
//! ```text
//! cargo run --release -p ramie-benches --bin instructions
//! cargo run --release -p ramie-benches --bin instructions -- ping-pong channel
//! cargo run --release -p ramie-benches --bin instructions -- --record
//! ```
//!
//! The counts are callgrind's, of user code alone, so they do not depend on the load of the machine. This program runs
//! itself under valgrind. Each workload runs three times in one process: once to warm up, then in two sizes. The
//! difference of the two is the cost of the work between. What still varies, below a percent, is the number of polls,
//! which depends on the clock.
//!
//! The record is `benches/instructions.txt`. A count of ramie that has grown by more than 3 percent is a failure; with
//! another compiler than the record's, whose code differs a little, by more than 10. Without valgrind nothing is
//! counted, and a line says so.
//!
//! `--record` writes down the present counts, and those of the peers too: tokio on its current-thread runtime, tokio in
//! a `LocalSet`, and the least hub of `ramie_benches::least_hub`. A run without it counts ramie alone. With names, only
//! those workloads are counted.
//!
//! * `yield`: one turn of two greenlets that take turns.
//! * `spawn`: a greenlet with an empty body is made, run, and joined by the main greenlet; `spawn-1000`: a thousand are
//!   made before the first is joined.
//! * `kill`: a greenlet that waits for an event is killed, and its end waited for; with its spawn and its first turn.
//!   tokio drops a future, and unwinds nothing.
//! * `timeout`: a limit on something that needs no time: started and cancelled; `timeout-yield`: a limit around a yield.
//!   tokio starts no timer for a future that is ready at once.
//! * `sleep`: one sleep of a thousand greenlets that sleep at a time: the timer set and fired. The work of the thousand
//!   takes longer than the sleep, so there is hardly any time without work.
//! * `event`: a hand-over between two greenlets: one event set, the other waited for and cleared. tokio's is `Notify`.
//! * `ping-pong`: a message between two greenlets that answer each other, through channels with room for one.
//! * `channel`: a message through a channel with room for a hundred, from one greenlet to another.
//! * `pool-spawn`, `pool-map`, `pool-imap-unordered`: a job without a wait in a pool of a hundred. tokio and the least
//!   hub spawn each job behind a semaphore; for the last, tokio has a `JoinSet` of a hundred.
//! * `echo`: 128 bytes over loopback TCP from one greenlet to another of the same hub and back: two writes, two reads
//!   that wait, and the polls for them.

mod callgrind;
mod on_least_hub;
mod on_ramie;
mod on_tokio;
mod record;

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::on_tokio::{InLocalSet, OnRuntime};
use crate::record::{Line, Record};

/// Does something this number of times.
type Work = fn(u64);

/// The contenders, in the order of their columns. The first one is checked.
const CONTENDERS: [&str; 4] = ["ramie", "tokio", "tokio-local", "least-hub"];

struct Workload {
    name: &'static str,
    few: u64,
    many: u64,
    work: [Option<Work>; CONTENDERS.len()],
}

macro_rules! workload {
    ($name:literal, $few:literal, $many:literal, $work:ident) => {
        workload!($name, $few, $many, $work, Some(on_least_hub::$work))
    };
    ($name:literal, $few:literal, $many:literal, $work:ident, $least:expr) => {
        Workload {
            name: $name,
            few: $few,
            many: $many,
            work: [
                Some(on_ramie::$work),
                Some(on_tokio::$work::<OnRuntime>),
                Some(on_tokio::$work::<InLocalSet>),
                $least,
            ],
        }
    };
}

const WORKLOADS: [Workload; 14] = [
    workload!("yield", 2_000, 52_000, yields),
    workload!("spawn", 1_000, 11_000, spawns),
    workload!("spawn-1000", 2_000, 12_000, batches),
    workload!("kill", 200, 1_200, kills),
    workload!("timeout", 1_000, 11_000, timeouts),
    workload!("timeout-yield", 1_000, 11_000, timeouts_around_yields),
    workload!("sleep", 2_000, 22_000, sleeps),
    workload!("event", 1_000, 21_000, events),
    workload!("ping-pong", 1_000, 11_000, ping_pong),
    workload!("channel", 2_000, 52_000, channel),
    workload!("pool-spawn", 1_000, 6_000, pool_spawn),
    workload!("pool-map", 1_000, 6_000, pool_map),
    workload!("pool-imap-unordered", 1_000, 6_000, pool_imap_unordered),
    workload!("echo", 500, 3_500, echoes, None),
];

/// The size of a batch of greenlets that are spawned before the first is joined.
const BATCH: u64 = 1_000;

const SLEEPERS: u64 = 1_000;
const NAP: Duration = Duration::from_micros(1);

/// The room of the channel.
const ROOM: usize = 100;

/// The size of the pool.
const LIMIT: usize = 100;

/// The switch that this program was built with. `default` is the one that is used without a choice.
const FIBER: &str = if cfg!(ramie_fiber = "native") {
    "native"
} else if cfg!(ramie_fiber = "corosensei") {
    "corosensei"
} else if cfg!(ramie_fiber = "thread") {
    "thread"
} else {
    "default"
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        // What this program runs under valgrind.
        ["--run", workload, contender] => run(workload, contender),
        ["--record", ref names @ ..] => chosen(names).and_then(|chosen| write_down(&chosen)),
        ref names => chosen(names).and_then(|chosen| check(&chosen)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the workloads of these names, or all.
fn chosen(names: &[&str]) -> Result<Vec<&'static Workload>, Box<dyn Error>> {
    if let Some(other) = names.iter().find(|name| WORKLOADS.iter().all(|workload| workload.name != **name)) {
        return Err(format!("{other} is no workload; the only option is --record").into());
    }
    let is_chosen = |workload: &&Workload| names.is_empty() || names.contains(&workload.name);
    Ok(WORKLOADS.iter().filter(is_chosen).collect())
}

fn run(workload: &str, contender: &str) -> Result<(), Box<dyn Error>> {
    let workload = WORKLOADS.iter().find(|known| known.name == workload).ok_or("no such workload")?;
    let column = CONTENDERS.iter().position(|known| *known == contender).ok_or("no such contender")?;
    let work = workload.work[column].ok_or("this contender does not do this")?;
    work(workload.few);
    callgrind::mark();
    work(workload.few);
    callgrind::mark();
    work(workload.many);
    callgrind::mark();
    Ok(())
}

/// Returns the count of one piece of work; `None` if the contender does not do it.
fn count(workload: &Workload, column: usize) -> Result<Option<f64>, Box<dyn Error>> {
    if workload.work[column].is_none() {
        return Ok(None);
    }
    let counts = callgrind::count(&["--run", workload.name, CONTENDERS[column]])?;
    let [_, few, many, ..] = counts[..] else {
        return Err(format!("{} has not run to its end", workload.name).into());
    };
    Ok(Some((many - few) / (workload.many - workload.few) as f64))
}

fn write_down(workloads: &[&Workload]) -> Result<(), Box<dyn Error>> {
    if !callgrind::is_there() {
        return Err("there is no valgrind to count with".into());
    }
    let compiler = compiler()?;
    let mut record = Record::read()?;
    for workload in workloads {
        let mut counts = [None; CONTENDERS.len()];
        for (column, place) in counts.iter_mut().enumerate() {
            *place = count(workload, column)?;
        }
        let line = Line {
            work: workload.name.to_owned(),
            fiber: FIBER.to_owned(),
            counts,
            compiler: compiler.clone(),
        };
        println!("{line}");
        record.set(line);
    }
    record.write()
}

/// Counts ramie's part and compares it with the record.
fn check(workloads: &[&Workload]) -> Result<(), Box<dyn Error>> {
    if !callgrind::is_there() {
        println!("skipped: there is no valgrind to count with");
        return Ok(());
    }
    let compiler = compiler()?;
    let record = Record::read()?;
    let mut grown = Vec::new();
    for workload in workloads {
        let name = workload.name;
        let each = count(workload, 0)?.ok_or("ramie does everything")?;
        let Some((line, before)) = record.get(name, FIBER).and_then(|line| Some((line, line.counts[0]?)))
        else {
            println!("{name}: {each:.1}, and no record of it over this fiber");
            continue;
        };
        let change = 100.0 * (each / before - 1.0);
        let peers = line.peers();
        println!("{name}: {each:.1}, {change:+.1} percent from {before} with {}; {peers}", line.compiler);
        let limit = if line.compiler == compiler { 3.0 } else { 10.0 };
        match change {
            ..-3.0 => println!("{name} has shrunk: record it, so that it stays so"),
            _ if change > limit => grown.push(name),
            _ => {}
        }
    }
    if grown.is_empty() {
        Ok(())
    } else {
        Err(format!("too many more instructions: {}", grown.join(", ")).into())
    }
}

/// `rustc 1.95.0` and the like.
fn compiler() -> Result<String, Box<dyn Error>> {
    let version = Command::new("rustc").arg("--version").output()?.stdout;
    Ok(String::from_utf8(version)?.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}
