//! Structured program end: no greenlet outlives the call of [`run`].

use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use ramie_hub::{Exception, SystemExit, catch, get_hub, getcurrent, raise, try_get_hub};

#[cfg(unix)]
use crate::signal::{Interrupt, end_process};

/// The default limit of the wait for greenlets after an interrupt.
const INTERRUPT_GRACE: Duration = Duration::from_secs(5);

thread_local! {
    /// The number of nested `run` calls of this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The exception for Ctrl-C, raised in the main greenlet, at its wait, under [`run`]. The name is
/// Python's.
///
/// # Examples
///
/// ```no_run
/// use ramie::{KeyboardInterrupt, catch, run, sleep};
/// use std::time::Duration;
///
/// run(|| {
///     if catch::<KeyboardInterrupt, _>(|| sleep(Duration::from_secs(60))).is_err() {
///         println!("woken early"); // the program continues until the next one
///     }
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyboardInterrupt;

impl fmt::Display for KeyboardInterrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keyboard interrupt")
    }
}

impl std::error::Error for KeyboardInterrupt {}

/// The treatment of greenlets that are left when the body has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Kill,
    Join,
}

/// A builder for a [`run`] with other settings: runs a body in the main greenlet and ends the other
/// greenlets.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{Run, sleep, spawn};
///
/// let g = Run::new().join_left().run(|| spawn(|| sleep(Duration::from_millis(5))));
/// assert!(g.dead());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Run {
    left: Left,
    grace: Option<Duration>,
    interruptible: Option<bool>,
}

impl Default for Run {
    fn default() -> Self {
        Run { left: Left::Kill, grace: None, interruptible: None }
    }
}

impl Run {
    /// Creates the default settings: kill the remaining greenlets and wait for them without limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins the remaining greenlets, as far as they can still run, before killing the rest.
    #[must_use]
    pub fn join_left(mut self) -> Self {
        self.left = Left::Join;
        self
    }

    /// Limits the wait for killed greenlets. Greenlets that have not ended by then continue until
    /// the thread ends. It kills them again, and abandons those that do not end within a second.
    ///
    /// By default there is no limit, except for 5 seconds after an interrupt.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Sets whether Ctrl-C ends the program as described at [`run`]. With `false`, a `SIGINT` keeps
    /// its previous effect. With `true`, a `SIGINT` is handled even if it was ignored when the
    /// process started, or has a handler already, which is called too.
    #[must_use]
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.interruptible = Some(interruptible);
        self
    }

    /// Runs the body like [`run`](Run::run), if this thread has a hub or can have one.
    ///
    /// # Errors
    ///
    /// Returns the error of [`try_get_hub`], for example `EMFILE` if the process has no descriptors
    /// left. The body was not called then.
    ///
    /// # Panics
    ///
    /// Panics if [`run`](Run::run) would.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Run, spawn};
    ///
    /// let five = Run::new().try_run(|| spawn(|| 5).get().unwrap())?;
    /// assert_eq!(five, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_run<R>(self, body: impl FnOnce() -> R) -> io::Result<R> {
        try_get_hub()?;
        Ok(self.run(body))
    }

    /// Runs the body on this thread, in its main greenlet; ends every other greenlet of the thread;
    /// returns.
    ///
    /// If the body ends with a panic or an exception, the other greenlets are ended before it
    /// propagates. If the body ends with [`SystemExit`], the process ends with that status after
    /// the others have ended. If it ends with [`KeyboardInterrupt`], the process ends by `SIGINT`.
    ///
    /// # Panics
    ///
    /// Panics if it is called from a greenlet other than the main one, or from a callback of the
    /// hub, and if the body panics.
    pub fn run<R>(self, body: impl FnOnce() -> R) -> R {
        let free = getcurrent().is_main() && !get_hub().in_callback();
        assert!(free, "run must be called from the main greenlet");
        let level = Level::enter();
        let watch = Watch::new(level.is_outermost(), self.interruptible);
        // Caught first, so that the other greenlets are ended from a frame that is not unwinding.
        let result = catch_unwind(AssertUnwindSafe(|| interruptible(|| catch::<SystemExit, _>(body))));
        let mut interrupted = match &result {
            Ok(Err(interrupt)) => Some(interrupt.clone()),
            _ => None,
        };
        if self.left == Left::Join && matches!(result, Ok(Ok(Ok(_)))) {
            interrupted = interruptible(|| get_hub().join()).err();
        }
        loop {
            let grace = self.grace.or(interrupted.is_some().then_some(INTERRUPT_GRACE));
            // Greenlets that outlast the limit are left to the end of the thread.
            match interruptible(|| get_hub().kill_all(grace)) {
                Ok(_outlasted) => break,
                Err(interrupt) => interrupted = Some(interrupt),
            }
        }
        if watch.is_due() {
            interrupted = Some(Exception::new(KeyboardInterrupt));
        }
        if let Some(interrupt) = interrupted {
            drop(result);
            watch.finish(interrupt);
        }
        match result {
            Ok(Ok(Ok(value))) => value,
            Ok(Ok(Err(exit))) => std::process::exit(exit.0),
            Ok(Err(interrupt)) => raise(interrupt),
            Err(payload) => resume_unwind(payload),
        }
    }
}

