//! Signals as something to wait for.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::time::Instant;

use ramie_hub::Limit;
use ramie_hub::{LinkId, Waitable};

use super::bell::Bell;
use super::kind::{Ear, Role};
use crate::io::handle::Handle;

/// Signals of the process, of several kinds, to be waited for one after another.
///
/// As long as this lives, the process does not do at these signals what it would do by default: they are here, and
/// whoever waits gets them. Signals that came before anybody waits are kept. When the last one that listens to a signal
/// has been dropped, the process does again what it did before.
///
/// * Signals of one kind that come before they are taken are one, as with the system itself. Those of several kinds are each
///   reported, in the order in which the kinds were asked for.
/// * Every `Signals`, and every [`signal_handler`](super::signal_handler), in whatever thread, gets each signal.
///   Greenlets that wait on the same `Signals` share them out: each signal goes to one.
/// * A wait keeps the loop alive, as something may still come: it is not found to be a [`LoopExit`](crate::LoopExit).
///
/// It is also something to wait for among others: in [`wait`](fn@crate::wait), [`iwait`](crate::iwait).
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
    /// Dropped first: who rings a bell that is gone gets a `SIGPIPE`.
    ears: RefCell<Vec<Ear>>,
    handle: Handle<Bell>,
}

impl Signals {
    /// Begins to listen to these signals.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for `SIGKILL`, `SIGSTOP`, `SIGILL`, `SIGFPE` and `SIGSEGV`, which nobody can listen to; the
    /// system's own for what is no signal, and when it has no descriptor left.
    pub fn new(signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let new = Signals { handle: Handle::new(Bell::new()?)?, ears: RefCell::default() };
        for signal in signals {
            new.add(signal)?;
        }
        Ok(new)
    }

    /// Listens to one more. One that is listened to already is no error.
    ///
    /// # Errors
    ///
    /// As [`new`](Signals::new).
    pub fn add(&self, signal: i32) -> io::Result<()> {
        if self.ears.borrow().iter().any(|ear| ear.signal() == signal) {
            return Ok(());
        }
        let ear = Ear::new(signal, Role::Listener, self.handle.get_ref().rope())?;
        self.ears.borrow_mut().push(ear);
        Ok(())
    }

    /// Waits for the next signal and returns its number. Returns without letting others run if one has come already.
    ///
    /// # Errors
    ///
    /// When the system refuses to poll.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout loses no signal.
    pub fn wait(&self) -> io::Result<i32> {
        loop {
            if let Some(signal) = self.wait_until(None)? {
                return Ok(signal);
            }
        }
    }

    /// Waits at most that long for the next signal; `None` when the time is over. See [`wait`](Signals::wait).
    ///
    /// # Errors
    ///
    /// As [`wait`](Signals::wait).
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> io::Result<Option<i32>> {
        self.wait_until(timeout.into().instant())
    }

    /// The next signal, if one has come. Does not let others run.
    pub fn try_wait(&self) -> Option<i32> {
        let ears = self.ears.borrow();
        ears.iter().find(|ear| ear.take()).map(Ear::signal)
    }

    fn wait_until(&self, deadline: Option<Instant>) -> io::Result<Option<i32>> {
        self.handle.ask_until(deadline, || {
            let signal = self.try_wait();
            if signal.is_none() {
                self.hush();
            }
            Ok(signal)
        })
    }

    fn heard(&self) -> bool {
        self.ears.borrow().iter().any(Ear::heard)
    }

    /// Has the bell ring exactly if there is something to take.
    fn hush(&self) {
        let bell = self.handle.get_ref();
        bell.hush();
        if self.heard() {
            bell.ring();
        }
    }
}

impl Waitable for Signals {
    fn is_ready(&self) -> bool {
        self.heard()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.hush();
        self.handle.link_ready(|| self.heard(), f)
    }

    fn unlink(&self, id: LinkId) {
        self.handle.io().unlink_readable(id);
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signals = self.ears.borrow().iter().map(Ear::signal).collect::<Vec<_>>();
        f.debug_tuple("Signals").field(&signals).finish()
    }
}
