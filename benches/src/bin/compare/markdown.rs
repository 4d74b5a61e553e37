//! The figures as tables in Markdown.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::protocol::Missing;
use crate::report::{Row, contenders};
use crate::stats::{Stats, is_tie};

const BEGIN: &str = "<!-- compare -->\n";
const END: &str = "<!-- /compare -->\n";

/// The rows of the summary.
const SUMMARY: [&str; 15] = [
    "yield/0",
    "yield/3",
    "ring/10000",
    "spawn/1",
    "spawn/1000",
    "ping-pong",
    "channel/100",
    "sleepers-cpu/100000",
    "timeout-yield",
    "pool/1000000",
    "pool-map/1000000",
    "pool-imap_unordered/1000000",
    "kill/10000",
    "echo/50-cpu",
    "echo/1000-cpu",
];

/// Writes a file, or what stands between its marks.
pub(crate) fn put_into(file: &Path, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(file).unwrap_or_default();
    let marked = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    match marked {
        Some((head, tail)) => fs::write(file, format!("{head}{BEGIN}{text}{END}{tail}")),
        None => fs::write(file, text),
    }
}

fn begin(columns: &[&str], words: usize) -> String {
    let mut table = String::from("|");
    for column in columns {
        table.push_str(if column.is_empty() { "" } else { " " });
        write!(table, "{column} |").expect("a string takes it all");
    }
    write!(table, "\n|{}{}", "---|".repeat(words), "---:|".repeat(columns.len() - words))
        .expect("a string takes it all");
    table
}

fn add(table: &mut String, cells: &[String]) {
    table.push_str("\n|");
    cells.iter().for_each(|cell| write!(table, " {cell} |").expect("a string takes it all"));
}

/// The whole table: a column for each contender, with the median and its bounds. The best of a row
/// and what ties with it is bold, but for the bare ones.
pub(crate) fn whole(rows: &[Row]) -> String {
    let names = contenders(&rows.iter().collect::<Vec<_>>());
    let columns: Vec<_> = ["", "unit"].into_iter().chain(names.iter().copied()).collect();
    let mut table = begin(&columns, 2);
    for row in rows {
        let ranking = row.ranking();
        let leads = |name: &&str| {
            let ratio = ranking.first().and_then(|best| row.ratio_to(name, best));
            ranking.contains(name) && ratio.is_some_and(is_tie)
        };
        let cell = |name: &&str| {
            let outcome = row.outcomes.iter().find(|outcome| outcome.contender == *name);
            match outcome.map(|outcome| &outcome.value) {
                None | Some(Err(Missing::Skipped(_))) => String::new(),
                Some(Err(Missing::Failed(_))) => "failed".to_owned(),
                Some(Ok(stats)) => {
                    let median = median(stats);
                    let median = if leads(name) { format!("**{median}**") } else { median };
                    bounded(median, stats)
                }
            }
        };
        let mut cells = vec![row.label.clone(), row.unit.clone()];
        cells.extend(names.iter().map(cell));
        add(&mut table, &cells);
    }
    table.push('\n');
    table + note(rows)
}

/// A table of eight columns and few rows. ramie's figure is bold where it is ahead of every peer by
/// more than a tie.
pub(crate) fn summary(rows: &[Row]) -> String {
    let columns = ["", "unit", "ramie", "best peer", "next", "tokio", "Go", "least hub"];
    let mut table = begin(&columns, 2);
    let rows: Vec<_> = rows.iter().filter(|row| SUMMARY.contains(&row.label.as_str())).collect();
    for row in &rows {
        let mut peers: Vec<&'static str> = Vec::new();
        // The best of each family: tokio has four ways to run.
        for name in row.ranking() {
            if family(name) != "ramie" && !peers.iter().any(|peer| family(peer) == family(name)) {
                peers.push(name);
            }
        }
        let value = |name: Option<&str>| name.and_then(|name| row.stats(name)).as_ref().map(median);
        let of_family = |wanted: &str| peers.iter().copied().find(|name| family(name) == wanted);
        let named = |number: usize| {
            let name = peers.get(number).copied();
            value(name).map(|value| format!("{} {value}", name.unwrap_or_default()))
        };
        let ramie = value(Some("ramie")).map(|value| match peers.first().and_then(|best| row.ratio(best)) {
            Some(ratio) if is_tie(ratio) => format!("{value} (tie)"),
            Some(ratio) if ratio < 1.0 => value,
            _ => format!("**{value}**"),
        });
        let cells = [
            Some(row.label.clone()),
            Some(row.unit.clone()),
            ramie,
            named(0),
            named(1),
            value(of_family("tokio")),
            value(of_family("go")),
            value(Some("least-hub")),
        ];
        add(&mut table, &cells.map(Option::unwrap_or_default));
    }
    table.push('\n');
    let rows: Vec<Row> = rows.into_iter().cloned().collect();
    table + note(&rows)
}

