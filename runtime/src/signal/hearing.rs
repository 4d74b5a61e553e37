//! Callbacks of the hub for signals.

use std::io;
use std::rc::Rc;

use ramie_hub::{Watcher, get_hub};

use super::registry::{Registration, Role};
use super::self_pipe::SelfPipe;

/// Registers for a signal and makes the hub call `act` after each one, while both returned values
/// are alive. The `Registration` must be dropped before the watcher, which owns the self-pipe: no
/// signal handler may write to the pipe after that. The watcher does not keep the loop alive.
pub(super) fn register(
    signal: i32,
    role: Role,
    act: impl Fn() + 'static,
) -> io::Result<(Rc<Registration>, Watcher)> {
    let self_pipe = Rc::new(SelfPipe::new()?);
    let watcher = get_hub().io(self_pipe.clone(), true, false);
    watcher.set_ref(false);
    let registration = Rc::new(Registration::new(signal, role, self_pipe.writer())?);
    let heard = Rc::downgrade(&registration);
    watcher.start(move || {
        self_pipe.drain();
        if heard.upgrade().is_some_and(|registration| registration.is_due()) {
            act();
        }
    })?;
    Ok((registration, watcher))
}
