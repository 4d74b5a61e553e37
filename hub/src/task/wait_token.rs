//! What a wait is called, and how it ended.

/// One wait of one task. A wait's number is never used twice, so a stale token wakes nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) index: u32,
    pub(crate) wait: u64,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What was waited for has come.
    Woken,
    /// The call's own limit was reached first.
    TimedOut,
    /// What was waited on was closed.
    Closed,
}
