//! The record in `benches/instructions.txt`: a line for each workload over each fiber, with a column for each contender.

use std::error::Error;
use std::fmt;
use std::fmt::Write;
use std::fs;

use crate::CONTENDERS;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const HEAD: &str = "\
# Instructions of one piece of work, counted by callgrind; `cargo run --release -p ramie-benches --bin instructions`
# compares ramie's with them, and writes all down with `-- --record`. `benches/src/bin/instructions/main.rs` describes
# the workloads. tokio's first column is for tasks of its current-thread runtime, the second for a LocalSet.
";

/// The counts of one workload over one fiber.
pub(crate) struct Line {
    pub(crate) work: String,
    pub(crate) fiber: String,
    pub(crate) counts: [Option<f64>; CONTENDERS.len()],
    pub(crate) compiler: String,
}

impl Line {
    fn parse(text: &str) -> Option<Line> {
        let mut words = text.split_whitespace();
        let (work, fiber) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut counts = [None; CONTENDERS.len()];
        for count in &mut counts {
            *count = match words.next()? {
                "-" => None,
                number => Some(number.parse().ok()?),
            };
        }
        let compiler = words.collect::<Vec<_>>().join(" ");
        Some(Line { work, fiber, counts, compiler })
    }

    /// Returns the counts of the peers as text.
    pub(crate) fn peers(&self) -> String {
        let named = CONTENDERS.iter().zip(self.counts).skip(1);
        let known = named.filter_map(|(name, count)| Some(format!("{name} {}", count?)));
        known.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<20} {:<10}", self.work, self.fiber)?;
        for count in self.counts {
            match count {
                Some(count) => write!(f, " {count:>11.1}")?,
                None => write!(f, " {:>11}", "-")?,
            }
        }
        write!(f, "  {}", self.compiler)
    }
}

/// The lines, in the order of their work and fiber.
pub(crate) struct Record(Vec<Line>);

impl Record {
    /// Reads the file. A missing one is an empty record.
    pub(crate) fn read() -> Result<Record, Box<dyn Error>> {
        let text = fs::read_to_string(FILE).unwrap_or_default();
        let lines =
            text.lines().filter(|line| !line.starts_with('#')).map(Line::parse).collect::<Option<_>>();
        Ok(Record(lines.ok_or("the record is not as it should be")?))
    }

    pub(crate) fn get(&self, work: &str, fiber: &str) -> Option<&Line> {
        self.0.iter().find(|line| line.work == work && line.fiber == fiber)
    }

    /// Adds a line, or replaces the one of the same work and fiber.
    pub(crate) fn set(&mut self, new: Line) {
        self.0.retain(|line| line.work != new.work || line.fiber != new.fiber);
        self.0.push(new);
    }

    pub(crate) fn write(mut self) -> Result<(), Box<dyn Error>> {
        self.0.sort_by(|a, b| (&a.work, &a.fiber).cmp(&(&b.work, &b.fiber)));
        let mut text = HEAD.to_owned();
        write!(text, "# {:<18} {:<10}", "work", "fiber")?;
        for name in CONTENDERS {
            write!(text, " {name:>11}")?;
        }
        writeln!(text, "  compiler")?;
        for line in &self.0 {
            writeln!(text, "{line}")?;
        }
        Ok(fs::write(FILE, text)?)
    }
}