fn family(contender: &str) -> &str {
    contender.split('-').next().unwrap_or(contender)
}

/// What a mark in the table means, if it is there.
fn note(rows: &[Row]) -> &'static str {
    let disturbed = |row: &Row| {
        row.outcomes.iter().any(|outcome| outcome.value.as_ref().is_ok_and(|stats| stats.disturbed))
    };
    if rows.iter().any(disturbed) {
        "\n~: other processes took more than a tenth of a core, in every repeat of a run.\n"
    } else {
        ""
    }
}

fn median(stats: &Stats) -> String {
    let mark = if stats.disturbed { "~" } else { "" };
    format!("{mark}{}", readable(stats.median))
}

/// A figure with its least and its most, unless they are the same.
fn bounded(median: String, stats: &Stats) -> String {
    let (least, most) = (readable(stats.least), readable(stats.most));
    if least == most { median } else { format!("{median} ({least}-{most})") }
}

/// Two digits that count, and thousands apart.
fn readable(value: f64) -> String {
    let text = match value {
        ..10.0 => return format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    let digits = text.len();
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (digits - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{SUMMARY, readable, summary, whole};
    use crate::report::{Outcome, Row};
    use crate::stats::Stats;
    use crate::table::WORKLOADS;

    fn rows(values: &[(&'static str, f64)], disturbed: bool) -> [Row; 1] {
        let outcome = |&(contender, value): &(&'static str, f64)| Outcome {
            contender,
            value: Ok(Stats::of(vec![value], disturbed)),
        };
        let outcomes = values.iter().map(outcome).collect();
        [Row { label: "yield/0".to_owned(), unit: "ns".to_owned(), outcomes }]
    }

    #[test]
    fn the_best_and_its_ties_are_bold_and_bare_ones_never() {
        let rows = rows(&[("ramie", 20.0), ("least-hub", 6.0), ("may", 22.0), ("go", 36.0)], false);
        let expected = "| | unit | ramie | least-hub | may | go |\n";
        let table = whole(&rows);
        assert!(table.starts_with(expected), "{table}");
        assert!(table.ends_with("| yield/0 | ns | **20** | 6.0 | **22** | 36 |\n"), "{table}");
    }

    #[test]
    fn the_summary_has_eight_columns_and_a_family_once() {
        let values = [("ramie", 20.0), ("tokio", 60.0), ("tokio-wake", 25.0), ("go", 36.0), ("go-1", 40.0)];
        let table = summary(&rows(&values, false));
        assert!(
            table.ends_with("| yield/0 | ns | **20** | tokio-wake 25 | go 36 | 25 | 36 |  |\n"),
            "{table}"
        );
        assert!(table.lines().all(|line| line.matches('|').count() == 9), "{table}");
        let behind = summary(&rows(&[("ramie", 20.0), ("boost", 10.0)], false));
        assert!(behind.contains("| 20 | boost 10 |"), "{behind}");
        let tie = summary(&rows(&[("ramie", 20.0), ("boost", 21.0)], false));
        assert!(tie.contains("| 20 (tie) | boost 21 |"), "{tie}");
    }

    #[test]
    fn each_row_of_the_summary_is_measured() {
        let labels: Vec<String> = WORKLOADS
            .iter()
            .flat_map(|workload| workload.sizes.iter().map(|size| workload.label(*size)))
            .collect();
        for row in SUMMARY {
            let label = row.strip_suffix("-cpu").filter(|label| label.starts_with("echo")).unwrap_or(row);
            assert!(labels.iter().any(|measured| measured == label), "{row}");
        }
    }

    #[test]
    fn a_disturbed_figure_is_marked_and_explained() {
        let table = whole(&rows(&[("ramie", 1234.0)], true));
        assert!(table.contains("**~1,234**") && table.contains("\n~: "), "{table}");
        assert_eq!(readable(1_234_567.0), "1,234,567");
    }
}
