//! gevent's `signal_handler`.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;

use ramie_hub::{Builder, SystemExit, Watcher, get_hub};

use super::hearing::register;
use super::registry::{Registration, Role};

/// Runs `f` in a new greenlet of this thread after each arrival of the signal, until the handle is
/// dropped or [cancelled](SignalHandler::cancel): gevent's function of the same name.
///
/// `f` may wait, because it does not run inside the signal handler of the system: that handler only
/// records the signal, and the greenlet starts in the next iteration of the loop. If the signal
/// arrives again while `f` runs, a second greenlet runs it again. Signals that arrive before the
/// loop checks are merged into one. If a signal has several handlers, of this or of other threads,
/// all of them run.
///
/// A failure of `f`, by an exception or a panic, is reported like the failure of any greenlet, and
/// is also raised in the main greenlet. The handler stays active.
///
/// Waiting for signals does not keep the loop alive, unless [`SignalHandler::set_ref`] says so. If
/// nothing else is left, [`Hub::join`](crate::hub::Hub::join) returns, and a waiting main greenlet
/// gets its [`LoopExit`](crate::LoopExit).
///
/// When the last listener of the signal is dropped, the signal has its previous effect again.
///
/// # Errors
///
/// Returns the errors of [`Signals::new`](super::Signals::new).
///
/// # Examples
///
/// ```
/// use std::{cell::Cell, rc::Rc, time::Duration};
/// use ramie::signal::{SIGUSR2, signal_handler};
/// # fn kill_ourselves(signal: i32) { signal_hook::low_level::raise(signal).unwrap() }
///
/// let done = Rc::new(ramie::sync::Event::new());
/// let tell = done.clone();
/// let handler = signal_handler(SIGUSR2, move || {
///     ramie::sleep(Duration::from_millis(1)); // a handler may wait
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
    let (registration, watcher) = register(signal, Role::Listener, move || call(f.clone(), site))?;
    Ok(SignalHandler { signal, registration: RefCell::new(Some(registration)), watcher })
}

/// Runs a handler in a greenlet and raises its failure in the main greenlet.
fn call(f: Rc<impl Fn() + 'static>, site: &'static Location<'static>) {
    let greenlet = Builder::new().spawn_site(site).spawn(move || f());
    greenlet.rawlink(|greenlet| {
        // A `SystemExit` reaches the main greenlet without help.
        if let Some(failure) = greenlet.exception().filter(|failure| !failure.is::<SystemExit>()) {
            get_hub().main().throw(failure);
        }
    });
}

/// A handle that keeps a signal handler active. Returned by [`signal_handler`].
#[must_use = "the handler is cancelled when the handle is dropped"]
pub struct SignalHandler {
    signal: i32,
    /// Dropped before the watcher, which owns the self-pipe: writing to a closed pipe raises
    /// `SIGPIPE`.
    registration: RefCell<Option<Rc<Registration>>>,
    watcher: Watcher,
}

impl SignalHandler {
    /// Cancels the handler. A signal that has arrived without its greenlet having been created is
    /// discarded; greenlets that already run continue. Does nothing if the handler is already
    /// cancelled. Does not let other greenlets run.
    pub fn cancel(&self) {
        let registration = self.registration.take();
        drop(registration);
        self.watcher.stop();
    }

    /// Sets whether waiting for the signal keeps the loop alive. The default is `false`.
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
