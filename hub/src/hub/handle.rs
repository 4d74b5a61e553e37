//! The handle of this thread's hub.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::error::{TimedOut, Waiting};
use crate::exception::Failure;
use crate::hub::watcher::Watcher;
use crate::remote::handle::{KeepAlive, Remote, Waiter, Waker};
use crate::scheduler::callback::{Callback, CallbackState};
use crate::scheduler::current;
use crate::scheduler::report::{ErrorContext, ErrorHandler};
use crate::scheduler::{Expiry, Item, Mode, WatchKind};
use crate::task::{AnyGreenlet, Verdict};
use crate::wait::guard::TimerGuard;

/// The hub of this thread: what runs when nobody else does.
///
/// There is one per thread, made when it is first needed, and it ends with the thread. The handle is only a name
/// for it. See [`get_hub`].
#[derive(Clone, Copy)]
pub struct Hub {
    here: PhantomData<*const ()>,
}

/// The hub of this thread, made now if there was none.
///
/// # Panics
///
/// When the system has no descriptors left for the hub (see [`try_get_hub`]), and on some systems while the thread
/// ends, when its hub has ended already.
pub fn get_hub() -> Hub {
    current::core();
    Hub { here: PhantomData }
}

/// Returns the hub of this thread, made now if there was none, or says why it cannot be made.
///
/// A hub needs two descriptors. Every call that makes a hub, such as [`spawn`](crate::spawn), panics where this one
/// returns an error. Once a thread has a hub it keeps it to its end. Does not let other greenlets run.
///
/// # Errors
///
/// The system's, for example `EMFILE` when the process has no descriptors left. While the thread ends also an error
/// of kind [`Other`](io::ErrorKind::Other), on systems where the thread cannot have another hub.
///
/// # Examples
///
/// ```
/// use ramie_hub::{spawn, try_get_hub};
///
/// match try_get_hub() {
///     Ok(_hub) => assert_eq!(spawn(|| 5).get().unwrap(), 5),
///     Err(error) => eprintln!("no greenlets on this thread: {error}"),
/// }
/// ```
pub fn try_get_hub() -> io::Result<Hub> {
    current::make()?;
    Ok(Hub { here: PhantomData })
}

impl Hub {
    /// Waits until nothing is left that could happen: no greenlet that will run, no timer, no wait for a source.
    ///
    /// Greenlets that wait for something nobody will ever do are left as they are. The hub stays usable.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet.
    pub fn join(&self) {
        self.join_for(None);
    }

