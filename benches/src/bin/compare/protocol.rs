//! The lines that a contender prints. `benches/README.md`, "Another contender", describes them for
//! the authors of contenders.

/// A figure: the value, its unit, and its part, if the workload has several figures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) part: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    Figure(Figure),
    /// The port on which a server listens on the loopback address.
    Port(u16),
    /// The contender does not take part in this workload, or not on this machine.
    Skip(String),
}

/// The reasons for which there is no figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Missing {
    Skipped(String),
    Failed(String),
}

impl Line {
    /// Understands a line, or returns nothing for one that says something else.
    pub(crate) fn parse(line: &str) -> Option<Line> {
        if let Some(reason) = line.strip_prefix("skip") {
            return Some(Line::Skip(reason.trim().to_owned()));
        }
        if let Some(port) = line.strip_prefix("port ") {
            return port.trim().parse().ok().map(Line::Port);
        }
        let mut words = line.split_whitespace();
        let value: f64 = words.next()?.parse().ok()?;
        let unit = words.next()?.to_owned();
        let part = words.next().unwrap_or_default().to_owned();
        value.is_finite().then_some(Line::Figure(Figure { value, unit, part }))
    }
}

/// The figures among the lines of a contender that has ended well.
pub(crate) fn figures(lines: &[String]) -> Result<Vec<Figure>, Missing> {
    let mut figures = Vec::new();
    for line in lines {
        match Line::parse(line) {
            Some(Line::Skip(reason)) => return Err(Missing::Skipped(reason)),
            Some(Line::Figure(figure)) => figures.push(figure),
            Some(Line::Port(_)) | None => {}
        }
    }
    if figures.is_empty() { Err(Missing::Failed("it reports nothing".to_owned())) } else { Ok(figures) }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Line, Missing, figures};

    fn figure(value: f64, unit: &str, part: &str) -> Figure {
        Figure { value, unit: unit.to_owned(), part: part.to_owned() }
    }

    #[test]
    fn each_kind_of_line_is_understood() {
        assert_eq!(Line::parse("12.5 ns"), Some(Line::Figure(figure(12.5, "ns", ""))));
        assert_eq!(Line::parse("7 us p99"), Some(Line::Figure(figure(7.0, "us", "p99"))));
        assert_eq!(Line::parse("port 4711"), Some(Line::Port(4711)));
        assert_eq!(Line::parse("skip no sockets"), Some(Line::Skip("no sockets".to_owned())));
        for other in ["", "hello world", "12", "port many", "NaN ns"] {
            assert_eq!(Line::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_contender_gives_figures_or_a_reason() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(figures(&lines(&["warming up", "3 ns"])), Ok(vec![figure(3.0, "ns", "")]));
        assert_eq!(figures(&lines(&["skip no pool"])), Err(Missing::Skipped("no pool".to_owned())));
        assert!(matches!(figures(&lines(&["done"])), Err(Missing::Failed(_))));
    }
}
