//! Waiting for signals.

use std::cell::RefCell;
use std::fmt;
use std::io;

use ramie_hub::Limit;
use ramie_hub::{LinkId, Waitable};

use super::registry::{Registration, Role};
use super::self_pipe::SelfPipe;
use crate::io::handle::Handle;

/// A set of signals of the process to wait for, one after another.
///
/// While it exists, the process does not have the default effect of these signals. Signals that
/// arrive while no greenlet waits are kept. When the last listener of a signal is dropped, the
/// signal has its previous effect again.
///
/// * Signals of one registry that arrive before they are taken are merged into one, as by the
///   system itself. Signals of several kinds are each reported, in the order in which the kinds
///   were given.
/// * Every `Signals`, and every [`signal_handler`](super::signal_handler), of any thread, gets each
///   signal. Greenlets that wait on the same `Signals` compete: each signal goes to one of them.
/// * A wait keeps the loop alive, because a signal may still arrive: it does not end with a
///   [`LoopExit`](crate::LoopExit).
///
/// A `Signals` can also be waited for together with other objects, in [`wait`](fn@crate::wait) and
/// [`iwait`](crate::iwait).
///
/// # Examples
///
/// ```
/// use ramie::signal::{SIGHUP, SIGUSR1, Signals};
/// # fn kill_ourselves(signal: i32) { signal_hook::low_level::raise(signal).unwrap() }
///
/// let signals = Signals::new([SIGHUP, SIGUSR1])?;
/// kill_ourselves(SIGUSR1);
/// match signals.wait()? {
///     SIGHUP => println!("would read the configuration again"),
///     other => assert_eq!(other, SIGUSR1),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Signals {
    /// Dropped first: writing to a closed self-pipe raises `SIGPIPE`.
    ears: RefCell<Vec<Registration>>,
    handle: Handle<SelfPipe>,
}

impl Signals {
    /// Starts to listen to the given signals.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` for `SIGKILL`, `SIGSTOP`, `SIGILL`, `SIGFPE` and `SIGSEGV`, which
    /// cannot be handled. Returns the error of the system for a number that is no signal, and if no
    /// descriptor is left.
    pub fn new(signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let new = Signals { handle: Handle::new(SelfPipe::new()?)?, ears: RefCell::default() };
        for signal in signals {
            new.add(signal)?;
        }
        Ok(new)
    }

    /// Starts to listen to one more signal. Does nothing if the signal is already in the set.
    ///
    /// # Errors
    ///
    /// Same as for [`new`](Signals::new).
    pub fn add(&self, signal: i32) -> io::Result<()> {
        if self.ears.borrow().iter().any(|registration| registration.signal() == signal) {
            return Ok(());
        }
        let registration = Registration::new(signal, Role::Listener, self.handle.get_ref().writer())?;
        self.ears.borrow_mut().push(registration);
        Ok(())
    }

    /// Waits for the next signal and returns its number. Lets other greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses to poll.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout loses no signal.
    pub fn wait(&self) -> io::Result<i32> {
        loop {
            if let Some(signal) = self.wait_timeout(None)? {
                return Ok(signal);
            }
        }
    }

    /// Waits at most `timeout` for the next signal. Returns `None` after the timeout. See
    /// [`wait`](Signals::wait).
    ///
    /// # Errors
    ///
    /// Same as for [`wait`](Signals::wait).
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait`](Signals::wait).
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> io::Result<Option<i32>> {
        self.handle.ask_until(timeout, || {
            let signal = self.try_wait();
            if signal.is_none() {
                self.drain();
            }
            Ok(signal)
        })
    }

    /// Returns the next signal if one has arrived. Does not let other greenlets run.
    pub fn try_wait(&self) -> Option<i32> {
        let ears = self.ears.borrow();
        ears.iter().find(|registration| registration.take()).map(Registration::signal)
    }

    fn heard(&self) -> bool {
        self.ears.borrow().iter().any(Registration::heard)
    }

    /// Makes the self-pipe readable exactly if there is a signal to take.
    fn drain(&self) {
        let self_pipe = self.handle.get_ref();
        self_pipe.drain();
        if self.heard() {
            self_pipe.ring();
        }
    }
}

impl Waitable for Signals {
    fn is_ready(&self) -> bool {
        self.heard()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.drain();
        self.handle.link_ready(|| self.heard(), f)
    }

    fn unlink(&self, id: LinkId) {
        self.handle.io().unlink_readable(id);
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals = self.ears.borrow().iter().map(Registration::signal).collect::<Vec<_>>();
        f.debug_tuple("Signals").field(&signals).finish()
    }
}
