//! Counts of a hub's resources, for finding leaks and the users of memory.

use std::fmt;

use crate::hub::handle::Hub;
use crate::scheduler::Core;
use crate::scheduler::current;
use crate::stack::StackStats;

/// The present resources and the progress of a hub, returned by [`Hub::stats`].
///
/// Two statistics that are taken while nothing runs should be equal, except for the counts that
/// only grow: `waits`, `iterations`, and the idle stacks with their address space, which are kept
/// for later greenlets. Then nothing was left behind in between.
///
/// Its `Display` form has several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// The greenlets that were started and have not ended, without the main greenlet.
    pub greenlets: usize,
    /// The greenlets among them that have not run yet: they are queued or delayed, and have no
    /// stack.
    pub unrun: usize,
    /// The entries of the callback queue: greenlets that are about to run, and other work. The
    /// entry of a greenlet that was killed stays until its turn.
    pub queued: usize,
    /// The messages of other threads that the hub has not taken yet. It takes them once per
    /// iteration of its loop.
    pub posted: usize,
    /// The running timers: sleeps, limits of waits and of scopes, delayed starts, watchers.
    pub timers: usize,
    /// The descriptors that are registered with the system: one for each that had to be waited for.
    pub sources: usize,
    /// The waits and guards that keep the loop alive, without timers.
    pub refs: usize,
    /// The number of waits so far, counting the start of each greenlet as one. This is roughly the
    /// number of switches; a wait that is left by a kill counts once too.
    pub waits: u64,
    /// The number of iterations of the loop.
    pub iterations: u64,
    /// The stacks.
    pub stacks: StackStats,
}

impl fmt::Display for HubStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "greenlets   {}, of which {} have not run yet", self.greenlets, self.unrun)?;
        writeln!(f, "stacks      {}", self.stacks)?;
        writeln!(f, "queue       {}, and {} posted by other threads", self.queued, self.posted)?;
        writeln!(f, "timers      {}", self.timers)?;
        writeln!(f, "sources     {}", self.sources)?;
        writeln!(f, "references  {}", self.refs)?;
        write!(f, "so far      {} waits, {} rounds of the loop", self.waits, self.iterations)
    }
}

impl Hub {
    /// Returns the present resources of the hub. Does not let other greenlets run, and may be
    /// called wherever the hub can be reached, including its own callbacks.
    ///
    /// This reads counters that are kept anyway and walks no list, so frequent calls are cheap.
    /// Only the system knows how much memory of the stacks is in use: see [`StackStats`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::{get_hub, killall, sleep, spawn, yield_now};
    ///
    /// let before = get_hub().stats();
    /// let sleepers: Vec<_> = (0..3).map(|_| spawn(|| sleep(Duration::from_secs(60)))).collect();
    /// assert_eq!(get_hub().stats().unrun, 3);
    /// yield_now();
    /// let stats = get_hub().stats();
    /// assert_eq!((stats.greenlets, stats.unrun, stats.timers, stats.stacks.in_use), (3, 0, 3, 3));
    /// println!("{stats}");
    /// killall(&sleepers);
    /// let after = get_hub().stats();
    /// assert_eq!((after.greenlets, after.timers, after.stacks.in_use), (0, 0, 0));
    /// assert!(after.waits > before.waits);
    /// ```
    pub fn stats(&self) -> HubStats {
        current::core().stats()
    }
}

impl Core {
    fn stats(&self) -> HubStats {
        let (greenlets, stacks) = (self.greenlet_count(), self.stack_stats());
        HubStats {
            greenlets,
            // A greenlet that has run has a stack, from its first turn until it leaves the task
            // table.
            unrun: greenlets.saturating_sub(stacks.in_use),
            queued: self.queued(),
            posted: self.foreign().inbox().len(),
            timers: self.timer_count(),
            sources: self.reactor().len(),
            refs: self.refs(),
            waits: self.waits_begun(),
            iterations: self.iterations(),
            stacks,
        }
    }
}
