//! The id of a wait, and its outcome.

/// One wait of one task. The number of a wait is never reused, so a stale token wakes no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitToken {
    pub(crate) index: u32,
    pub(crate) wait: u64,
}

/// The reason why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeReason {
    /// The awaited event has happened.
    Woken,
    /// The call's own limit was reached first.
    TimedOut,
    /// The awaited object was closed.
    Closed,
}
