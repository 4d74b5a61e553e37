//! The handle of this thread's hub.

use std::fmt;
use std::io;
use std::marker::PhantomData;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::time::Duration;

use crate::error::{TimedOut, Waiting};
use crate::exception::Failure;
use crate::hub::watcher::Watcher;
#[cfg(unix)]
use crate::io::FdWatch;
use crate::remote::handle::{KeepAlive, Remote, Waiter, Waker};
use crate::remote::reply::Reply;
use crate::scheduler::callback::Callback;
use crate::scheduler::current;
use crate::scheduler::report::{ErrorContext, ErrorHandler};
use crate::scheduler::{Mode, TimerAction, WatchKind};
use crate::task::{AnyGreenlet, WakeReason};
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;

/// The hub of this thread, which runs whenever no greenlet does.
///
/// Each thread has at most one hub, which is created when it is first needed and ends with the
/// thread. The handle is only a name for the hub. See [`get_hub`].
#[derive(Clone, Copy)]
pub struct Hub {
    here: PhantomData<*const ()>,
}

/// Returns the hub of this thread, which is created if there was none.
///
/// # Panics
///
/// When the system has no descriptors left for the hub (see [`try_get_hub`]). On some systems also
/// at the end of the thread, when its hub has ended already.
pub fn get_hub() -> Hub {
    current::core();
    Hub { here: PhantomData }
}

