//! Children that outlive their `Child`: one thread of the process waits for all of them.

use std::process::Child;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The first interval between two checks of a new orphan.
const SOON: Duration = Duration::from_millis(10);
/// The longest interval between two checks.
const AT_MOST: Duration = Duration::from_secs(1);

/// The children that are not yet passed to the thread, and the channel to the thread once it runs.
struct Reaper {
    waiting: Vec<Child>,
    address: Option<Sender<Child>>,
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper { waiting: Vec::new(), address: None });

/// Takes over a child without an owner.
pub(super) fn adopt(child: Child) {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    let Reaper { waiting, address } = &mut *reaper;
    waiting.push(child);
    if address.is_none() {
        // If no thread can be started now, the next orphan tries again.
        *address = start();
    }
    if let Some(address) = address {
        // The thread never ends, so the send cannot fail.
        waiting.drain(..).for_each(|child| drop(address.send(child)));
    }
}

fn start() -> Option<Sender<Child>> {
    let (address, orphans) = channel();
    thread::Builder::new().name("ramie-orphans".to_owned()).spawn(move || reap(&orphans)).ok()?;
    Some(address)
}

#[expect(clippy::disallowed_methods, reason = "a dedicated thread may block")]
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
