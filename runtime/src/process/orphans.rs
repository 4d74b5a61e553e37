//! Children whose `Child` was dropped before they had ended: one thread of the process looks after all of them.

use std::process::Child;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How soon a new orphan is looked at again.
const SOON: Duration = Duration::from_millis(10);
/// How long one that has ended remains at most.
const AT_MOST: Duration = Duration::from_secs(1);

/// The thread's address; `None` where there could be no thread.
static REAPER: LazyLock<Option<Sender<Child>>> = LazyLock::new(|| {
    let (address, orphans) = channel();
    thread::Builder::new().name("ramie-orphans".to_owned()).spawn(move || reap(&orphans)).ok()?;
    Some(address)
});

/// Takes a child that nobody will wait for.
pub(super) fn adopt(child: Child) {
    if let Some(reaper) = &*REAPER {
        // It never ends, so it takes everything.
        let _ = reaper.send(child);
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, that does nothing else")]
fn reap(orphans: &Receiver<Child>) {
    let mut living: Vec<Child> = Vec::new();
    let mut pause = SOON;
    loop {
        let new = if living.is_empty() { orphans.recv().ok() } else { orphans.recv_timeout(pause).ok() };
        pause = if new.is_some() { SOON } else { AT_MOST.min(pause * 2) };
        living.extend(new);
        living.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}
