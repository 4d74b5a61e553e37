//! The listeners of each signal, and the effect of a signal without listeners.
//!
//! 1. The effect that a signal had before its first listener is determined once. It is restored
//!    when the last listener is dropped. signal-hook never removes its handler, so the handler
//!    performs the default effect: its first action does so whenever `default` is set.
//! 2. Listeners take precedence over `run`: while there is a listener, `run` ignores the interrupt.
//! 3. While `run` is the only user, the first signal sets `default`, so that a second signal ends
//!    the process at once, even if the process is busy.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signal_hook::SigId;
use signal_hook::consts::FORBIDDEN;
use signal_hook::{flag, low_level};

/// Every signal that has or had a listener.
static KINDS: Mutex<BTreeMap<i32, Kind>> = Mutex::new(BTreeMap::new());

/// The effect of a signal before its first listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Default,
    Ignored,
    /// Another library or the application had set a handler.
    Handled,
}

/// The state of one signal.
#[derive(Debug)]
struct Kind {
    before: Before,
    default: Arc<AtomicBool>,
    listeners: usize,
    runs: usize,
    /// The action that sets `default`.
    arm: Option<SigId>,
}

/// The user of an [`Registration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Listener,
    Run,
}

/// A registration for one signal: the handler sets a flag, then writes to the self-pipe.
#[derive(Debug)]
pub(super) struct Registration {
    signal: i32,
    role: Role,
    heard: Arc<AtomicBool>,
    /// `None` after the registration has ended.
    actions: Option<[SigId; 2]>,
}

impl Registration {
    /// Registers for a signal. The handler writes a byte to `self_pipe` after each signal, unless
    /// the pipe is full.
    pub(super) fn new(signal: i32, role: Role, self_pipe: &UnixStream) -> io::Result<Self> {
        if FORBIDDEN.contains(&signal) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this signal cannot be handled"));
        }
        let self_pipe = self_pipe.try_clone()?;
        let mut kinds = kinds();
        let registry = match kinds.entry(signal) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Kind::new(signal)?),
        };
        let heard = Arc::new(AtomicBool::new(false));
        let noting = flag::register(signal, heard.clone())?;
        let ringing = low_level::pipe::register(signal, self_pipe).inspect_err(|_| {
            low_level::unregister(noting);
        })?;
        *registry.count(role) += 1;
        registry.settle(signal);
        Ok(Registration { signal, role, heard, actions: Some([noting, ringing]) })
    }

    pub(super) fn signal(&self) -> i32 {
        self.signal
    }

    /// Returns `true` if the signal has arrived since the flag was last cleared.
    pub(super) fn heard(&self) -> bool {
        self.heard.load(Ordering::SeqCst)
    }

    /// Clears the flag. Returns `true` if the signal has arrived since it was last cleared.
    pub(super) fn take(&self) -> bool {
        self.heard.swap(false, Ordering::SeqCst)
    }

    /// Ends the registration. Returns `true` if there are other registrations of the same role. Of
    /// all callers exactly one, the last, gets `false`.
    pub(super) fn leave(mut self) -> bool {
        self.go() > 0
    }

    /// Ends the registration and returns the number of remaining registrations of the same role.
    fn go(&mut self) -> usize {
        let Some(actions) = self.actions.take() else { return 0 };
        let mut kinds = kinds();
        for action in actions {
            low_level::unregister(action);
        }
        let Some(registry) = kinds.get_mut(&self.signal) else { return 0 };
        *registry.count(self.role) -= 1;
        registry.settle(self.signal);
        *registry.count(self.role)
    }

    /// Returns `true` if the signal has arrived and this registration must act on it. Clears the
    /// flag.
    pub(super) fn is_due(&self) -> bool {
        self.take() && !self.is_taken_over()
    }

    /// Returns `true` if a listener takes precedence, so that `run` must ignore the signal.
    fn is_taken_over(&self) -> bool {
        self.role == Role::Run && kinds().get(&self.signal).is_some_and(|registry| registry.listeners > 0)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.go();
    }
}

impl Kind {
    fn new(signal: i32) -> io::Result<Self> {
        let before = before(signal);
        let default = Arc::new(AtomicBool::new(false));
        // signal-hook does not know the default effect of signals without a name, such as the
        // real-time signals.
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

    /// Applies the rules after a registration was added or removed.
    fn settle(&mut self, signal: i32) {
        let only_run = self.listeners == 0 && self.runs > 0;
        match self.arm {
            // A second interrupt still ends the process, even if another thread enters `run`.
            Some(_) if only_run => {}
            None if only_run => {
                self.default.store(false, Ordering::SeqCst);
                // If this fails, a second interrupt has the effect of the first.
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

/// Returns `true` if the signal had the default effect before its first listener.
pub(super) fn was_default(signal: i32) -> bool {
    let known = kinds().get(&signal).map(|registry| registry.before);
    known.unwrap_or_else(|| before(signal)) == Before::Default
}

/// Determines the current effect of a signal, where the system reports it without unsafe code.
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
