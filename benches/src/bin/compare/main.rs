//! Compares ramie with its peers.
//!
//! ```text
//! cargo run --release -p ramie-benches --bin compare
//! cargo run --release -p ramie-benches --bin compare -- yield ring/100 echo
//! cargo run --release -p ramie-benches --bin compare -- --help
//! ```
//!
//! Every figure is measured in a process of its own, which sets up, warms up, and measures for a while; the contenders
//! of a workload take turns, for several rounds, and the median of the rounds counts. Each figure is a line,
//! `WORKLOAD CONTENDER VALUE UNIT RATIO_TO_RAMIE`: the ratio is how many times as dear as ramie the contender is, so
//! above 1 ramie is ahead; for rates it is turned round. Then comes a table in Markdown.
//!
//! The contenders are `ramie` and, where there is a native switch, `ramie-corosensei`; bare `corosensei` without a
//! scheduler; `may` with a worker for each core and `may-1` with one; `tokio` on its current-thread runtime,
//! `tokio-local` in a `LocalSet` there; `smol` on a local executor; OS `threads`; Go with a processor for each core and
//! `go-1` with one; `gevent`; `boost`, which is Boost.Fiber. Each has its stock settings, and release settings equal to
//! ours. What a figure includes stands in the head of its workload's file. What cannot be had is named as skipped, what
//! does not get through as failed.
//!
//! A server has a core of its own and its client another one, where there are two; what runs in one process has them
//! all. Linux only.

mod channels;
mod children;
mod echo;
mod http;
mod kill;
mod load;
mod measure;
mod memory;
mod peers;
mod plot;
mod pool;
mod report;
mod runtimes;
mod sleepers;
mod spawns;
mod table;
mod timeouts;
mod workload;
mod yields;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;

use crate::children::{Conditions, Figure};
use crate::peers::Programs;
use crate::plot::Growth;
use crate::report::{Outcome, Row};
use crate::table::WORKLOADS;
use crate::workload::Workload;

const HELP: &str = "\
Compares ramie with its peers.

Usage: compare [OPTIONS] [WORKLOAD | WORKLOAD/SIZE]...

Options:
  --contender NAME  Only this one and ramie; may be given several times
  --rounds N        How often each is measured [5]
  --millis N        How long a measurement takes, where that can be chosen [200]
  --quick           One round of 10 ms, and of larger sizes than 10,000 only a workload's first
  --no-build        Only what this program has in itself, and gevent
  --markdown FILE   Put the table there as well, between the lines `<!-- compare -->` and
                    `<!-- /compare -->` if it has them
  --plot FILE       Write a picture of the ratios, in SVG
  --growth FILE     Measure how costs grow instead, and write a picture of that
  --list            Print the workloads and their contenders
  -h, --help        Print this

gevent runs in the Python that RAMIE_PYTHON names, else in python3.
";

struct Options {
    workloads: Vec<String>,
    contenders: Vec<String>,
    rounds: u32,
    millis: u64,
    quick: bool,
    build: bool,
    markdown: Option<PathBuf>,
    plot: Option<PathBuf>,
    growth: Option<PathBuf>,
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // What the parent asks its children for.
        ["--run", contender, workload, size, millis] => {
            measure::set_target(Duration::from_millis(millis.parse()?));
            let workload = table::workload(workload).ok_or("there is no such workload")?;
            Ok(workload.run(contender, size.parse()?)?)
        }
        ["--load", workload, port, server, size, millis] => {
            let time = Duration::from_millis(millis.parse()?);
            Ok(load::run(workload, port.parse()?, server.parse()?, size.parse()?, time)?)
        }
        _ => match parse()? {
            Some(options) => compare(&options),
            None => Ok(()),
        },
    }
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        workloads: Vec::new(),
        contenders: Vec::new(),
        rounds: 5,
        millis: 200,
        quick: false,
        build: true,
        markdown: None,
        plot: None,
        growth: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(workload) => options.workloads.push(workload.string()?),
            Long("contender") => options.contenders.push(parser.value()?.string()?),
            Long("rounds") => options.rounds = parser.value()?.parse::<u32>()?.max(1),
            Long("millis") => options.millis = parser.value()?.parse()?,
            Long("quick") => (options.quick, options.rounds, options.millis) = (true, 1, 10),
            Long("no-build") => options.build = false,
            Long("markdown") => options.markdown = Some(parser.value()?.into()),
            Long("plot") => options.plot = Some(parser.value()?.into()),
            Long("growth") => options.growth = Some(parser.value()?.into()),
            Long("list") => {
                list();
                return Ok(None);
            }
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn list() {
    for workload in WORKLOADS {
        let sizes: Vec<_> = workload.sizes.iter().map(|size| workload.label(*size)).collect();
        println!("{}: {}", sizes.join(" "), workload.what);
        println!("    {} {}", workload.own().join(" "), workload.peers.join(" "));
    }
}

impl Options {
    fn wants(&self, contender: &str) -> bool {
        let named = self.contenders.iter().any(|name| name == contender);
        contender == "ramie" || self.contenders.is_empty() || named
    }

