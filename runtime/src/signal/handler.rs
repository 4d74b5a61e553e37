//! gevent's `signal_handler`.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use ramie_hub::{Builder, SystemExit, Watcher, get_hub};

use super::hearing::hear;
use super::kind::{Ear, Role};

/// Runs `f` in a new greenlet of this thread whenever the signal has come, until the handle is dropped or
/// [cancelled](SignalHandler::cancel): gevent's function of that name.
///
/// The handler may wait, as it is no handler of the system's: that only takes note of the signal, and the greenlet
/// starts when the loop runs next. If the signal comes again while a handler runs, a second greenlet runs it again;
/// signals that come before the loop has looked are one. Several handlers of one signal all run, those of other threads
/// too.
///
/// A handler that fails, by an exception or by a panic, has its failure reported like every greenlet's, and raised in
/// the main greenlet as well. The handler stays in force.
///
/// Waiting for signals does not keep the loop alive, unless [`SignalHandler::set_ref`] says so: with nothing else left,
/// [`Hub::join`](crate::Hub::join) returns, and a main greenlet that waits gets its [`LoopExit`](crate::LoopExit).
///
/// When the last one that listens to the signal has been dropped, the process does again what it did before.
///
/// # Errors
///
/// Those of [`Signals::new`](super::Signals::new).
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use ramie::signal::{SIGUSR2, signal_handler};
/// # fn kill_ourselves(signal: i32) { signal_hook::low_level::raise(signal).unwrap() }
///
/// let done = Rc::new(ramie::Event::new());
/// let tell = done.clone();
/// let handler = signal_handler(SIGUSR2, move || {
///     ramie::sleep(Duration::from_millis(1)); // it may wait
///     tell.set();
/// })?;
/// kill_ourselves(SIGUSR2);
/// assert!(done.wait_timeout(Duration::from_secs(10)));
/// handler.cancel();
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn signal_handler(signal: i32, f: impl Fn() + 'static) -> io::Result<SignalHandler> {
    let site = Location::caller();
    let f = Rc::new(f);
    let (ear, watcher) = hear(signal, Role::Listener, move || call(f.clone(), site))?;
    Ok(SignalHandler { signal, ear: RefCell::new(Some(ear)), watcher })
}

/// Runs a handler in a greenlet, and has main learn of its failure.
fn call(f: Rc<impl Fn() + 'static>, site: &'static Location<'static>) {
    let greenlet = Builder::new().spawn_site(site).spawn(move || f());
    greenlet.rawlink(|greenlet| {
        // A system exit has found its way by itself.
        if let Some(failure) = greenlet.exception().filter(|failure| !failure.is::<SystemExit>()) {
            get_hub().main().throw(failure);
        }
    });
}

/// A handler that is in force as long as this lives. Made by [`signal_handler`].
#[must_use = "dropping it cancels it"]
pub struct SignalHandler {
    signal: i32,
    /// Dropped before the bell, which the watcher has: who rings one that is gone gets a `SIGPIPE`.
    ear: RefCell<Option<Rc<Ear>>>,
    watcher: Watcher,
}

impl SignalHandler {
    /// Ends it: a signal that has come, and whose greenlet has not been made, is forgotten; greenlets that run go on.
    /// Once more is no error. Does not let others run.
    pub fn cancel(&self) {
        let ear = self.ear.take();
        drop(ear);
        self.watcher.stop();
    }

    /// Says whether waiting for the signal keeps the loop alive. At first it does not.
    pub fn set_ref(&self, keeps: bool) {
        self.watcher.set_ref(keeps);
    }
}

impl fmt::Debug for SignalHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalHandler")
            .field("signal", &self.signal)
            .field("active", &self.watcher.active())
            .finish()
    }
}
