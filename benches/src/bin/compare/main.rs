//! Compares ramie with its peers.
//!
//! ```text
//! cargo run --profile compare -p ramie-benches --features io-uring --bin compare
//! cargo run --profile compare -p ramie-benches --features io-uring --bin compare -- yield ring/100 echo
//! cargo run --profile compare -p ramie-benches --features io-uring --bin compare -- --help
//! ```
//!
//! The profile `compare` gives every contender in this program link-time optimisation over all
//! crates, and one codegen unit. Contenders in other languages have the equal of it as far as their
//! compilers have one.
//!
//! Every figure is measured in a process of its own, which sets up, warms up, and measures for a
//! while; the contenders of a workload take turns, for several rounds, and the median of the rounds
//! counts. A run during which other processes took more than a tenth of a core is repeated, a few
//! times; if it stays so the figure is marked. Each figure is a line,
//! `WORKLOAD CONTENDER MEDIAN UNIT LEAST..MOST RATIO`: the ratio is how many times as dear as ramie
//! the contender is, so above 1 ramie is ahead; for rates it is turned round. Less than a factor of
//! 1.2 is a tie. Then comes a table in Markdown.
//!
//! The contenders are `ramie` and, where there is a native switch, `ramie-corosensei`; `least-hub`,
//! the floor of what a scheduler costs (`least_hub.rs`); bare `corosensei` without a scheduler; `may`
//! with a worker for each core and `may-1` with one; `tokio` on its current-thread runtime,
//! `tokio-local` in a `LocalSet` there, `tokio-wake` with another yield; `smol` on a local executor;
//! `monoio` over io_uring and `monoio-epoll`, and `glommio`; OS `threads`; Go with a processor for
//! each core and `go-1` with one; `gevent`; `boost`, which is Boost.Fiber; and any program that
//! `--contender NAME=COMMAND` names. Each has its stock settings. What a figure includes stands in
//! the head of its workload's file. What cannot be had is named as skipped, what does not get through
//! as failed.
//!
//! What has one thread is pinned to one core, and a server's client to another one (`affinity.rs`).
//! Linux only.

mod affinity;
mod channels;
mod children;
mod disturbance;
mod echo;
mod http;
mod kill;
mod least_hub;
mod load;
mod markdown;
mod measure;
mod memory;
mod options;
mod peers;
mod plot;
mod pool;
mod protocol;
mod report;
mod rounds;
mod runtimes;
mod sleepers;
mod spawns;
mod stats;
mod table;
mod timeouts;
mod uring;
mod workload;
mod yields;

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use crate::children::Conditions;
use crate::options::Options;
use crate::peers::Programs;
use crate::plot::Growth;
use crate::report::Row;
use crate::workload::Workload;

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
        _ => match options::parse()? {
            Some(options) => compare(&options),
            None => Ok(()),
        },
    }
}

fn compare(options: &Options) -> Result<(), Box<dyn Error>> {
    let selected = options.selected()?;
    let workloads: Vec<_> = selected.iter().map(|(workload, _)| *workload).collect();
    let conditions = Conditions::new(options.millis, Duration::from_secs(120));
    let programs = Programs::build(options, &workloads);
    let headline = report::headline(options.rounds.count, options.millis, &programs.versions);
    println!("{headline}");
    println!("{}", conditions.cores.note());
    if peers::profile() != "compare" {
        println!("Built by the profile {}: for figures, build by the profile compare.", peers::profile());
    }
    for (name, reason) in &programs.skipped {
        println!("skipped: {name}: {reason}");
    }
    let mut rows = Vec::new();
    for &(workload, size) in &selected {
        let of_size = rounds::measure(workload, size, &programs.there, &conditions, options.rounds);
        of_size.iter().for_each(Row::print);
        rows.push((workload, size, of_size));
    }
    let all: Vec<Row> = rows.iter().flat_map(|(_, _, rows)| rows.iter().cloned()).collect();
    let table = markdown::whole(&all);
    println!("\n{table}");
    if let Some(file) = &options.markdown {
        markdown::put_into(file, &format!("{headline}\n\n{table}"))?;
    }
    if let Some(file) = &options.summary {
        markdown::put_into(file, &format!("{headline}\n\n{}", markdown::summary(&all)))?;
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
