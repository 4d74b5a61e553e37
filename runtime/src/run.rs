//! A structured end: no greenlet outlives the call that it was spawned under.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use ramie_hub::{Exception, SystemExit, catch, get_hub, getcurrent, raise, try_get_hub};

#[cfg(unix)]
use crate::signal::{Interrupt, end_process};

/// How long an interrupted program waits for its greenlets, unless it says itself.
const INTERRUPT_GRACE: Duration = Duration::from_secs(5);

thread_local! {
    /// How many `run`s this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Somebody has pressed Ctrl-C: raised in the main greenlet, at its wait, under [`run`]. The name is Python's.
///
/// # Examples
///
/// ```no_run
/// use ramie::{KeyboardInterrupt, catch, run, sleep};
/// use std::time::Duration;
///
/// run(|| {
///     if catch::<KeyboardInterrupt, _>(|| sleep(Duration::from_secs(60))).is_err() {
///         println!("woken early"); // and the program goes on, until the next one
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

/// What [`Run`] does with the greenlets that are left when the body has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Kill,
    Join,
}

/// Runs a body in the main greenlet with a say in how it ends. See [`run`] for the usual case.
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
    /// Kills what is left, and waits for it without limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins what is left, as far as it can still run, before it kills the rest.
    #[must_use]
    pub fn join_left(mut self) -> Self {
        self.left = Left::Join;
        self
    }

    /// Waits at most that long for killed greenlets. Those that have not ended by then run on until the thread ends,
    /// which kills them again, and abandons those that do not end within a second.
    ///
    /// Unless it is set there is no limit, but one of 5 seconds once the program was interrupted.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Says whether Ctrl-C ends the program as [`run`] has it. With `false` a `SIGINT` does what it did before; with
    /// `true` it counts even where it was ignored when the process started, or handled by somebody else, who is called
    /// too.
    #[must_use]
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.interruptible = Some(interruptible);
        self
    }

    /// Runs the body as [`run`](Run::run) does, if this thread has a hub or can have one.
    ///
    /// # Errors
    ///
    /// What [`try_get_hub`] returns, for example `EMFILE` when the process has no descriptors left. Then the body was not
    /// called.
    ///
    /// # Panics
    ///
    /// As [`run`](Run::run).
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

    /// Runs the body on this thread, in its main greenlet; ends every other greenlet of the thread; returns.
    ///
    /// When the body is left by a panic or an exception, the others are ended all the same before it goes on. When
    /// it is left by [`SystemExit`], the process ends with that status once the others have ended; when by
    /// [`KeyboardInterrupt`], by `SIGINT`.
    ///
    /// # Panics
    ///
    /// When it is called from a greenlet other than the main one, and with whatever the body panics with.
    pub fn run<R>(self, body: impl FnOnce() -> R) -> R {
        let free = getcurrent().is_main() && !get_hub().in_callback();
        assert!(free, "run is called from the main greenlet");
        let level = Level::enter();
        let watch = Watch::new(level.is_outermost(), self.interruptible);
        // Caught first, so that the others are ended from a frame that does not unwind.
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
            // What outlasts its grace is left to the end of the thread; there is nobody who could wait for it.
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

/// Runs `f`; the exception, if it was interrupted.
fn interruptible<R>(f: impl FnOnce() -> R) -> Result<R, Exception> {
    catch::<KeyboardInterrupt, _>(f).map_err(|caught| caught.into_exception())
}

/// One `run` of the thread, until it is dropped.
struct Level(usize);

impl Level {
    fn enter() -> Self {
        Level(DEPTH.replace(DEPTH.get() + 1))
    }

    /// One inside another leaves interrupts to that.
    fn is_outermost(&self) -> bool {
        self.0 == 0
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(self.0);
    }
}

/// What the system tells a `run` of Ctrl-C.
struct Watch {
    outermost: bool,
    #[cfg(unix)]
    interrupt: Option<Interrupt>,
}

impl Watch {
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there nothing is watched"))]
    fn new(outermost: bool, asked: Option<bool>) -> Self {
        Watch {
            outermost,
            #[cfg(unix)]
            interrupt: (outermost && asked != Some(false))
                .then(|| Interrupt::watch(asked == Some(true)))
                .flatten(),
        }
    }

    /// Whether an interrupt has come that nobody has looked at.
    fn is_due(&self) -> bool {
        #[cfg(unix)]
        return self.interrupt.as_ref().is_some_and(Interrupt::is_due);
        #[cfg(not(unix))]
        false
    }

    /// The end of an interrupted `run`. The process ends with the one of its main thread; with another one only when
    /// that is the last, as the others have destructors to run too.
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
/// When the body returns, every greenlet that has not ended is killed and unwound, so that its destructors run while
/// the thread is still whole. [`Run`] has the other choices.
///
/// # Ctrl-C
///
/// On Unix, a `SIGINT` raises [`KeyboardInterrupt`] in the main greenlet, at its wait. Unless the body catches it,
/// every other greenlet is killed, so that destructors run everywhere, for at most 5 seconds; then the process ends by
/// that same signal, as a shell expects. A second `SIGINT` ends the process at once, whatever it is busy with.
/// [`Run::grace`] and [`Run::interruptible`] have other choices.
///
/// Nothing of that is done where `SIGINT` was ignored from the start, as for a command in the background of a script,
/// or has a handler already. Who listens to it by `ramie::signal` takes it over for as long as that lasts. Several
/// threads that are each in a `run` are all interrupted; the process ends with that of the main thread, or with the
/// last one.
///
/// Without `run` nothing is installed, and on Windows never.
///
/// # Without it
///
/// Nothing requires it: every call of this crate works on any thread without it. Then greenlets that are unfinished
/// when the thread ends have a second to unwind; those that take longer are [abandoned](ramie_hub#the-end-of-a-hub).
///
/// # Panics
///
/// When it is called from a greenlet other than the main one, and with whatever the body panics with.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{run, sleep, spawn};
///
/// struct Bell;
/// impl Drop for Bell {
///     fn drop(&mut self) {
///         println!("ring");
///     }
/// }
///
/// run(|| {
///     spawn(|| {
///         let _bell = Bell;
///         sleep(Duration::from_secs(3600));
///     });
///     sleep(Duration::from_millis(1));
/// }); // rings here
/// ```
pub fn run<R>(body: impl FnOnce() -> R) -> R {
    Run::new().run(body)
}
