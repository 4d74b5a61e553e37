//! Which steps were done in which states.

use std::collections::BTreeMap;
use std::fmt;

use crate::program::Op;

/// The number of times that each kind of step was done, by the state of the greenlet that it
/// concerns, or of the greenlet that did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(Op, &'static str), usize>);

/// The states of a greenlet that a step is about.
pub const TARGETS: [&str; 8] = ["unset", "created", "started", "self", "raw", "returned", "failed", "killed"];

/// The states of the greenlet that does a step that concerns no greenlet.
pub const PLACES: [&str; 7] =
    ["in main", "in greenlet", "in raw", "in hub", "in handler", "in clean-up", "in scope"];

impl Op {
    /// Returns `true` if the step concerns a greenlet that exists already.
    pub fn has_target(self) -> bool {
        matches!(
            self,
            Op::Start
                | Op::StartLater
                | Op::Kill
                | Op::Throw
                | Op::Get
                | Op::Join
                | Op::State
                | Op::Link
                | Op::LinkValue
                | Op::LinkException
                | Op::Rawlink
                | Op::LinkResult
                | Op::Unlink
                | Op::UnlinkAll
                | Op::With
                | Op::PoolStart
                | Op::PoolAdd
                | Op::Discard
                | Op::Killone
        )
    }

    /// Returns `true` if the hub itself may do the step in a program: it can neither wait nor own
    /// anything.
    pub fn in_hub(self) -> bool {
        matches!(
            self,
            Op::Spawn
                | Op::SpawnRaw
                | Op::Create
                | Op::Raise
                | Op::Return
                | Op::Callback
                | Op::Set
                | Op::Clear
                | Op::IsSet
                | Op::SetResult
                | Op::SetException
                | Op::Release
                | Op::Look
                | Op::PoolState
                | Op::KillMain
        )
    }
}

impl Coverage {
    /// Counts one step.
    pub fn note(&mut self, op: Op, state: &'static str) {
        *self.0.entry((op, state)).or_default() += 1;
    }

    /// Adds what another run has shown.
    pub fn add(&mut self, other: &Coverage) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    /// Returns the number of times that a step was done in a state.
    pub fn count(&self, op: Op, state: &'static str) -> usize {
        self.0.get(&(op, state)).copied().unwrap_or(0)
    }

    /// The states in which a step can be done.
    pub fn states(op: Op) -> Vec<&'static str> {
        if op.has_target() {
            // A raw greenlet can be killed, and nothing else.
            return TARGETS.into_iter().filter(|state| *state != "raw" || op == Op::Kill).collect();
        }
        if op == Op::HubJoin {
            return vec!["in main", "in greenlet"];
        }
        PLACES.into_iter().filter(|place| *place != "in hub" || op.in_hub()).collect()
    }

    /// Returns the missing steps: those that were not done in a state in which they can be.
    pub fn missing(&self) -> Vec<(Op, &'static str)> {
        let all = Op::ALL.iter().flat_map(|op| Self::states(*op).into_iter().map(|state| (*op, state)));
        all.filter(|(op, state)| self.count(*op, state) == 0).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: [(&str, bool, &[&'static str]); 2] = [
            ("by the state of the greenlet it is about", true, &TARGETS),
            ("by the greenlet that does it", false, &PLACES),
        ];
        for (title, targets, states) in tables {
            write!(f, "{:<18}", "")?;
            for state in states {
                write!(f, "{state:>12}")?;
            }
            writeln!(f, "   ({title})")?;
            for op in Op::ALL.iter().filter(|op| op.has_target() == targets) {
                write!(f, "{:<18}", op.name())?;
                for state in states {
                    match self.count(*op, state) {
                        0 if !Self::states(*op).contains(state) => write!(f, "{:>12}", ".")?,
                        count => write!(f, "{count:>12}")?,
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
