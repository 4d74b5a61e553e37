//! A structured end: no greenlet outlives the call that it was spawned under.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use ramie_hub::{SystemExit, catch, get_hub, getcurrent};

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
}

impl Default for Run {
    fn default() -> Self {
        Run { left: Left::Kill, grace: None }
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
    /// which abandons them.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Runs the body on this thread, in its main greenlet; ends every other greenlet of the thread; returns.
    ///
    /// When the body is left by a panic or an exception, the others are ended all the same before it goes on. When
    /// it is left by [`SystemExit`], the process ends with that status once the others have ended.
    ///
    /// # Panics
    ///
    /// When it is called from a greenlet other than the main one, and with whatever the body panics with.
    pub fn run<R>(self, body: impl FnOnce() -> R) -> R {
        let free = getcurrent().is_main() && !get_hub().in_callback();
        assert!(free, "run is called from the main greenlet");
        // Caught first, so that the others are ended from a frame that does not unwind.
        let result = catch_unwind(AssertUnwindSafe(|| catch::<SystemExit, _>(body)));
        if self.left == Left::Join && matches!(result, Ok(Ok(_))) {
            get_hub().join();
        }
        // What outlasts its grace is left to the end of the thread; there is nobody who could wait for it.
        let _outlasted = get_hub().kill_all(self.grace);
        match result {
            Ok(Ok(value)) => value,
            Ok(Err(exit)) => std::process::exit(exit.0),
            Err(payload) => resume_unwind(payload),
        }
    }
}

/// Runs a body in the main greenlet of this thread and leaves no greenlet behind.
///
/// When the body returns, every greenlet that has not ended is killed and unwound, so that its destructors run while
/// the thread is still whole. [`Run`] has the other choices.
///
/// Nothing requires it: every call of this crate works on any thread without it. Then greenlets that are unfinished
/// when the thread ends are abandoned: they never run again and what they hold is leaked.
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
