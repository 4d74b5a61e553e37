//! The position of one check of a wait.

/// The position of a check, for the function that the `wait` of a wait queue calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// Identifies this call of `wait` and its position in the lane: a greater number came later.
    pub ticket: u64,
    /// `true` if a notification ended the wait before this check.
    pub notified: bool,
    /// `true` if the wait is over: there will be no further check.
    pub last: bool,
}

impl Turn {
    /// Returns the check before the first wait.
    pub(crate) fn first(ticket: u64) -> Turn {
        Turn { ticket, notified: false, last: false }
    }
}
