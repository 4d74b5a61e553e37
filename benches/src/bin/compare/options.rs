//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::rounds::Rounds;
use crate::table::WORKLOADS;
use crate::workload::{CONTENDERS, Workload};

const HELP: &str = "\
Compares ramie with its peers.

Usage: compare [OPTIONS] [WORKLOAD | WORKLOAD/SIZE]...

Options:
  --contender NAME  Only this one and ramie; may be given several times
  --contender NAME=COMMAND
                    One more contender: a program that speaks the protocol of benches/README.md
  --rounds N        How often each is measured [9]
  --millis N        How long a measurement takes, where that can be chosen [200]
  --repeats N       How often a run that other processes disturb is repeated [3]
  --once            One round of 10 ms, no repeats, and of larger sizes than 10,000 only a
                    workload's first: to see that everything runs
  --no-build        Only what this program has in itself, gevent, and --contender's commands
  --markdown FILE   Put the whole table there as well, between the lines `<!-- compare -->` and
                    `<!-- /compare -->` if it has them
  --summary FILE    Put a table of eight columns there in the same way
  --plot FILE       Write a picture of the ratios, in SVG
  --growth FILE     Measure how costs grow instead, and write a picture of that
  --list            Print the workloads and their contenders
  -h, --help        Print this

gevent runs in the Python that RAMIE_PYTHON names, else in python3.
";

/// A program of the user's that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) name: &'static str,
    /// What the shell runs.
    pub(crate) command: String,
}

pub(crate) struct Options {
    workloads: Vec<String>,
    contenders: Vec<String>,
    pub(crate) guests: Vec<Guest>,
    pub(crate) rounds: Rounds,
    pub(crate) millis: u64,
    once: bool,
    pub(crate) build: bool,
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) summary: Option<PathBuf>,
    pub(crate) plot: Option<PathBuf>,
    pub(crate) growth: Option<PathBuf>,
}

/// Reads the command line. Returns nothing if it was answered here.
pub(crate) fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        workloads: Vec::new(),
        contenders: Vec::new(),
        guests: Vec::new(),
        rounds: Rounds { count: 9, repeats: 3 },
        millis: 200,
        once: false,
        build: true,
        markdown: None,
        summary: None,
        plot: None,
        growth: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(workload) => options.workloads.push(workload.string()?),
            Long("contender") => options.add_contender(parser.value()?.string()?)?,
            Long("rounds") => options.rounds.count = parser.value()?.parse::<u32>()?.max(1),
            Long("repeats") => options.rounds.repeats = parser.value()?.parse()?,
            Long("millis") => options.millis = parser.value()?.parse()?,
            Long("once") => {
                options.once = true;
                options.rounds = Rounds { count: 1, repeats: 0 };
                options.millis = 10;
            }
            Long("no-build") => options.build = false,
            Long("markdown") => options.markdown = Some(parser.value()?.into()),
            Long("summary") => options.summary = Some(parser.value()?.into()),
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
        println!("{}: {}, in {}", sizes.join(" "), workload.what, workload.unit);
        println!("    {} {}", workload.own().join(" "), workload.peers.join(" "));
    }
}

impl Options {
    fn add_contender(&mut self, argument: String) -> Result<(), lexopt::Error> {
        let Some((name, command)) = argument.split_once('=') else {
            if !CONTENDERS.contains(&argument.as_str()) {
                return Err(format!("there is no contender {argument}; try --list").into());
            }
            self.contenders.push(argument);
            return Ok(());
        };
        let known = CONTENDERS.contains(&name) || self.guests.iter().any(|guest| guest.name == name);
        if name.is_empty() || name.contains(char::is_whitespace) || command.trim().is_empty() {
            return Err("--contender wants a name without spaces, or NAME=COMMAND".into());
        }
        if known {
            return Err(format!("there is a contender {name} already").into());
        }
        // It is a column for the rest of the process.
        let name = String::leak(name.to_owned());
        self.guests.push(Guest { name, command: command.to_owned() });
        Ok(())
    }

    /// Whether a contender that is known here takes part.
    pub(crate) fn wants(&self, contender: &str) -> bool {
        let named = self.contenders.iter().any(|name| name == contender);
        contender == "ramie" || self.contenders.is_empty() || named
    }

    /// The workloads and sizes that were asked for, in the order of the table.
    pub(crate) fn selected(&self) -> Result<Vec<(&'static Workload, u64)>, String> {
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
                || self.workloads.is_empty() && (!self.once || one.1 <= 10_000 || one.1 == one.0.sizes[0])
        };
        Ok(all().filter(asked).collect())
    }
}
