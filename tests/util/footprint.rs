//! The footprint of a hub and of a process, by which a test detects remains.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ramie::{get_hub, yield_now};

use super::within;

/// The footprint of this thread's hub. Two equal ones mean that nothing was left behind in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) greenlets: usize,
    pub(crate) queued: usize,
    pub(crate) timers: usize,
    pub(crate) sources: usize,
    pub(crate) refs: usize,
    pub(crate) stacks: usize,
}

/// The footprint at this moment.
pub(crate) fn footprint() -> Footprint {
    let stats = get_hub().stats();
    Footprint {
        greenlets: stats.greenlets,
        queued: stats.queued,
        timers: stats.timers,
        sources: stats.sources,
        refs: stats.refs,
        stacks: stats.stacks.in_use,
    }
}

/// The footprint once everything has run that is queued, and what that has queued.
pub(crate) fn settled() -> Footprint {
    for _ in 0..3 {
        yield_now();
    }
    footprint()
}

/// Runs a test while no other one of its file runs, and looks for what it has left: entries of the
/// hub, descriptors.
#[track_caller]
pub(crate) fn alone(limit: Duration, body: impl FnOnce() + Send + 'static) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    within(limit, || {
        let before = (settled(), descriptors());
        body();
        assert_eq!((settled(), descriptors()), before);
    });
}

/// Returns the number of open descriptors of this process, where the system reports it.
pub(crate) fn descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Returns the number of mappings of this process, where the system reports it.
pub(crate) fn mappings() -> Option<usize> {
    Some(std::fs::read_to_string("/proc/self/maps").ok()?.lines().count())
}

/// Returns the memory that this process uses, in bytes and without page tables, where the system
/// reports it.
pub(crate) fn resident() -> Option<usize> {
    status("VmRSS:")
}

/// Returns the size of the page tables of this process in bytes, where the system reports it.
pub(crate) fn page_tables() -> Option<usize> {
    status("VmPTE:")
}

fn status(key: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().trim_end_matches(" kB").parse::<usize>().ok().map(|kib| kib * 1024)
}

/// Returns `true` if a descriptor is in non-blocking mode.
#[cfg(unix)]
pub(crate) fn is_nonblocking(fd: impl std::os::fd::AsFd) -> bool {
    rustix::fs::fcntl_getfl(fd).unwrap().contains(rustix::fs::OFlags::NONBLOCK)
}
