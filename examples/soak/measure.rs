//! Reads what the process and its hub hold.

use std::fs;
use std::time::{Duration, Instant};

use ramie::{get_hub, sleep, yield_now};

/// The measurements that must be the same before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    greenlets: usize,
    queued: usize,
    posted: usize,
    timers: usize,
    sources: usize,
    refs: usize,
    stacks: usize,
}

impl Held {
    /// Reads the hub once everything that is queued has run.
    pub(crate) fn now() -> Held {
        for _ in 0..4 {
            yield_now();
        }
        let stats = get_hub().stats();
        Held {
            greenlets: stats.greenlets,
            queued: stats.queued,
            posted: stats.posted,
            timers: stats.timers,
            sources: stats.sources,
            refs: stats.refs,
            stacks: stats.stacks.in_use,
        }
    }

    /// Waits until the hub holds what is `right`, for at most a second: a thread may have a last
    /// message on its way.
    pub(crate) fn settled(right: &Held) -> Held {
        let start = Instant::now();
        loop {
            let now = Held::now();
            if now == *right || start.elapsed() > Duration::from_secs(1) {
                return now;
            }
            sleep(Duration::from_millis(5));
        }
    }
}

/// The system's counts for the process: descriptors, threads, children. `None` where the system
/// does not report them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) descriptors: Option<usize>,
    pub(crate) threads: Option<usize>,
    pub(crate) children: usize,
}

impl Process {
    pub(crate) fn now() -> Process {
        let count = |folder| Some(fs::read_dir(folder).ok()?.count());
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        Process {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            children: children.map(|list| list.split_whitespace().count()).sum(),
        }
    }

    /// Waits until the process holds no more than `right`, for at most `limit`: threads of a pool
    /// end a while after their last job.
    pub(crate) fn settled(right: Option<&Process>, limit: Duration) -> Process {
        let (start, mut before) = (Instant::now(), Process::now());
        // Without a measure to compare with, it has settled when a second changes nothing.
        loop {
            sleep(Duration::from_millis(if right.is_some() { 50 } else { 1_000 }));
            let now = Process::now();
            let calm = right
                .map_or(now == before && start.elapsed() > Duration::from_secs(7), |right| now == *right);
            if calm || start.elapsed() > limit {
                return now;
            }
            before = now;
        }
    }
}

/// Returns the memory of the process that is resident, in bytes.
pub(crate) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}
