//! The commands: `fuzz`, `replay`, `record`, `coverage`. `README.md` documents them.

use std::env;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ramie_conformance::compare::{Judged, judge};
use ramie_conformance::corpus::{self, Recorded};
use ramie_conformance::coverage::Coverage;
use ramie_conformance::deviation::{self, Counts};
use ramie_conformance::generate::generate;
use ramie_conformance::gevent::{Gevent, Missing};
use ramie_conformance::program::Program;
use ramie_conformance::runner;
use ramie_conformance::shrink::shrink;

/// The number of pairs of runners that work side by side.
const LANES: usize = 4;

/// The time for which a difference may be shrunk.
const SHRINKING: Duration = Duration::from_secs(15);

/// After how many differences a range is given up.
const MOST_SHOWN: usize = 10;

const USAGE: &str = "usage: ramie-conformance fuzz --seeds A..B [--seconds N]
       ramie-conformance replay FILE...
       ramie-conformance record
       ramie-conformance coverage [--seeds A..B]
       ramie-conformance show SEED";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match arguments.first().map(String::as_str) {
        Some("fuzz") => fuzz(rest),
        Some("replay") => replay(rest),
        Some("record") => record(),
        Some("coverage") => coverage(rest),
        Some("show") => show(rest),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// A complaint that ends the command.
type Complaint = String;

fn missing(missing: Missing) -> Complaint {
    missing.to_string()
}

fn option<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

fn seeds(arguments: &[String]) -> Result<Option<Range<u64>>, Complaint> {
    let Some(range) = option(arguments, "--seeds") else { return Ok(None) };
    let parsed = range.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    parsed.map(Some).ok_or_else(|| format!("not a range of seeds: {range}\n{USAGE}"))
}

#[derive(Default)]
struct Totals {
    programs: usize,
    identical: usize,
    deviating: usize,
    /// The number of those that were compared up to a cut only.
    cut: usize,
    different: Vec<(u64, Program)>,
    repeated: usize,
    counts: Counts,
}

impl Totals {
    fn add(&mut self, seed: u64, program: Program, judged: &Judged) {
        self.programs += 1;
        if judged.attempts > 1 {
            self.repeated += 1;
        }
        for (name, count) in &judged.gevent.deviations {
            *self.counts.entry(name.clone()).or_default() += count;
        }
        if judged.difference.is_some() {
            self.different.push((seed, program));
        } else if judged.gevent.deviations.is_empty() {
            self.identical += 1;
        } else {
            self.deviating += 1;
            self.cut += usize::from(judged.gevent.cut.is_some());
        }
    }
}