    /// Waits at most that long; says whether nothing was left.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_for(Some(timeout))
    }

    fn join_for(&self, timeout: Option<Duration>) -> bool {
        struct Joining;
        impl Drop for Joining {
            fn drop(&mut self) {
                if let Some(core) = current::try_core() {
                    core.main_joins.set(false);
                }
            }
        }
        let core = current::core();
        assert!(core.mode.get() == Mode::Main, "only the main greenlet can join the hub");
        let token = core.token();
        let _timer = timeout.map(|timeout| {
            // Like a sleeper's, not like a limit: it is behind nothing but what was due before it.
            TimerGuard::of(core.start_timer(core.deadline(timeout), || Expiry::Wake(token), false))
        });
        core.main_joins.set(true);
        let _joining = Joining;
        core.park(token, "Hub::join");
        // Whoever finds that the loop has run dry takes this back.
        !core.main_joins.get()
    }

    /// Kills every greenlet but the main one and waits until all have ended, also those that are spawned meanwhile.
    ///
    /// Returns how many were killed. A greenlet that catches its kill is waited for.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when some are left after `grace`; they run on.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet.
    pub fn kill_all(&self, grace: Option<Duration>) -> Result<usize, TimedOut> {
        let core = current::core();
        assert!(core.mode.get() == Mode::Main, "only the main greenlet can end all others");
        let deadline = grace.and_then(|grace| Instant::now().checked_add(grace));
        let mut killed = 0;
        loop {
            let left = core.greenlets();
            if left.is_empty() {
                return Ok(killed);
            }
            if left.iter().any(|greenlet| !greenlet.ready()) {
                killed += crate::greenlet::kill::kill_everything(&core, deadline)?;
                continue;
            }
            // They have their results, and are in destructors that wait.
            let token = core.token();
            core.mourner.set(Some(token));
            let _timer = TimerGuard::limit(&core, token, deadline.map(|deadline| core.at(deadline)));
            if core.park(token, "Hub::kill_all") == Verdict::TimedOut {
                return Err(TimedOut);
            }
        }
    }

    /// Whether the hub itself has the thread: in a callback, where nothing can wait.
    pub fn in_callback(&self) -> bool {
        current::core().in_hub()
    }

    /// Queues a function that the hub calls in its turn. It must not wait. Does not let others run.
    pub fn run_callback(&self, f: impl FnOnce() + 'static) -> Callback {
        let state = CallbackState::new(Box::new(f));
        current::core().push(Item::Call(state.clone()));
        Callback(state)
    }

    /// Replaces the report of errors that have no other home; `None` restores the default, which prints to stderr.
    ///
    /// The handler is called where the error happened: in the dying greenlet, or in the hub. It must not wait, and not
    /// panic; if it does, that is reported and life goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use ramie_hub::{fallible, get_hub, spawn};
    ///
    /// let seen = Rc::new(RefCell::new(Vec::new()));
    /// let log = seen.clone();
    /// get_hub().set_error_handler(Some(Rc::new(move |_, failure| log.borrow_mut().push(failure.to_string()))));
    /// spawn(fallible(|| Err::<(), _>("no luck"))).join();
    /// assert_eq!(*seen.borrow(), ["no luck"]);
    /// ```
    pub fn set_error_handler(&self, handler: Option<ErrorHandler>) -> Option<ErrorHandler> {
        current::core().set_error_handler(handler)
    }

    /// Has the default report pass over failures of this type: gevent's `NOT_ERROR`.
    ///
    /// For failures that are expected and looked at where the results are. An error handler of one's own sees them all
    /// the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::ParseIntError;
    /// use ramie_hub::{fallible, get_hub, spawn};
    ///
    /// get_hub().not_error::<ParseIntError>();
    /// let g = spawn(fallible(|| "twelve".parse::<u32>()));
    /// assert!(g.get().is_err()); // and nothing on stderr
    /// ```
    pub fn not_error<E: 'static>(&self) {
        current::core().reports.not_error::<E>();
    }

    /// Hands an error to the error handler.
    pub fn handle_error(&self, context: &ErrorContext, failure: &Failure) {
        current::core().handle_error(context, failure);
    }

    /// A handle to this hub for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(current::core().inbox.clone())
    }

    /// A one-time signal from any thread to a greenlet of this hub.
    pub fn waiter(&self) -> (Waiter, Waker) {
        current::core().waiter()
    }

    /// Keeps the loop alive as long as the guard exists, although nothing in it does.
    pub fn keep_alive(&self) -> KeepAlive {
        KeepAlive::new()
    }

    /// A watcher that is due once after a time, or again and again when `repeat` is not zero.
    pub fn timer(&self, after: Duration, repeat: Duration) -> Watcher {
        Watcher::new(WatchKind::Timer, after, repeat)
    }

    /// A watcher that is due at the beginning of every iteration, before the callbacks.
    pub fn prepare(&self) -> Watcher {
        Watcher::new(WatchKind::Prepare, Duration::ZERO, Duration::ZERO)
    }

    /// A watcher that is due after every poll, before timers and sources.
    pub fn check(&self) -> Watcher {
        Watcher::new(WatchKind::Check, Duration::ZERO, Duration::ZERO)
    }

    /// A watcher that is due in every iteration that has nothing better to do.
    pub fn watch_idle(&self) -> Watcher {
        Watcher::new(WatchKind::Idle, Duration::ZERO, Duration::ZERO)
    }

    /// Returns how long greenlets and callbacks may run before the loop polls: 5 ms unless set.
    pub fn switch_interval(&self) -> Duration {
        current::core().pace.interval()
    }

    /// Sets how long greenlets and callbacks may run before the loop polls.
    ///
    /// The loop compares the time with it between two callbacks: after every 50 where they are short,
    /// after each where they take long. An operation on a socket that is ready compares too, and lets
    /// the loop poll once the interval is over. It takes effect at the next poll.
    pub fn set_switch_interval(&self, interval: Duration) {
        current::core().pace.set_interval(interval);
    }

    /// Everybody who is suspended, and in which call: what [`LoopExit`](crate::LoopExit) would name.
    pub fn waiting(&self) -> Vec<Waiting> {
        current::core().waiting()
    }

    /// The main greenlet of this thread, to be thrown into from elsewhere: gevent's `hub.parent`.
    pub fn main(&self) -> AnyGreenlet {
        AnyGreenlet::from(&current::core().main)
    }

    /// The greenlets that were started and have not ended, but for the main one.
    pub fn greenlets(&self) -> Vec<AnyGreenlet> {
        current::core().greenlets()
    }

    /// Gives the memory of idle stacks back to the system.
    pub fn trim_stacks(&self) {
        current::core().trim_stacks();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}
