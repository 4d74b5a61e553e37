//! Callbacks of the hub for signals.

use std::io;
use std::rc::Rc;

use ramie_hub::{Watcher, get_hub};

use super::bell::Bell;
use super::kind::{Ear, Role};

/// Registers for a signal and makes the hub call `act` after each one, while both returned values
/// are alive. The `Ear` must be dropped before the watcher, which owns the self-pipe: no signal
/// handler may write to the pipe after that. The watcher does not keep the loop alive.
pub(super) fn hear(signal: i32, role: Role, act: impl Fn() + 'static) -> io::Result<(Rc<Ear>, Watcher)> {
    let bell = Rc::new(Bell::new()?);
    let watcher = get_hub().io(bell.clone(), true, false);
    watcher.set_ref(false);
    let ear = Rc::new(Ear::new(signal, role, bell.rope())?);
    let heard = Rc::downgrade(&ear);
    watcher.start(move || {
        bell.hush();
        if heard.upgrade().is_some_and(|ear| ear.is_due()) {
            act();
        }
    })?;
    Ok((ear, watcher))
}
