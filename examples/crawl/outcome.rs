//! Outcomes of the visit of a page.

/// The outcome of the visit of a page. Every page ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Html,
    Other,
    Redirect,
    Slow,
    ClientError,
    ServerError,
    Reset,
    Truncated,
    Malformed,
    TooLarge,
    Refused,
    Broken,
    Crashed,
}

impl Outcome {
    pub(crate) const ALL: [Outcome; 13] = [
        Outcome::Html,
        Outcome::Other,
        Outcome::Redirect,
        Outcome::Slow,
        Outcome::ClientError,
        Outcome::ServerError,
        Outcome::Reset,
        Outcome::Truncated,
        Outcome::Malformed,
        Outcome::TooLarge,
        Outcome::Refused,
        Outcome::Broken,
        Outcome::Crashed,
    ];

    /// Returns the name in the table.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Outcome::Html => "HTML",
            Outcome::Other => "other media",
            Outcome::Redirect => "redirects",
            Outcome::Slow => "killed for slowness",
            Outcome::ClientError => "status 4xx",
            Outcome::ServerError => "status 5xx",
            Outcome::Reset => "connection reset",
            Outcome::Truncated => "ended too early",
            Outcome::Malformed => "malformed",
            Outcome::TooLarge => "too large",
            Outcome::Refused => "refused",
            Outcome::Broken => "other I/O errors",
            Outcome::Crashed => "bugs of this program",
        }
    }

    pub(crate) fn is_failure(self) -> bool {
        !matches!(self, Outcome::Html | Outcome::Other | Outcome::Redirect)
    }
}

/// A count for each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally([u64; Outcome::ALL.len()]);

impl Tally {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn failures(&self) -> u64 {
        Outcome::ALL.iter().filter(|outcome| outcome.is_failure()).map(|outcome| self.of(*outcome)).sum()
    }
}