/// Runs `f`. Returns the exception if it was interrupted.
fn interruptible<R>(f: impl FnOnce() -> R) -> Result<R, Exception> {
    catch::<KeyboardInterrupt, _>(f).map_err(|caught| caught.into_exception())
}

/// The nesting level of a `run` on this thread, until it is dropped.
struct Level(usize);

impl Level {
    fn enter() -> Self {
        Level(DEPTH.replace(DEPTH.get() + 1))
    }

    /// Returns `true` if no other `run` encloses this one. Only the outermost handles interrupts.
    fn is_outermost(&self) -> bool {
        self.0 == 0
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(self.0);
    }
}

/// The `SIGINT` watch of a `run`.
struct Watch {
    outermost: bool,
    #[cfg(unix)]
    interrupt: Option<Interrupt>,
}

impl Watch {
    #[cfg_attr(not(unix), expect(unused_variables, reason = "only Unix systems are watched"))]
    fn new(outermost: bool, asked: Option<bool>) -> Self {
        Watch {
            outermost,
            #[cfg(unix)]
            interrupt: (outermost && asked != Some(false))
                .then(|| Interrupt::watch(asked == Some(true)))
                .flatten(),
        }
    }

    /// Returns `true` if an interrupt has arrived that is not handled yet.
    fn is_due(&self) -> bool {
        #[cfg(unix)]
        return self.interrupt.as_ref().is_some_and(Interrupt::is_due);
        #[cfg(not(unix))]
        false
    }

    /// Ends an interrupted `run`. The `run` of the main thread ends the process. The `run` of
    /// another thread does so only if it is the last, because the others must still run their
    /// destructors.
    fn finish(self, interrupt: Exception) -> ! {
        #[cfg(unix)]
        {
            let others = self.interrupt.is_some_and(Interrupt::leave);
            let first = std::thread::current().name() == Some("main");
            if self.outermost && (first || !others) {
                end_process();
            }
        }
        #[cfg(not(unix))]
        if self.outermost {
            std::process::exit(130);
        }
        raise(interrupt)
    }
}

/// Runs a body in the main greenlet of this thread and leaves no greenlet behind.
///
/// When the body returns, every greenlet that has not ended is killed and unwound, so that its
/// destructors run before the thread ends. [`Run`] has other settings.
///
/// # Ctrl-C
///
/// On Unix, a `SIGINT` raises [`KeyboardInterrupt`] in the main greenlet, at its wait. Unless the
/// body catches it, every other greenlet is killed, so that destructors run everywhere, for at most
/// 5 seconds. Then the process ends by the same signal, as a shell expects. A second `SIGINT` ends
/// the process at once, even if it is busy. [`Run::grace`] and [`Run::interruptible`] change this.
///
/// None of this happens if `SIGINT` was ignored from the start, as for a background command of a
/// script, or has a handler already. A listener of `ramie::signal` takes precedence over `run` as
/// long as it exists. If several threads are each in a `run`, all of them are interrupted; the
/// process ends with the `run` of the main thread, or with the last one.
///
/// Without `run` no handler is installed. On Windows none is ever installed.
///
/// # Without it
///
/// `run` is optional: every call of this crate works on any thread without it. Greenlets that are
/// unfinished when the thread ends have a second to unwind. After that they are
/// [abandoned](ramie_hub#the-end-of-a-hub).
///
/// # Panics
///
/// Panics if it is called from a greenlet other than the main one, or from a callback of the hub,
/// and if the body panics.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{run, sleep, spawn};
///
/// struct SelfPipe;
/// impl Drop for SelfPipe {
///     fn drop(&mut self) {
///         println!("ring");
///     }
/// }
///
/// run(|| {
///     spawn(|| {
///         let _bell = SelfPipe;
///         sleep(Duration::from_secs(3600));
///     });
///     sleep(Duration::from_millis(1));
/// }); // prints here
/// ```
pub fn run<R>(body: impl FnOnce() -> R) -> R {
    Run::new().run(body)
}
