//! The cores on which the processes of the comparison run.
//!
//! What runs on one thread is pinned to one core, which is the server's core too. The client of a
//! server has another one. Contenders with several workers have all cores that this process has.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of this process, by their use.
#[derive(Debug)]
pub(crate) struct Cores {
    /// For what is measured on one core. Nothing where pinning is impossible.
    pub(crate) measured: Option<CpuSet>,
    /// For the client of what is measured, where there is a second core.
    pub(crate) client: Option<CpuSet>,
    note: String,
}

impl Cores {
    /// Finds two cores, and tries to pin this thread to one of them.
    pub(crate) fn find() -> Cores {
        let unpinned = |note: String| Cores { measured: None, client: None, note };
        let all = match sched_getaffinity(None) {
            Ok(all) => all,
            Err(error) => return unpinned(format!("Not pinned to cores: {error}.")),
        };
        let mut alone = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).map(|core| {
            let mut alone = CpuSet::new();
            alone.set(core);
            (core, alone)
        });
        let Some((first, measured)) = alone.next() else {
            return unpinned("Not pinned to cores: this process has none by number.".to_owned());
        };
        if let Err(error) = sched_setaffinity(None, &measured).and_then(|()| sched_setaffinity(None, &all)) {
            return unpinned(format!("Not pinned to cores: {error}."));
        }
        let second = alone.next();
        let note = match second {
            Some((second, _)) => {
                format!("One thread, and a server, on core {first}; clients on core {second}.")
            }
            None => format!("All on core {first}, the only one: a server and its client share it."),
        };
        Cores { measured: Some(measured), client: second.map(|(_, client)| client), note }
    }

    /// A sentence that says where things run.
    pub(crate) fn note(&self) -> &str {
        &self.note
    }
}

/// Starts something on these cores: a child inherits the cores of the thread that starts it.
pub(crate) fn on<R>(cores: Option<&CpuSet>, start: impl FnOnce() -> R) -> R {
    let Some(cores) = cores else { return start() };
    let before = sched_getaffinity(None).expect("this worked once");
    sched_setaffinity(None, cores).expect("the cores are ours");
    let result = start();
    sched_setaffinity(None, &before).expect("these cores were ours");
    result
}
