//! The figures as lines and as a table.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::workload::CONTENDERS;

/// What one contender came to in one workload: the median of the rounds, or why there is none.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) contender: &'static str,
    pub(crate) value: Result<f64, String>,
}

/// One row: a workload in one size, or a part of its figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) unit: String,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Contenders that schedule nothing, and so are no rivals.
const BARE: [&str; 2] = ["corosensei", "epoll"];

impl Row {
    pub(crate) fn value(&self, contender: &str) -> Option<f64> {
        let outcome = self.outcomes.iter().find(|outcome| outcome.contender == contender)?;
        outcome.value.as_ref().ok().copied()
    }

    /// How many times as dear as ramie a contender is: below 1 it is ahead of ramie. A rate is turned round for it.
    pub(crate) fn ratio(&self, contender: &str) -> Option<f64> {
        let (value, ramie) = (self.value(contender)?, self.value("ramie")?);
        Some(if self.unit.ends_with("/s") { ramie / value } else { value / ramie })
    }

    pub(crate) fn print(&self) {
        for outcome in &self.outcomes {
            let (label, contender) = (&self.label, outcome.contender);
            match &outcome.value {
                Ok(value) => {
                    let ratio =
                        self.ratio(contender).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
                    println!("{label} {contender} {} {} {ratio}", plain(*value), self.unit);
                }
                Err(reason) => println!("{label} {contender} failed: {reason}"),
            }
        }
    }

    /// Who is best of those that schedule.
    fn best(&self) -> Option<&'static str> {
        let rivals =
            self.outcomes.iter().map(|outcome| outcome.contender).filter(|name| !BARE.contains(name));
        let rated = rivals.filter_map(|name| Some((name, self.ratio(name)?)));
        rated.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| name)
    }
}

/// Three digits that count, no exponent.
fn plain(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The same for people.
fn readable(value: f64) -> String {
    let text = match value {
        ..10.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    let digits = text.len();
    if value < 10.0 {
        return text;
    }
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (digits - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The machine, how it was asked, and what was compared.
pub(crate) fn headline(rounds: u32, millis: u64, versions: &[String]) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": an unknown CPU");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<_> = kernel.trim().split('.').take(2).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, Linux {}; medians of {rounds} rounds of {millis} ms; {}.",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.join("."),
        versions.join(", "),
    )
}

const BEGIN: &str = "<!-- compare -->\n";
const END: &str = "<!-- /compare -->\n";

/// Writes a file, or what stands between its marks.
pub(crate) fn put_into(file: &Path, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(file).unwrap_or_default();
    let marked = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    match marked {
        Some((head, tail)) => fs::write(file, format!("{head}{BEGIN}{text}{END}{tail}")),
        None => fs::write(file, text),
    }
}

/// The whole table in Markdown. The best of a row is bold, but for the bare ones; what could not be run is «failed».
pub(crate) fn markdown(rows: &[Row]) -> String {
    let taken_part =
        |name: &&&str| rows.iter().any(|row| row.outcomes.iter().any(|outcome| outcome.contender == **name));
    let contenders: Vec<_> = CONTENDERS.iter().filter(taken_part).collect();
    let mut table = String::from("| | unit |");
    contenders.iter().for_each(|name| write!(table, " {name} |").expect("a string takes it all"));
    table.push_str("\n|---|---|");
    table.push_str(&"---:|".repeat(contenders.len()));
    for row in rows {
        write!(table, "\n| {} | {} |", row.label, row.unit).expect("a string takes it all");
        for name in &contenders {
            let outcome = row.outcomes.iter().find(|outcome| outcome.contender == **name);
            let cell = match outcome.map(|outcome| &outcome.value) {
                None => String::new(),
                Some(Err(_)) => "failed".to_owned(),
                Some(Ok(value)) if row.best() == Some(name) => format!("**{}**", readable(*value)),
                Some(Ok(value)) => readable(*value),
            };
            write!(table, " {cell} |").expect("a string takes it all");
        }
    }
    table.push('\n');
    table
}
