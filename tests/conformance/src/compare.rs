//! The comparison of the traces of both worlds.

use std::fmt;
use std::time::Duration;

use crate::coverage::Coverage;
use crate::gevent::{Answer, Gevent, Missing};
use crate::program::Program;
use crate::runner::{self, HANG};

/// The length of a tick, at the first attempt and at those after a difference. An effect of the
/// machine disappears as the ticks grow; a real difference stays.
const TICKS: [Duration; 3] = [Duration::from_millis(4), Duration::from_millis(20), Duration::from_millis(80)];

/// The result of one program.
#[derive(Debug)]
pub struct Judged {
    /// The trace of ramie.
    pub ramie: Vec<String>,
    /// The trace of gevent.
    pub gevent: Answer,
    /// The first line that differs.
    pub difference: Option<usize>,
    /// The number of attempts.
    pub attempts: usize,
    /// The coverage of ramie's run.
    pub coverage: Coverage,
}

/// The first line in which a trace differs from gevent's, as far as that is compared.
pub fn difference(ramie: &[String], gevent: &Answer) -> Option<usize> {
    let hangs = |trace: &[String]| trace.first().is_some_and(|line| line == HANG);
    if hangs(ramie) || hangs(&gevent.trace) {
        return (ramie != gevent.trace).then_some(0);
    }
    let end = gevent.cut.unwrap_or(usize::MAX);
    let longest = ramie.len().max(gevent.trace.len()).min(end);
    (0..longest).find(|&at| ramie.get(at) != gevent.trace.get(at))
}

/// Runs a program in both worlds and compares.
///
/// # Errors
///
/// When there is no gevent any more.
pub fn judge(program: &Program, gevent: &mut Gevent) -> Result<Judged, Missing> {
    let mut attempts = 0;
    loop {
        let tick = TICKS[attempts];
        attempts += 1;
        let answer = gevent.run(program, tick)?;
        let outcome = runner::run(program, tick);
        let difference = difference(&outcome.trace, &answer);
        let hangs = outcome.trace.first().is_some_and(|line| line == HANG);
        if difference.is_none() || hangs || attempts == TICKS.len() {
            let (ramie, coverage) = (outcome.trace, outcome.coverage);
            return Ok(Judged { ramie, gevent: answer, difference, attempts, coverage });
        }
    }
}

impl Judged {
    /// Returns `true` if it did not end in one of the worlds.
    pub fn hangs(&self) -> bool {
        let hangs = |trace: &[String]| trace.first().is_some_and(|line| line == HANG);
        hangs(&self.ramie) || hangs(&self.gevent.trace)
    }
}

impl fmt::Display for Judged {
    /// Both traces side by side, with a mark where they part.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<50} gevent", "ramie")?;
        for at in 0..self.ramie.len().max(self.gevent.trace.len()) {
            if self.gevent.cut == Some(at) {
                writeln!(f, "  --- not compared from here on")?;
            }
            let mark = if self.difference == Some(at) { '>' } else { ' ' };
            let line = |trace: &[String]| trace.get(at).cloned().unwrap_or_default();
            writeln!(f, "{mark} {:<50} {}", line(&self.ramie), line(&self.gevent.trace))?;
        }
        Ok(())
    }
}
