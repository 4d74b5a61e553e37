//! Handling of `SIGINT` under `run`.

use std::fmt;
use std::io::Write;
use std::rc::Rc;

use ramie_hub::{Watcher, get_hub};
use signal_hook::consts::SIGINT;
use signal_hook::low_level::emulate_default_handler;

use super::hearing::hear;
use super::kind::{Ear, Role, was_default};
use crate::run::KeyboardInterrupt;

/// Raises an interrupt in the main greenlet for each `SIGINT`, while it is alive.
pub(crate) struct Interrupt {
    ear: Rc<Ear>,
    _watcher: Watcher,
}

impl Interrupt {
    /// Starts to watch for `SIGINT`. Returns `None` if the signal was ignored when the process
    /// started, or has a handler already, unless the watch is `asked` for. Also returns `None` if
    /// the system has no descriptor left; the signal then keeps its previous effect.
    pub(crate) fn watch(asked: bool) -> Option<Self> {
        if !asked && !was_default(SIGINT) {
            return None;
        }
        let (ear, watcher) = hear(SIGINT, Role::Run, || get_hub().main().throw(KeyboardInterrupt)).ok()?;
        Some(Interrupt { ear, _watcher: watcher })
    }

    /// Returns `true` if a signal has arrived that the loop has not handled yet.
    pub(crate) fn is_due(&self) -> bool {
        self.ear.is_due()
    }

    /// Stops watching. Returns `true` if a `run` of another thread still watches. Of all callers
    /// exactly one, the last, gets `false`.
    pub(crate) fn leave(self) -> bool {
        let Interrupt { ear, _watcher } = self;
        // Dropped before the watcher, which owns the self-pipe.
        Rc::into_inner(ear).is_some_and(Ear::leave)
    }
}

/// Ends the process by the signal, so that the parent process sees the signal as the cause.
pub(crate) fn end_process() -> ! {
    // A process that is ended by a signal flushes no buffer.
    let _ = std::io::stdout().flush();
    let _ = emulate_default_handler(SIGINT);
    std::process::exit(128 + SIGINT)
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interrupt").field(&self.ear).finish()
    }
}
