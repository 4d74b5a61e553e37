//! Who listens to which signal of the process, and what a signal does that nobody listens to any more.
//!
//! 1. What the process did at a signal before it was first listened to is looked up once and comes back when the last
//!    listener has gone. signal-hook leaves its handler in place for good, so the default is done by it: its first
//!    action does what the system would have done, whenever `default` is set.
//! 2. Listeners go before `run`: while there is one, an interrupt is theirs alone.
//! 3. While only `run` listens, the first signal sets `default`, so that a second one ends the process at once,
//!    whatever that is busy with.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signal_hook::SigId;
use signal_hook::consts::FORBIDDEN;
use signal_hook::{flag, low_level};

/// Every signal that was ever listened to.
static KINDS: Mutex<BTreeMap<i32, Kind>> = Mutex::new(BTreeMap::new());

/// What happened at a signal before anybody listened here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Default,
    Ignored,
    /// There was a handler, of others.
    Handled,
}

/// One signal.
#[derive(Debug)]
struct Kind {
    before: Before,
    default: Arc<AtomicBool>,
    listeners: usize,
    runs: usize,
    /// The action that sets `default`.
    arm: Option<SigId>,
}

/// Whom an [`Ear`] listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Listener,
    Run,
}

/// Listens to one signal as long as it lives: notes it, then rings a bell.
#[derive(Debug)]
pub(super) struct Ear {
    signal: i32,
    role: Role,
    heard: Arc<AtomicBool>,
    /// None once it has left.
    actions: Option<[SigId; 2]>,
}

impl Ear {
    /// Begins to listen. A byte is written to `bell` after each signal, unless that is full.
    pub(super) fn new(signal: i32, role: Role, bell: &UnixStream) -> io::Result<Self> {
        if FORBIDDEN.contains(&signal) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "nobody can listen to this signal"));
        }
        let bell = bell.try_clone()?;
        let mut kinds = kinds();
        let kind = match kinds.entry(signal) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Kind::new(signal)?),
        };
        let heard = Arc::new(AtomicBool::new(false));
        let noting = flag::register(signal, heard.clone())?;
        let ringing = low_level::pipe::register(signal, bell).inspect_err(|_| {
            low_level::unregister(noting);
        })?;
        *kind.count(role) += 1;
        kind.settle(signal);
        Ok(Ear { signal, role, heard, actions: Some([noting, ringing]) })
    }

    pub(super) fn signal(&self) -> i32 {
        self.signal
    }

    /// Whether the signal has come since it was last taken.
    pub(super) fn heard(&self) -> bool {
        self.heard.load(Ordering::SeqCst)
    }

    /// The same, and takes it.
    pub(super) fn take(&self) -> bool {
        self.heard.swap(false, Ordering::SeqCst)
    }

    /// Listens no longer; says whether others in this role still do. Of those that leave, one is the last.
    pub(super) fn leave(mut self) -> bool {
        self.go() > 0
    }

    /// How many in this role are left when it has gone.
    fn go(&mut self) -> usize {
        let Some(actions) = self.actions.take() else { return 0 };
        let mut kinds = kinds();
        for action in actions {
            low_level::unregister(action);
        }
        let Some(kind) = kinds.get_mut(&self.signal) else { return 0 };
        *kind.count(self.role) -= 1;
        kind.settle(self.signal);
        *kind.count(self.role)
    }

    /// Whether the signal has come, and is this one's to act on. Takes it.
    pub(super) fn is_due(&self) -> bool {
        self.take() && !self.is_taken_over()
    }

    /// Whether the signal is a listener's, so that it means nothing to `run`.
    fn is_taken_over(&self) -> bool {
        self.role == Role::Run && kinds().get(&self.signal).is_some_and(|kind| kind.listeners > 0)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.go();
    }
}

impl Kind {
    fn new(signal: i32) -> io::Result<Self> {
        let before = before(signal);
        let default = Arc::new(AtomicBool::new(false));
        // signal-hook knows the default of no signal without a name, such as the real-time ones.
        if low_level::signal_name(signal).is_some() {
            flag::register_conditional_default(signal, default.clone())?;
        }
        Ok(Kind { before, default, listeners: 0, runs: 0, arm: None })
    }

    fn count(&mut self, role: Role) -> &mut usize {
        match role {
            Role::Listener => &mut self.listeners,
            Role::Run => &mut self.runs,
        }
    }

    /// Applies the rules after somebody has come or gone.
    fn settle(&mut self, signal: i32) {
        let only_run = self.listeners == 0 && self.runs > 0;
        match self.arm {
            // A second interrupt stays the last one, whoever else begins to run.
            Some(_) if only_run => {}
            None if only_run => {
                self.default.store(false, Ordering::SeqCst);
                // Without it a second one is like the first.
                self.arm = flag::register(signal, self.default.clone()).ok();
            }
            _ => {
                if let Some(arm) = self.arm.take() {
                    low_level::unregister(arm);
                }
                let idle = self.listeners == 0 && self.before == Before::Default;
                self.default.store(idle, Ordering::SeqCst);
            }
        }
    }
}

fn kinds() -> MutexGuard<'static, BTreeMap<i32, Kind>> {
    KINDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a signal was left to the system's default before anybody listened to it here.
pub(super) fn was_default(signal: i32) -> bool {
    let known = kinds().get(&signal).map(|kind| kind.before);
    known.unwrap_or_else(|| before(signal)) == Before::Default
}

/// What happens at a signal now, where the system tells without being asked through unsafe code.
fn before(signal: i32) -> Before {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let has = |key: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix(key))?;
        let set = u128::from_str_radix(set.trim(), 16).ok()?;
        Some(set >> (signal - 1) & 1 == 1)
    };
    if !(1..=128).contains(&signal) {
        Before::Default
    } else if has("SigIgn:") == Some(true) {
        Before::Ignored
    } else if has("SigCgt:") == Some(true) {
        Before::Handled
    } else {
        Before::Default
    }
}