    /// The workloads and sizes that were asked for, in the order of the table.
    fn selected(&self) -> Result<Vec<(&'static Workload, u64)>, String> {
        let all = || {
            let sizes = |workload: &'static Workload| match self.growth {
                Some(_) => workload.growth.iter(),
                None => workload.sizes.iter(),
            };
            WORKLOADS.iter().flat_map(move |workload| sizes(workload).map(move |size| (workload, *size)))
        };
        let is = |asked: &str, (workload, size): (&Workload, u64)| {
            asked == workload.name || asked == workload.label(size)
        };
        if let Some(unknown) = self.workloads.iter().find(|asked| !all().any(|one| is(asked, one))) {
            return Err(format!("there is no workload {unknown}; try --list"));
        }
        let asked = |one: &(&'static Workload, u64)| {
            self.workloads.iter().any(|asked| is(asked, *one))
                || self.workloads.is_empty() && (!self.quick || one.1 <= 10_000 || one.1 == one.0.sizes[0])
        };
        Ok(all().filter(asked).collect())
    }
}

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let selected = options.selected()?;
    let workloads: Vec<_> = selected.iter().map(|(workload, _)| *workload).collect();
    let conditions = Conditions::new(options.millis, Duration::from_secs(120));
    let programs = Programs::build(|name| options.wants(name), &workloads, options.build);
    let headline = report::headline(options.rounds, options.millis, &programs.versions);
    println!("{headline}");
    match conditions.cores {
        Some(_) => println!("Servers and their clients have a core each."),
        None => println!("Servers and their clients share the one core there is."),
    }
    for (name, reason) in &programs.skipped {
        println!("skipped: {name}: {reason}");
    }
    let mut rows = Vec::new();
    for &(workload, size) in &selected {
        let of_size = measure_all(workload, size, &programs, &conditions, options.rounds);
        of_size.iter().for_each(Row::print);
        rows.push((workload, size, of_size));
    }
    let all: Vec<Row> = rows.iter().flat_map(|(_, _, rows)| rows.iter().cloned()).collect();
    let table = report::markdown(&all);
    println!("\n{table}");
    if let Some(file) = &options.markdown {
        report::put_into(file, &format!("{headline}\n\n{table}"))?;
    }
    if let Some(file) = &options.plot {
        fs::write(file, plot::ratios(&all))?;
    }
    if let Some(file) = &options.growth {
        fs::write(file, plot::growth(&panels(rows)))?;
    }
    match all.iter().find(|row| row.value("ramie").is_none()) {
        Some(row) => Err(format!("ramie has no figure for {}", row.label).into()),
        None => Ok(()),
    }
}

fn panels(rows: Vec<(&'static Workload, u64, Vec<Row>)>) -> Vec<Growth> {
    let mut panels: Vec<Growth> = Vec::new();
    for (workload, size, of_size) in rows {
        let rows = of_size.into_iter().map(|row| (size, row));
        match panels.last_mut().filter(|panel| panel.title == workload.what) {
            Some(panel) => panel.rows.extend(rows),
            None => panels.push(Growth { title: workload.what, rows: rows.collect() }),
        }
    }
    panels
}

/// Lets the contenders of a workload take turns, and takes the medians.
fn measure_all(
    workload: &'static Workload,
    size: u64,
    programs: &Programs,
    conditions: &Conditions,
    rounds: u32,
) -> Vec<Row> {
    let own = workload.own();
    let takes_part =
        |name: &str| own.contains(&name) || workload.peers.contains(&name) || name == "ramie-corosensei";
    let programs: Vec<_> = programs.there.iter().filter(|program| takes_part(program.name)).collect();
    let mut outcomes: Vec<Result<Vec<Vec<Figure>>, String>> =
        programs.iter().map(|_| Ok(Vec::new())).collect();
    for _ in 0..rounds {
        for (program, outcome) in programs.iter().zip(&mut outcomes) {
            // Whoever has failed once is out.
            let Ok(measured) = outcome else { continue };
            match conditions.run(program, workload, size) {
                Ok(figures) => measured.push(figures),
                Err(reason) => *outcome = Err(reason),
            }
        }
    }
    let mut parts: BTreeMap<String, Row> = BTreeMap::new();
    let row = |part: &str, unit: &str| Row {
        label: if part.is_empty() {
            workload.label(size)
        } else {
            format!("{}-{part}", workload.label(size))
        },
        unit: unit.to_owned(),
        outcomes: Vec::new(),
    };
    parts.insert(String::new(), row("", workload.unit));
    for (program, outcome) in programs.iter().zip(outcomes) {
        let contender = program.name;
        match outcome {
            Err(reason) => {
                let main = parts.get_mut("").expect("it is made above");
                main.outcomes.push(Outcome { contender, value: Err(reason) });
            }
            Ok(rounds) => {
                let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
                for figure in rounds.into_iter().flatten() {
                    values.entry((figure.part, figure.unit)).or_default().push(figure.value);
                }
                for ((part, unit), values) in values {
                    let row = parts.entry(part.clone()).or_insert_with(|| row(&part, &unit));
                    row.outcomes.push(Outcome { contender, value: Ok(median(values)) });
                }
            }
        }
    }
    parts.into_values().collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
