//! The periods, and the account at their end.

use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use ramie::{JoinOptions, Run, fallible, get_hub, joinall_with};

use super::context::{Context, Ledger, Random};
use super::measure::{Held, Process, resident};
use super::{blocking, children, datagrams, kills, locks, pools, queues, shared, streams, threads, tls, web};

const HELP: &str = "\
Runs everything at once and accounts for what is left.

Usage: soak [--seconds N] [--seed N] [--only SUBJECT,...]

Options:
  --seconds N   How long [1200]
  --seed N      What the subjects do [1]
  --only LIST   These subjects and no others
  -h, --help    Print this
";

/// The time that the subjects run between two accounts.
const PERIOD: Duration = Duration::from_secs(3);
/// The time after its period that a subject has to end. Each of its waits has a limit far below.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time that the threads of pools have to end, which they do five seconds after their last job.
const SETTLING: Duration = Duration::from_secs(30);
/// The additional memory that the last fifth of the run may take over the second fifth. An
/// allocator's arenas move by a few megabytes; a leak of a hundred bytes a round is more than this
/// within the twenty minutes.
const GROWTH: u64 = 12 << 20;

type Outcome = Result<(), Box<dyn Error>>;
type Subject = (&'static str, fn(&Context) -> Outcome);

const SUBJECTS: [Subject; 12] = [
    ("blocking", blocking::run),
    ("children", children::run),
    ("datagrams", datagrams::run),
    ("kills", kills::run),
    ("locks", locks::run),
    ("pools", pools::run),
    ("queues", queues::run),
    ("shared", shared::run),
    ("streams", streams::run),
    ("threads", threads::run),
    ("tls", tls::run),
    ("web", web::run),
];

struct Options {
    time: Duration,
    seed: u64,
    subjects: Vec<Subject>,
}

pub(crate) fn main() -> ExitCode {
    let options = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("soak: {error}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    let ledger = Ledger::default();
    Run::new().run(|| soak(&options, &ledger));
    ledger.print();
    match ledger.found() {
        0 => {
            println!("everything is accounted for");
            ExitCode::SUCCESS
        }
        found => {
            println!("{found} discrepancies");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { time: Duration::from_secs(1200), seed: 1, subjects: SUBJECTS.to_vec() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("seconds") => options.time = Duration::from_secs(parser.value()?.parse()?),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("only") => {
                let list = parser.value()?.string()?;
                let names: Vec<_> = list.split(',').collect();
                if let Some(unknown) =
                    names.iter().find(|name| SUBJECTS.iter().all(|known| known.0 != **name))
                {
                    return Err(format!("there is no subject {unknown}").into());
                }
                options.subjects.retain(|subject| names.contains(&subject.0));
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn soak(options: &Options, ledger: &Ledger) {
    let failures = ledger.clone();
    // Handlers fail when their peers misbehave, and victims when they are killed: that is the soak.
    // No body panics.
    get_hub().set_error_handler(Some(Rc::new(move |context, failure| {
        failures.count("hub", "failures reported", 1);
        if failure.is_panic() {
            failures.wrong(format!("a panic: {context}: {failure}"));
        }
    })));
    let start = Instant::now();
    // The first period opens what is opened once: threads, the pipe of signals, caches.
    period(0, options, ledger, Instant::now() + PERIOD.min(options.time / 4));
    let (held, process) = (Held::now(), Process::settled(None, SETTLING));
    println!("seed {}, {} subjects; after the first period:", options.seed, options.subjects.len());
    println!("{held:?}\n{process:?}");

    let mut memory = Vec::new();
    for number in 1.. {
        let left = options.time.saturating_sub(start.elapsed());
        if left.is_zero() || ledger.found() > 100 {
            break;
        }
        period(number, options, ledger, Instant::now() + PERIOD.min(left));
        let now = Held::settled(&held);
        if now != held {
            ledger.wrong(format!("the hub holds {now:?} after period {number}, and held {held:?}"));
        }
        memory.extend(resident());
        if number % 20 == 0 {
            println!(
                "{:>5} s: {} KiB resident",
                start.elapsed().as_secs(),
                memory.last().map_or(0, |bytes| bytes / 1024)
            );
        }
    }

    let now = Process::settled(Some(&process), SETTLING);
    if now != process {
        ledger.wrong(format!("the process holds {now:?} at the end, and held {process:?}"));
    }
    compare(&memory, ledger);
    get_hub().set_error_handler(None);
    println!("after {} s: {}", start.elapsed().as_secs(), get_hub().stats());
}

/// Runs all subjects side by side until their time is up.
fn period(number: u64, options: &Options, ledger: &Ledger, until: Instant) {
    let _watch = Watch::new(until.saturating_duration_since(Instant::now()) + 2 * PATIENCE);
    let mut random = Random::new(options.seed ^ number.wrapping_mul(0x0100_0000_01b3));
    let greenlets: Vec<_> = options
        .subjects
        .iter()
        .map(|&(subject, run)| {
            let context = Context { subject, seed: random.next(), until, ledger: ledger.clone() };
            let greenlet = ramie::spawn(fallible(move || run(&context).map_err(|error| error.to_string())));
            greenlet.set_name(subject);
            greenlet
        })
        .collect();
    let timeout = until.saturating_duration_since(Instant::now()) + PATIENCE;
    let _ended = joinall_with(&greenlets, JoinOptions { timeout: timeout.into(), ..JoinOptions::default() });
    for greenlet in &greenlets {
        match greenlet.exception() {
            Some(failure) => {
                ledger.wrong(format!("{} failed in period {number}: {failure}", greenlet.name()))
            }
            None if !greenlet.ready() => {
                ledger.wrong(format!("{} has not ended in period {number}", greenlet.name()));
                for waiting in get_hub().waiting() {
                    eprintln!("  {waiting}");
                }
            }
            None => {}
        }
    }
}

/// Compares the memory in the second fifth of the run, after it has warmed up, with that in the
/// last fifth.
fn compare(memory: &[u64], ledger: &Ledger) {
    let fifth = memory.len() / 5;
    if fifth == 0 {
        println!("memory: too few periods to compare");
        return;
    }
    let warm = memory[fifth..2 * fifth].iter().copied().max().unwrap_or(0);
    let end = memory[memory.len() - fifth..].iter().copied().min().unwrap_or(0);
    println!("memory: {} KiB after warm-up, {} KiB at the end", warm / 1024, end / 1024);
    if end > warm + GROWTH {
        ledger.wrong(format!("memory has grown from {warm} to {end} bytes, by more than {GROWTH}"));
    }
}

/// Ends the process when a period does not end, so that a hub that hangs has a message.
struct Watch {
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watch {
    fn new(limit: Duration) -> Watch {
        let (alive, watch) = channel();
        thread::spawn(move || {
            if watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("soak: the hub hangs: a period is not over after {limit:?}");
                std::process::abort();
            }
        });
        Watch { _alive: alive }
    }
}
