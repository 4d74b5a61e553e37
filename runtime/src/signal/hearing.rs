//! What is done in the hub whenever a signal has come.

use std::io;
use std::rc::Rc;

use ramie_hub::{Watcher, get_hub};

use super::bell::Bell;
use super::kind::{Ear, Role};

/// Listens to a signal and has the hub call `act` whenever it has come, as long as both that are returned live. The ear goes
/// first: the watcher has the bell, which nobody may ring any more then. The watcher does not keep the loop alive.
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
