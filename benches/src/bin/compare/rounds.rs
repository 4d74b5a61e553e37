//! The rounds of one workload in one size: the contenders take turns, and a run that other processes
//! disturbed is repeated.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::children::{Conditions, Program};
use crate::disturbance::{Watch, is_disturbed};
use crate::protocol::{Figure, Missing};
use crate::report::{Outcome, Row};
use crate::stats::Stats;
use crate::workload::Workload;

/// How often things are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) count: u32,
    /// How often a disturbed run is repeated at most.
    pub(crate) repeats: u32,
}

/// The time that others get to finish before a disturbed run is repeated.
const PAUSE: Duration = Duration::from_millis(200);

/// What one contender has come to so far.
#[derive(Default)]
struct Measured {
    figures: Vec<Figure>,
    disturbed: bool,
    missing: Option<Missing>,
}

/// Measures every program that takes part, and returns a row for each part of the figure.
pub(crate) fn measure(
    workload: &'static Workload,
    size: u64,
    programs: &[Program],
    conditions: &Conditions,
    rounds: Rounds,
) -> Vec<Row> {
    let programs: Vec<_> = programs.iter().filter(|program| program.takes_part(workload)).collect();
    let mut measured: Vec<_> = programs.iter().map(|_| Measured::default()).collect();
    for round in 0..rounds.count as usize {
        // Each round begins with another one, so that none always follows the same one.
        for turn in 0..programs.len() {
            let number = (round + turn) % programs.len();
            let so_far = &mut measured[number];
            if so_far.missing.is_some() {
                continue;
            }
            match run(programs[number], workload, size, conditions, rounds.repeats) {
                Ok((figures, disturbed)) => {
                    so_far.figures.extend(figures);
                    so_far.disturbed |= disturbed;
                }
                Err(missing) => so_far.missing = Some(missing),
            }
        }
    }
    let names = programs.iter().map(|program| program.name);
    rows(workload, size, names.zip(measured))
}

/// Runs one contender once, or more often while others disturb it. Returns the figures of the run
/// that was disturbed least, and whether that was too much.
fn run(
    program: &Program,
    workload: &Workload,
    size: u64,
    conditions: &Conditions,
    repeats: u32,
) -> Result<(Vec<Figure>, bool), Missing> {
    let mut best: Option<(Option<f64>, Vec<Figure>)> = None;
    for attempt in 0..=repeats {
        if attempt > 0 {
            thread::sleep(PAUSE * attempt);
        }
        let watch = Watch::begin();
        let figures = conditions.run(program, workload, size)?;
        let taken = watch.taken_by_others();
        if is_disturbed(taken) {
            let label = workload.label(size);
            let percent = taken.unwrap_or(0.0) * 100.0;
            eprintln!("disturbed: {label} {}: others took {percent:.0} % of a core", program.name);
        }
        if best.as_ref().is_none_or(|(least, _)| taken < *least) {
            best = Some((taken, figures));
        }
        if !is_disturbed(taken) {
            break;
        }
    }
    let (taken, figures) = best.expect("there was a run");
    Ok((figures, is_disturbed(taken)))
}

/// Puts the figures in order: the main one first, then the parts by name.
fn rows(
    workload: &'static Workload,
    size: u64,
    contenders: impl Iterator<Item = (&'static str, Measured)>,
) -> Vec<Row> {
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
    for (contender, measured) in contenders {
        if let Some(missing) = measured.missing {
            let main = parts.get_mut("").expect("it is made above");
            main.outcomes.push(Outcome { contender, value: Err(missing) });
            continue;
        }
        let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
        for figure in measured.figures {
            values.entry((figure.part, figure.unit)).or_default().push(figure.value);
        }
        for ((part, unit), values) in values {
            let row = parts.entry(part.clone()).or_insert_with(|| row(&part, &unit));
            let value = if unit == row.unit {
                Ok(Stats::of(values, measured.disturbed))
            } else {
                Err(Missing::Failed(format!("it reports {unit}, not {}", row.unit)))
            };
            row.outcomes.push(Outcome { contender, value });
        }
    }
    parts.into_values().collect()
}