fn fuzz(arguments: &[String]) -> Result<bool, Complaint> {
    let seeds = seeds(arguments)?.ok_or(USAGE)?;
    let seconds = option(arguments, "--seconds").and_then(|seconds| seconds.parse().ok());
    let start = Instant::now();
    let end = seconds.map(|seconds| start + Duration::from_secs(seconds));
    let next = Arc::new(AtomicU64::new(seeds.start));
    let enough = Arc::new(AtomicBool::new(false));
    let totals = Arc::new(Mutex::new(Totals::default()));
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let (next, enough, totals, last) = (next.clone(), enough.clone(), totals.clone(), seeds.end);
            thread::spawn(move || -> Result<(), Missing> {
                let mut gevent = Gevent::start()?;
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let late = end.is_some_and(|end| Instant::now() > end);
                    if seed >= last || late || enough.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    let program = generate(seed);
                    let judged = judge(&program, &mut gevent)?;
                    let mut totals = totals.lock().expect("no lane panics with the totals");
                    totals.add(seed, program, &judged);
                    if totals.different.len() >= MOST_SHOWN {
                        enough.store(true, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.join().map_err(|_| "a lane has panicked".to_owned())?.map_err(missing)?;
    }
    let mut totals = std::mem::take(&mut *totals.lock().expect("no lane panics with the totals"));
    totals.different.sort_by_key(|(seed, _)| *seed);
    for (seed, program) in &totals.different {
        show_difference(&format!("seed {seed}"), program)?;
    }
    let unknown = deviation::unknown(&totals.counts);
    for (name, count) in &totals.counts {
        println!("deviation {name}: {count}");
    }
    for name in &unknown {
        println!("deviation {name} has no entry in deviations.json");
    }
    println!("took {:.1} s, {} programs more than once", start.elapsed().as_secs_f64(), totals.repeated);
    println!(
        "programs={} identical={} deviations={} cut={} different={}",
        totals.programs,
        totals.identical,
        totals.deviating,
        totals.cut,
        totals.different.len()
    );
    Ok(totals.different.is_empty() && unknown.is_empty())
}

/// Shrinks a program that shows a difference and prints what is left of it.
fn show_difference(name: &str, program: &Program) -> Result<(), Complaint> {
    let mut gevent = Gevent::start().map_err(missing)?;
    let start = Instant::now();
    let small = shrink(program, |candidate| {
        start.elapsed() < SHRINKING
            && judge(candidate, &mut gevent)
                .is_ok_and(|judged| judged.difference.is_some() && !judged.hangs())
    });
    let judged = judge(&small, &mut gevent).map_err(missing)?;
    println!("--- {name}, {} steps\n{}\n{judged}", small.len(), small.to_line());
    Ok(())
}

fn show(arguments: &[String]) -> Result<bool, Complaint> {
    let seed = arguments.first().and_then(|seed| seed.parse().ok()).ok_or(USAGE)?;
    let program = generate(seed);
    println!("{}", program.to_line());
    let mut gevent = Gevent::start().map_err(missing)?;
    let judged = judge(&program, &mut gevent).map_err(missing)?;
    print!("{judged}");
    Ok(judged.difference.is_none())
}

/// Runs programs of files, corpus files or single programs, in both worlds.
fn replay(files: &[String]) -> Result<bool, Complaint> {
    if files.is_empty() {
        return Err(USAGE.into());
    }
    let mut gevent = Gevent::start().map_err(missing)?;
    let mut same = true;
    for file in files {
        let path = PathBuf::from(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        let programs: Vec<(String, Program)> = match serde_json::from_str::<Program>(&text) {
            Ok(program) => vec![(file.clone(), program)],
            Err(_) => {
                let recorded = corpus::read(&path).map_err(|error| format!("{file}: {error}"))?;
                recorded.into_iter().map(|(name, recorded)| (name, recorded.program)).collect()
            }
        };
        for (name, program) in programs {
            let judged = judge(&program, &mut gevent).map_err(missing)?;
            let word = if judged.difference.is_some() { "different" } else { "same" };
            println!("{name}: {word}");
            if files.len() == 1 && programs_of_one(&text) || judged.difference.is_some() {
                print!("{judged}");
            }
            same &= judged.difference.is_none();
        }
    }
    Ok(same)
}

fn programs_of_one(text: &str) -> bool {
    serde_json::from_str::<Program>(text).is_ok()
}

/// Records gevent's traces of the whole corpus again.
fn record() -> Result<bool, Complaint> {
    let mut gevent = Gevent::start().map_err(missing)?;
    let mut same = true;
    for path in corpus::files().map_err(|error| error.to_string())? {
        let complain = |error| format!("{}: {error}", path.display());
        let mut programs = corpus::read(&path).map_err(complain)?;
        for (name, recorded) in &mut programs {
            let judged = judge(&recorded.program, &mut gevent).map_err(missing)?;
            if judged.difference.is_some() {
                println!("{name}: different\n{judged}");
                same = false;
            }
            *recorded = Recorded { program: recorded.program.clone(), gevent: judged.gevent };
        }
        corpus::write(&path, &programs).map_err(complain)?;
        println!("{}: {} programs", path.display(), programs.len());
    }
    Ok(same)
}

/// Prints which steps the generator reaches in which states; needs no gevent.
fn coverage(arguments: &[String]) -> Result<bool, Complaint> {
    let seeds = seeds(arguments)?.unwrap_or(0..20_000);
    let mut coverage = Coverage::default();
    for seed in seeds {
        let program = generate(seed);
        if !program.is_timed() {
            coverage.add(&runner::run(&program, Duration::from_millis(1)).coverage);
        } else {
            coverage.add(&runner::run(&program, Duration::from_micros(100)).coverage);
        }
    }
    print!("{coverage}");
    let missing = coverage.missing();
    for (op, state) in &missing {
        println!("missing: {} {state}", op.name());
    }
    Ok(missing.is_empty())
}
