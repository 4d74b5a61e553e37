//! Children whose `Child` was dropped before they had ended: one thread of the process looks after all of them.

use std::process::Child;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How soon a new orphan is looked at again.
const SOON: Duration = Duration::from_millis(10);
/// How long one that has ended remains at most.
const AT_MOST: Duration = Duration::from_secs(1);

/// The children that the thread has not been given, and its address once there is one.
struct Reaper {
    waiting: Vec<Child>,
    address: Option<Sender<Child>>,
}

static REAPER: Mutex<Reaper> = Mutex::new(Reaper { waiting: Vec::new(), address: None });

/// Takes a child that nobody will wait for.
pub(super) fn adopt(child: Child) {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    let Reaper { waiting, address } = &mut *reaper;
    waiting.push(child);
    if address.is_none() {
        // Where there can be no thread now, there may be one when the next child comes.
        *address = start();
    }
    if let Some(address) = address {
        // It never ends, so it takes everything.
        waiting.drain(..).for_each(|child| drop(address.send(child)));
    }
}

fn start() -> Option<Sender<Child>> {
    let (address, orphans) = channel();
    thread::Builder::new().name("ramie-orphans".to_owned()).spawn(move || reap(&orphans)).ok()?;
    Some(address)
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
