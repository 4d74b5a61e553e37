//! What other processes took of the processor while something was measured.
//!
//! The system counts in `/proc/stat` what all cores did; this process and the children that it has
//! waited for count in `/proc/self/stat`. The difference is that of the others, and of other guests
//! of the same machine, as far as the system knows of them. Time in interrupts is left out: nothing
//! says for which process they were.

use std::fs;
use std::time::Instant;

/// The part of one core that other processes may take.
const TOLERANCE: f64 = 0.1;
/// The counters are in ticks of 10 ms and do not end on one, so a few ticks say nothing.
const BLUR: f64 = 0.03;
const TICKS_A_SECOND: f64 = 100.0;

/// The counters at the beginning of a run.
#[derive(Debug)]
pub(crate) struct Watch {
    began: Instant,
    counters: Option<Counters>,
}

#[derive(Clone, Copy, Debug)]
struct Counters {
    all: u64,
    own: u64,
}

impl Watch {
    pub(crate) fn begin() -> Watch {
        Watch { began: Instant::now(), counters: Counters::read() }
    }

    /// The part of one core that others took since the beginning. The children must have been waited
    /// for. Nothing where the system does not count.
    pub(crate) fn taken_by_others(&self) -> Option<f64> {
        let (before, after) = (self.counters?, Counters::read()?);
        Some(others(before, after, self.began.elapsed().as_secs_f64()))
    }
}

/// Whether others took so much that the figure says little.
pub(crate) fn is_disturbed(taken_by_others: Option<f64>) -> bool {
    taken_by_others.is_some_and(|taken| taken > TOLERANCE)
}

fn others(before: Counters, after: Counters, seconds: f64) -> f64 {
    let busy = after.all.saturating_sub(before.all) as f64 / TICKS_A_SECOND;
    let own = after.own.saturating_sub(before.own) as f64 / TICKS_A_SECOND;
    (busy - own - BLUR).max(0.0) / seconds.max(1e-3)
}

impl Counters {
    fn read() -> Option<Counters> {
        let all = all(&fs::read_to_string("/proc/stat").ok()?)?;
        let own = own(&fs::read_to_string("/proc/self/stat").ok()?)?;
        Some(Counters { all, own })
    }
}

/// The ticks of all cores in user code, in the system, and stolen by other guests.
fn all(stat: &str) -> Option<u64> {
    let cpu = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = cpu.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // User, nice, system; then idle, waiting, interrupts, soft interrupts; stolen.
    Some(ticks.get(..3)?.iter().sum::<u64>() + ticks.get(7).copied().unwrap_or(0))
}

/// The ticks of this process and of its children, in user code and in the system.
fn own(stat: &str) -> Option<u64> {
    // The name before stands in brackets and may have anything in it. The state comes next.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::{Counters, all, is_disturbed, others, own};

    #[test]
    fn the_counters_are_those_of_the_systems_manual() {
        let stat = "cpu  100 20 30 4000 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert_eq!(all(stat), Some(158));
        let stat = "42 (a ) name) S 1 42 42 0 -1 4194304 1 2 3 4 10 20 300 4000 20 0 1 0";
        assert_eq!(own(stat), Some(4330));
        assert_eq!((all("intr 1"), own("nothing")), (None, None));
    }

    #[test]
    fn only_more_than_a_tenth_of_a_core_disturbs() {
        let before = Counters { all: 1_000, own: 100 };
        let after = |all, own| others(before, Counters { all, own }, 1.0);
        assert!(!is_disturbed(Some(after(1_100, 200))));
        assert!(!is_disturbed(Some(after(1_110, 200))));
        assert!(is_disturbed(Some(after(1_120, 200))));
        assert!(!is_disturbed(None));
    }
}