/// Returns the hub of this thread, which is created if there was none, or the error of the
/// creation.
///
/// A hub needs two descriptors. Every call that creates a hub, such as [`spawn`](crate::spawn),
/// panics where this one returns an error. A thread keeps its hub until it ends. Does not let other
/// greenlets run.
///
/// # Errors
///
/// The system's error, for example `EMFILE` when the process has no descriptors left. At the end of
/// the thread also an error of kind [`Other`](io::ErrorKind::Other), on systems where the thread
/// cannot have another hub.
///
/// # Examples
///
/// ```
/// use ramie::hub::try_get_hub;
/// use ramie::spawn;
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
    /// Waits until nothing is left that could happen: no greenlet that will run, no timer, no wait
    /// for a source. Lets other greenlets run.
    ///
    /// Greenlets that wait for an event that cannot happen are left as they are. The hub stays
    /// usable.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet.
    ///
    /// # Cancellation
    ///
    /// A timeout around the call leaves the greenlets as they are.
    pub fn join(&self) {
        self.join_for(Limit::Never);
    }

    /// Waits for at most `timeout`; see [`join`](Hub::join). Returns `true` if nothing was left.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet.
    ///
    /// # Cancellation
    ///
    /// Same as for [`join`](Hub::join).
    pub fn join_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.join_for(timeout.into())
    }

    fn join_for(&self, limit: Limit) -> bool {
        struct Joining;
        impl Drop for Joining {
            fn drop(&mut self) {
                if let Some(core) = current::try_core() {
                    core.set_joining(false);
                }
            }
        }
        let core = current::core();
        assert!(core.mode() == Mode::Main, "Hub::join must be called from the main greenlet");
        let token = core.token();
        let _timer = limit.deadline(&core).map(|deadline| {
            // Uses the priority of a sleep, not of a wait limit, so only earlier timers run first.
            TimerGuard::of(core.start_timer(deadline, || TimerAction::Wake(token), false))
        });
        core.set_joining(true);
        let _joining = Joining;
        core.park(token, "Hub::join");
        // The loop clears this when it finds that nothing is left.
        !core.is_joining()
    }

    /// Kills every greenlet except the main one and waits until all have ended, including greenlets
    /// that are spawned during the wait.
    ///
    /// Returns the number of killed greenlets. A greenlet that catches its kill is waited for.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when some are left after `grace`; they continue to run.
    ///
    /// # Panics
    ///
    /// When it is not called from the main greenlet.
    pub fn kill_all(&self, grace: impl Into<Limit>) -> Result<usize, TimedOut> {
        let core = current::core();
        assert!(core.mode() == Mode::Main, "Hub::kill_all must be called from the main greenlet");
        let limit = grace.into().fixed();
        let mut killed = 0;
        loop {
            let left = core.greenlets();
            if left.is_empty() {
                return Ok(killed);
            }
            if left.iter().any(|greenlet| !greenlet.ready()) {
                killed += crate::greenlet::kill::kill_everything(&core, limit)?;
                continue;
            }
            // These greenlets have their results, and are in destructors that wait.
            let token = core.token();
            core.set_death_waiter(token);
            let _timer = TimerGuard::limit(&core, token, limit.deadline(&core));
            if core.park(token, "Hub::kill_all") == WakeReason::TimedOut {
                return Err(TimedOut);
            }
        }
    }

    /// Returns `true` if the hub itself runs on the thread: in a callback, where nothing can wait.
    pub fn in_callback(&self) -> bool {
        current::core().in_hub()
    }

    /// Queues a function that the hub calls in order. It must not wait. Does not let other
    /// greenlets run.
    pub fn run_callback(&self, f: impl FnOnce() + 'static) -> Callback {
        current::core().run_callback(Box::new(f))
    }

    /// Sets the handler for errors that no caller can receive, and returns the old one. `None`
    /// restores the default, which prints to stderr.
    ///
    /// The handler is called where the error happened: in the dying greenlet, or in the hub. It
    /// must not wait and must not panic. A violation is reported, and the program continues.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use ramie::{fallible, get_hub, spawn};
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

    /// Makes the default report ignore failures of this type: gevent's `NOT_ERROR`.
    ///
    /// This is for expected failures that are handled where the results are read. A custom error
    /// handler still gets them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::ParseIntError;
    /// use ramie::{fallible, get_hub, spawn};
    ///
    /// get_hub().not_error::<ParseIntError>();
    /// let g = spawn(fallible(|| "twelve".parse::<u32>()));
    /// assert!(g.get().is_err()); // and nothing on stderr
    /// ```
    pub fn not_error<E: 'static>(&self) {
        current::core().not_error::<E>();
    }

    /// Passes an error to the error handler.
    pub fn handle_error(&self, context: &ErrorContext, failure: &Failure) {
        current::core().handle_error(context, failure);
    }

    /// Returns a handle to this hub for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(current::core().foreign().inbox().clone())
    }

    /// Creates a one-time signal from any thread to a greenlet of this hub.
    pub fn waiter(&self) -> (Waiter, Waker) {
        Waiter::new()
    }

    /// Registers `f` to be called in the hub with the value that another thread sends. Only the
    /// value must be `Send`, not `f`. `f` must not wait.
    ///
    /// The loop is kept alive until the answer has come. If the hub ends first, `f` is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{rc::Rc, thread};
    /// use ramie::get_hub;
    /// use ramie::sync::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// let here = result.clone();
    /// let reply = get_hub().reply(move |answer: u32| here.set(Rc::new(answer)));
    /// thread::spawn(move || reply.send(42));
    /// assert_eq!(*result.get().unwrap(), 42);
    /// ```
    pub fn reply<T: Send + 'static>(&self, f: impl FnOnce(T) + 'static) -> Reply<T> {
        Reply::new(f)
    }

    /// Keeps the loop alive as long as the guard exists, even if the hub itself has nothing to do.
    pub fn keep_alive(&self) -> KeepAlive {
        KeepAlive::new()
    }

    /// Creates a watcher that is due once after a time, or repeatedly if `repeat` is not zero.
    pub fn timer(&self, after: Duration, repeat: Duration) -> Watcher {
        Watcher::new(WatchKind::Timer, after, repeat)
    }

    /// Creates a watcher that is due at the beginning of every iteration, before the callbacks.
    pub fn prepare(&self) -> Watcher {
        Watcher::new(WatchKind::Prepare, Duration::ZERO, Duration::ZERO)
    }

    /// Creates a watcher that is due after every poll, before timers and sources.
    pub fn check(&self) -> Watcher {
        Watcher::new(WatchKind::Check, Duration::ZERO, Duration::ZERO)
    }

    /// Creates a watcher that is due in every otherwise idle iteration.
    pub fn watch_idle(&self) -> Watcher {
        Watcher::new(WatchKind::Idle, Duration::ZERO, Duration::ZERO)
    }

    /// Creates a watcher that is due whenever a descriptor may be read or written, as long as it
    /// may.
    ///
    /// The watcher keeps the descriptor: give it a duplicate, or a shared object such as an `Rc`.
    /// A descriptor that the system cannot poll, a regular file's for one, is always ready, as with
    /// [`wait_read`](crate::wait_read): the watcher is due in each iteration of the loop.
    ///
    /// # Panics
    ///
    /// When neither reading nor writing is asked for.
    #[cfg(unix)]
    pub fn io(&self, fd: impl AsFd + 'static, readable: bool, writable: bool) -> Watcher {
        Watcher::with_io(FdWatch::new(Box::new(fd), readable, writable))
    }

    /// Returns the time for which greenlets and callbacks may run before the loop polls. The
    /// default is 5 ms.
    pub fn switch_interval(&self) -> Duration {
        current::core().switch_interval()
    }

    /// Sets the time for which greenlets and callbacks may run before the loop polls.
    ///
    /// The loop checks the time between two callbacks: after every 50 where they are short, after
    /// each where they take long. An operation on a ready socket checks it too, and lets the loop
    /// poll once the interval is over. The new value takes effect at the next poll.
    pub fn set_switch_interval(&self, interval: Duration) {
        current::core().set_switch_interval(interval);
    }

    /// Returns all suspended greenlets with the calls that they wait in, as
    /// [`LoopExit`](crate::LoopExit) would report them.
    pub fn waiting(&self) -> Vec<Waiting> {
        current::core().waiting()
    }

    /// Returns the main greenlet of this thread, for throwing into it from elsewhere: gevent's
    /// `hub.parent`.
    pub fn main(&self) -> AnyGreenlet {
        AnyGreenlet::from(current::core().main())
    }

    /// Returns the greenlets that were started and have not ended, except the main one.
    pub fn greenlets(&self) -> Vec<AnyGreenlet> {
        current::core().greenlets()
    }

    /// Returns the memory of idle stacks to the system.
    pub fn trim_stacks(&self) {
        current::core().trim_stacks();
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}
