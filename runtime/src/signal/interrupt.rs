//! `SIGINT` under `run`.

use std::fmt;
use std::io::Write;
use std::rc::Rc;

use ramie_hub::{Watcher, get_hub};
use signal_hook::consts::SIGINT;
use signal_hook::low_level::emulate_default_handler;

use super::hearing::hear;
use super::kind::{Ear, Role, was_default};
use crate::run::KeyboardInterrupt;

/// Has an interrupt raised in the main greenlet, as long as it lives.
pub(crate) struct Interrupt {
    ear: Rc<Ear>,
    _watcher: Watcher,
}

impl Interrupt {
    /// Begins to watch. Unless it is `asked` for, only if nobody has decided otherwise about the signal: whoever started the
    /// process, or set a handler. `None` also when the system has no descriptor left; the signal then does what it did.
    pub(crate) fn watch(asked: bool) -> Option<Self> {
        if !asked && !was_default(SIGINT) {
            return None;
        }
        let (ear, watcher) = hear(SIGINT, Role::Run, || get_hub().main().throw(KeyboardInterrupt)).ok()?;
        Some(Interrupt { ear, _watcher: watcher })
    }

    /// Whether one has come that the loop has not looked at.
    pub(crate) fn is_due(&self) -> bool {
        self.ear.is_due()
    }

    /// Watches no longer; says whether other threads in a `run` still do. Of those that leave, one is the last.
    pub(crate) fn leave(self) -> bool {
        let Interrupt { ear, _watcher } = self;
        // Before the bell, which the watcher has.
        Rc::into_inner(ear).is_some_and(Ear::leave)
    }
}

/// Ends the process by the signal, so that whoever waits for it sees what it was ended by.
pub(crate) fn end_process() -> ! {
    // The end by a signal flushes nothing.
    let _ = std::io::stdout().flush();
    let _ = emulate_default_handler(SIGINT);
    std::process::exit(128 + SIGINT)
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interrupt").field(&self.ear).finish()
    }
}
