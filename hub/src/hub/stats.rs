//! What a hub holds, in numbers: for whoever looks for a leak, or for what takes the memory.

use std::fmt;

use crate::hub::handle::Hub;
use crate::scheduler::Core;
use crate::scheduler::current;
use crate::stack::StackStats;

/// What a hub holds at the moment, and how far it has come: from [`Hub::stats`].
///
/// Two that are taken when nothing runs and are equal but for the counts that only grow (`waits`, `iterations`, and the
/// idle stacks with their address space, which stay for the next greenlets) mean that nothing was left behind in between.
///
/// It prints as a text of several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Greenlets that were started and have not ended, the main greenlet not counted.
    pub greenlets: usize,
    /// How many of them have not run yet: they are queued, or delayed, and have no stack.
    pub unrun: usize,
    /// Entries of the callback queue: greenlets whose turn comes, and what else is to be done. One whose greenlet has
    /// been killed meanwhile stays until its turn.
    pub queued: usize,
    /// Messages of other threads that the hub has not taken yet. It takes them when its loop comes
    /// round.
    pub posted: usize,
    /// Running timers: sleeps, limits of waits and of scopes, delayed starts, watchers.
    pub timers: usize,
    /// Descriptors that are registered with the system: one for each that somebody has had to wait for.
    pub sources: usize,
    /// Waits and guards that keep the loop alive, timers not counted.
    pub refs: usize,
    /// How many waits have begun so far, the start of each greenlet counted as one. So many times the hub has switched,
    /// roughly: a wait that is left by a kill begins once too.
    pub waits: u64,
    /// How often the loop has gone round.
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
    /// What the hub holds at the moment. Does not let others run, and may be called wherever the hub may be reached,
    /// its own callbacks included.
    ///
    /// It reads counts that are kept anyway, so it may be called often; of what is pending nothing is walked through.
    /// How much of the memory of its stacks is in use only the system knows: see [`StackStats`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie_hub::{get_hub, killall, sleep, spawn, yield_now};
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
        let (greenlets, stacks) = (self.tasks.len() - 1, self.stack_stats());
        HubStats {
            greenlets,
            // Who has run has a stack, from the first turn until the place among the tasks is given up.
            unrun: greenlets.saturating_sub(stacks.in_use),
            queued: self.queue.borrow().len(),
            posted: self.inbox.len(),
            timers: self.timers.borrow().len(),
            sources: self.poller.borrow().len(),
            refs: self.refs.get(),
            waits: self.waits_begun(),
            iterations: self.iterations.get(),
            stacks,
        }
    }
}
