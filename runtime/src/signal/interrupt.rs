//! Handling of `SIGINT` under `run`.

use std::fmt;
use std::io::Write;
use std::rc::Rc;

use ramie_hub::{Watcher, get_hub};
use signal_hook::consts::SIGINT;
use signal_hook::low_level::emulate_default_handler;

use super::hearing::register;
use super::registry::{Registration, Role, was_default};
use crate::run::KeyboardInterrupt;

/// Raises an interrupt in the main greenlet for each `SIGINT`, while it is alive.
pub(crate) struct Interrupt {
    registration: Rc<Registration>,
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
        let (registration, watcher) =
            register(SIGINT, Role::Run, || get_hub().main().throw(KeyboardInterrupt)).ok()?;
        Some(Interrupt { registration, _watcher: watcher })
    }

    /// Returns `true` if a signal has arrived that the loop has not handled yet.
    pub(crate) fn is_due(&self) -> bool {
        self.registration.is_due()
    }

    /// Stops watching. Returns `true` if a `run` of another thread still watches. Of all callers
    /// exactly one, the last, gets `false`.
    pub(crate) fn leave(self) -> bool {
        let Interrupt { registration, _watcher } = self;
        // Dropped before the watcher, which owns the self-pipe.
        Rc::into_inner(registration).is_some_and(Registration::leave)
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
        f.debug_tuple("Interrupt").field(&self.registration).finish()
    }
}
