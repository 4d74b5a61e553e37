//! The figures of several rounds as one.

/// What the rounds of a contender came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stats {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Whether other processes disturbed a round to the end of its repeats.
    pub(crate) disturbed: bool,
}

/// Two contenders within this factor are equally good: the same program differs by as much from one
/// day to the next.
pub(crate) const TIE: f64 = 1.2;

/// Whether a ratio says nothing.
pub(crate) fn is_tie(ratio: f64) -> bool {
    ratio < TIE && ratio > 1.0 / TIE
}

impl Stats {
    /// The statistics of at least one value.
    pub(crate) fn of(mut values: Vec<f64>, disturbed: bool) -> Stats {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Stats { median, least: values[0], most: values[values.len() - 1], disturbed }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stats, is_tie};

    #[test]
    fn the_median_is_between_the_least_and_the_most() {
        let odd = Stats::of(vec![5.0, 1.0, 2.0], false);
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 5.0));
        assert_eq!(Stats::of(vec![4.0, 1.0, 2.0, 100.0], true).median, 3.0);
    }

    #[test]
    fn less_than_a_fifth_more_or_less_is_a_tie() {
        assert!(is_tie(1.0) && is_tie(1.19) && is_tie(0.85));
        assert!(!is_tie(1.2) && !is_tie(0.83));
    }
}
