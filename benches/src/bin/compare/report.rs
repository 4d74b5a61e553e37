//! The figures as rows, and as lines.

use std::fs;

use crate::peers;
use crate::protocol::Missing;
use crate::stats::{Stats, is_tie};
use crate::workload::{BARE, CONTENDERS};

/// What one contender came to in one workload, or why there is no figure.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) contender: &'static str,
    pub(crate) value: Result<Stats, Missing>,
}

/// One row: a workload in one size, or a part of its figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) unit: String,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Row {
    pub(crate) fn stats(&self, contender: &str) -> Option<Stats> {
        let outcome = self.outcomes.iter().find(|outcome| outcome.contender == contender)?;
        outcome.value.as_ref().ok().copied()
    }

    /// The median.
    pub(crate) fn value(&self, contender: &str) -> Option<f64> {
        self.stats(contender).map(|stats| stats.median)
    }

    /// How many times as dear as another one a contender is. A rate is turned round for it.
    pub(crate) fn ratio_to(&self, contender: &str, other: &str) -> Option<f64> {
        let (value, other) = (self.value(contender)?, self.value(other)?);
        Some(if self.unit.ends_with("/s") { other / value } else { value / other })
    }

    /// How many times as dear as ramie a contender is: below 1 it is ahead of ramie.
    pub(crate) fn ratio(&self, contender: &str) -> Option<f64> {
        self.ratio_to(contender, "ramie")
    }

    pub(crate) fn print(&self) {
        for outcome in &self.outcomes {
            println!("{} {} {}", self.label, outcome.contender, self.line(outcome));
        }
    }

    fn line(&self, outcome: &Outcome) -> String {
        let stats = match &outcome.value {
            Ok(stats) => stats,
            Err(Missing::Skipped(reason)) => return format!("skipped: {reason}"),
            Err(Missing::Failed(reason)) => return format!("failed: {reason}"),
        };
        let ratio = match self.ratio(outcome.contender) {
            None => "-".to_owned(),
            Some(ratio) if outcome.contender != "ramie" && is_tie(ratio) => format!("{ratio:.2} tie"),
            Some(ratio) => format!("{ratio:.2}"),
        };
        let (median, least, most) = (plain(stats.median), plain(stats.least), plain(stats.most));
        let disturbed = if stats.disturbed { " disturbed" } else { "" };
        format!("{median} {} {least}..{most} {ratio}{disturbed}", self.unit)
    }

    /// The contenders with a scheduler, from the best to the worst.
    pub(crate) fn ranking(&self) -> Vec<&'static str> {
        let rivals =
            self.outcomes.iter().map(|outcome| outcome.contender).filter(|name| !BARE.contains(name));
        let mut rated: Vec<_> = rivals.filter_map(|name| Some((name, self.ratio(name)?))).collect();
        rated.sort_by(|a, b| a.1.total_cmp(&b.1));
        rated.into_iter().map(|(name, _)| name).collect()
    }
}

/// The contenders that have a place in some row: those known here in their order, then the others.
pub(crate) fn contenders(rows: &[&Row]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for outcome in rows.iter().flat_map(|row| &row.outcomes) {
        let skipped = matches!(outcome.value, Err(Missing::Skipped(_)));
        if !skipped && !names.contains(&outcome.contender) {
            names.push(outcome.contender);
        }
    }
    names.sort_by_key(|name| CONTENDERS.iter().position(|known| known == name).unwrap_or(CONTENDERS.len()));
    names
}

/// Three digits that count, no exponent.
fn plain(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The machine, how it was asked, and what was compared.
pub(crate) fn headline(rounds: u32, millis: u64, versions: &[String]) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": an unknown CPU");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<_> = kernel.trim().split('.').take(2).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, Linux {}; medians of {rounds} rounds of {millis} ms; profile {}; {}.",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.join("."),
        peers::profile(),
        versions.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Row, contenders};
    use crate::protocol::Missing;
    use crate::stats::Stats;

    fn row(unit: &str, values: &[(&'static str, f64)]) -> Row {
        let outcome = |&(contender, value): &(&'static str, f64)| Outcome {
            contender,
            value: Ok(Stats::of(vec![value], false)),
        };
        Row {
            label: "yield/0".to_owned(),
            unit: unit.to_owned(),
            outcomes: values.iter().map(outcome).collect(),
        }
    }

    #[test]
    fn a_line_has_the_median_the_bounds_and_the_ratio() {
        let mut row = row("ns", &[("ramie", 20.0), ("tokio", 23.0), ("go", 36.0)]);
        row.outcomes[2].value = Ok(Stats::of(vec![30.0, 36.0, 60.0], true));
        assert_eq!(row.line(&row.outcomes[0]), "20.0 ns 20.0..20.0 1.00");
        assert_eq!(row.line(&row.outcomes[1]), "23.0 ns 23.0..23.0 1.15 tie");
        assert_eq!(row.line(&row.outcomes[2]), "36.0 ns 30.0..60.0 1.80 disturbed");
    }

    #[test]
    fn a_higher_rate_is_ahead() {
        let row = row("req/s", &[("ramie", 100.0), ("epoll", 300.0), ("tokio", 200.0), ("may", 50.0)]);
        assert_eq!(row.ranking(), ["tokio", "ramie", "may"]);
        assert_eq!(row.ratio("tokio"), Some(0.5));
    }

    #[test]
    fn unknown_contenders_come_last_and_skipped_ones_not_at_all() {
        let mut row = row("ns", &[("mine", 1.0), ("tokio", 2.0), ("ramie", 3.0)]);
        let skipped = Err(Missing::Skipped("no ring".to_owned()));
        row.outcomes.push(Outcome { contender: "glommio", value: skipped });
        assert_eq!(contenders(&[&row]), ["ramie", "tokio", "mine"]);
    }
}
