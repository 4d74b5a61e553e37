//! Timeouts: a limit on the time of a section of code, whatever objects it waits for.
//!
//! A [`Timeout`] is armed for the greenlet that starts it. When its time is up and that greenlet is
//! waiting, the wait raises. A timeout never interrupts code that does not wait, and nothing
//! arrives after it is closed.
//!
//! A scope catches its own timeout and no other: identity decides, as in gevent.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::error::TimedOut;
use crate::exception::Exception;
use crate::scheduler::current;
use crate::scheduler::unwind::{Escape, guard, guard_drop};
use crate::scheduler::{Core, TimerAction};
use crate::task::{Interrupt, Kind, ScopeTimeout, TaskRef, WeakTaskRef};
use crate::timers::TimerId;
use crate::wait::limit::Limit;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not armed; may be started.
    Idle,
    /// Armed: its timer runs.
    Pending,
    /// Due: its interrupt is queued, or deferred until its owner's unwinding ends.
    Fired,
    /// Closed permanently.
    Closed,
}

/// The greenlet that a timeout is armed for.
enum Owner {
    /// A greenlet without a reference: if it has ended, the timeout has no target.
    Greenlet(WeakTaskRef),
    /// A greenlet with a reference: an end before its timeout is an error, which is reported.
    Raw(TaskRef),
}

/// The state of a timeout, shared between its handles, its timer and its interrupt.
struct TimeoutState {
    limit: Cell<Limit>,
    exception: Option<Exception>,
    silent: bool,
    keeps: Cell<bool>,
    state: Cell<State>,
    timer: Cell<Option<TimerId>>,
    owner: Cell<Option<Owner>>,
    /// `true` if its interrupt was caught by code that did not read it.
    swallowed: Cell<bool>,
    /// The value that [`ScopeTimeout::began_after`] returns.
    began_after: Cell<Option<u64>>,
    /// The number of handles that keep it armed: every [`Timeout`] except the one inside its own
    /// exception.
    handles: Cell<usize>,
}

impl TimeoutState {
    fn new(limit: Limit) -> Self {
        TimeoutState {
            limit: Cell::new(limit),
            exception: None,
            silent: false,
            keeps: Cell::new(true),
            state: Cell::new(State::Idle),
            timer: Cell::new(None),
            owner: Cell::new(None),
            swallowed: Cell::new(false),
            began_after: Cell::new(None),
            handles: Cell::new(1),
        }
    }

    /// Returns an idle state with a limit, in the allocation of the last one.
    #[inline(always)]
    fn from_spare(core: &Core, limit: Limit) -> Rc<Self> {
        let spare = core.take_spare_timeout();
        let Some(state) = spare.and_then(|spare| spare.downcast::<TimeoutState>().ok()) else {
            return Rc::new(TimeoutState::new(limit));
        };
        state.limit.set(limit);
        state.state.set(State::Idle);
        state.began_after.set(None);
        state.swallowed.set(false);
        state
    }

    /// Keeps the allocation of a state of [`from_spare`](TimeoutState::from_spare) that is not armed
    /// for the next one, unless it is shared.
    #[inline(always)]
    fn into_spare(mut self: Rc<Self>) {
        if Rc::get_mut(&mut self).is_none() {
            return;
        }
        if let Some(core) = current::try_core() {
            // The replaced value is not armed either, and holds no user value.
            core.keep_spare_timeout(self);
        }
    }

    #[inline(always)]
    fn start(self: &Rc<Self>, core: &Core) {
        if cfg!(panic = "abort") {
            panic!("a scope timeout interrupts by unwinding: build with panic = \"unwind\"");
        }
        if self.state.get() != State::Idle {
            self.check_start();
        }
        let Some(deadline) = self.limit.get().deadline(core) else {
            self.state.set(State::Idle);
            return;
        };
        let task = core.running();
        let owner = match task.kind {
            Kind::Raw => Owner::Raw(task.record()),
            _ => Owner::Greenlet(task.downgrade()),
        };
        // A fired timeout may still have its last owner.
        let last = self.owner.replace(Some(owner));
        self.state.set(State::Pending);
        let timer = core.start_timer(deadline, || TimerAction::Timeout(self.clone()), self.keeps.get());
        self.timer.set(Some(timer));
        drop(last);
    }

    /// Panics if a timeout that is not idle must not be started.
    #[cold]
    fn check_start(&self) {
        match self.state.get() {
            State::Pending => panic!("the timeout is already pending: cancel it before starting it again"),
            State::Closed => panic!("the timeout is closed and cannot be started again"),
            State::Idle | State::Fired => {}
        }
    }

    #[inline(always)]
    fn disarm(&self, to: State) {
        if self.state.get() != State::Closed {
            self.state.set(to);
        }
        let owner = self.owner.take();
        if let (Some(timer), Some(core)) = (self.timer.take(), current::try_core()) {
            core.cancel_timer(timer);
        }
        // Last, since this may be the last reference to a greenlet with user values.
        drop(owner);
    }

    /// Begins a scope: arms the timeout if it is not pending.
    #[inline(always)]
    fn enter(self: &Rc<Self>, core: &Core) {
        // Nothing is interrupted in the hub, where the running greenlet is main, which waits for
        // another event.
        if self.state.get() != State::Pending && !core.in_hub() {
            self.start(core);
            if self.exception.is_none() {
                self.began_after.set(core.unwinding_since());
            }
        }
    }

    /// Ends a scope: closes the timeout if it has a limit.
    #[inline(always)]
    fn leave(&self) {
        if !matches!(self.limit.get(), Limit::Never) {
            self.disarm(State::Closed);
        }
    }

    /// Returns the result of a scope that has ended.
    fn outcome<R>(self: &Rc<Self>, result: Result<R, Escape>) -> Result<R, TimedOut> {
        match result {
            Ok(value) if self.swallowed.take() => {
                guard_drop(value);
                match &self.exception {
                    Some(exception) => current::core().raise(exception.clone()),
                    None => Err(TimedOut),
                }
            }
            Ok(value) => Ok(value),
            Err(Escape::Exception(exception)) if self.is_in(&exception) => Err(TimedOut),
            Err(escape) => escape.resume(),
        }
    }

    /// Begins the scope of a new timeout.
    // Not inlined, and not generic: one call, and little code at each place with a timeout.
    #[inline(never)]
    fn begin(limit: Limit) -> Rc<Self> {
        let core = current::core();
        let state = Self::from_spare(&core, limit);
        state.enter(&core);
        state
    }

    /// Ends the scope of a timeout of [`begin`](TimeoutState::begin) that has interrupted nothing.
    #[inline(never)]
    fn finish(self: Rc<Self>) {
        self.leave();
        self.into_spare();
    }

    /// Returns `true` if this timeout has raised the exception.
    fn is_in(self: &Rc<Self>, exception: &Exception) -> bool {
        exception.downcast_ref::<Timeout>().is_some_and(|other| Rc::ptr_eq(self, &other.state))
    }
}

impl ScopeTimeout for TimeoutState {
    fn expire(&self) -> bool {
        if self.state.get() != State::Pending {
            return false;
        }
        self.timer.set(None);
        self.state.set(State::Fired);
        true
    }

    fn fire(self: Rc<Self>) -> Option<(TaskRef, Interrupt)> {
        if self.state.get() != State::Fired {
            return None;
        }
        let owner = match self.owner.take()? {
            Owner::Greenlet(weak) => weak.upgrade()?,
            Owner::Raw(record) => record,
        };
        let exception = match &self.exception {
            Some(exception) => exception.clone(),
            None => Exception::new(Timeout { state: self.clone(), keeps_armed: false }),
        };
        Some((owner, Interrupt { exception, timeout: Some(self) }))
    }

    /// The timeout may be started again after this.
    fn claim(&self) -> bool {
        let fired = self.state.get() == State::Fired;
        if fired {
            self.state.set(State::Idle);
            self.swallowed.set(false);
        }
        fired
    }

    fn unclaim(&self) {
        if self.state.get() == State::Idle {
            self.state.set(State::Fired);
        }
    }

    fn swallowed(&self) {
        self.swallowed.set(true);
    }

    fn began_after(&self) -> Option<u64> {
        self.began_after.get()
    }
}

/// A limit on the time of a section of code: gevent's `Timeout`.
///
/// A timeout is mostly used through [`scope`](Timeout::scope) or [`with_timeout`]. A timeout that
/// is armed by hand with [`start`](Timeout::start) is raised at the greenlet's blocking call as an
/// [`Exception`] that holds a clone of the `Timeout`. Catch it with [`catch`](crate::catch), and
/// compare it with [`is`](Timeout::is).
///
/// Clones are the same timeout. When the last clone is dropped the timeout is cancelled, since no
/// handle is left that could cancel it: keep the value for as long as the limit must last. gevent's
/// timeout stays armed until it is closed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{Timeout, catch, sleep};
///
/// let limit = Timeout::new(Duration::from_millis(1));
/// limit.start();
/// let caught = catch::<Timeout, _>(|| sleep(Duration::from_secs(10))).unwrap_err();
/// assert!(caught.is(&limit));
/// assert!(!limit.pending());
/// ```
pub struct Timeout {
    state: Rc<TimeoutState>,
    /// `true` if this counts as one of the handles. The handle inside the exception does not count,
    /// so that an exception that waits for delivery does not keep its own timeout armed.
    keeps_armed: bool,
}

impl Clone for Timeout {
    fn clone(&self) -> Self {
        let handles = &self.state.handles;
        handles.set(handles.get() + 1);
        Timeout { state: self.state.clone(), keeps_armed: true }
    }
}

impl Drop for Timeout {
    #[inline]
    fn drop(&mut self) {
        let left = self.state.handles.get() - usize::from(self.keeps_armed);
        self.state.handles.set(left);
        if left == 0 && matches!(self.state.state.get(), State::Pending | State::Fired) {
            self.cancel();
        }
    }
}

impl Timeout {
    fn with_limit(limit: Limit) -> Self {
        Timeout { keeps_armed: true, state: Rc::new(TimeoutState::new(limit)) }
    }

    /// Creates a timeout that fires `after` its start. Zero fires at the first turn of the loop
    /// that polls.
    pub fn new(after: Duration) -> Self {
        Self::with_limit(Limit::After(after))
    }

    /// Creates a timeout that fires at a point in time. A past time fires like zero.
    pub fn at(deadline: Instant) -> Self {
        Self::with_limit(Limit::At(deadline))
    }

    /// Creates a timeout that never fires. Starting it does nothing and costs no timer.
    pub fn never() -> Self {
        Self::with_limit(Limit::Never)
    }

    /// Creates a timeout: `new` for `Some`, `never` for `None`.
    pub fn maybe(after: Option<Duration>) -> Self {
        Self::with_limit(after.into())
    }

    /// Returns the interrupt of an exception that was delivered and must be delivered once more.
    pub(crate) fn throw_again(exception: Exception) -> Interrupt {
        let timeout = exception.downcast_ref::<Timeout>().map(|timeout| timeout.state.clone());
        Interrupt { exception, timeout: timeout.map(|state| -> Rc<dyn ScopeTimeout> { state }) }.unclaimed()
    }

    fn edit(mut self, f: impl FnOnce(&mut TimeoutState)) -> Self {
        f(Rc::get_mut(&mut self.state).expect("a timeout is set up before it is shared or started"));
        self
    }

    /// Sets an error that is raised instead of the timeout itself. [`scope`](Timeout::scope) does
    /// not catch it.
    ///
    /// # Panics
    ///
    /// When the timeout was cloned before.
    #[must_use]
    pub fn exception<E: fmt::Debug + fmt::Display + 'static>(self, error: E) -> Self {
        self.edit(|state| state.exception = Some(Exception::new(error)))
    }

    /// Marks the timeout as one that its scope is expected to catch. This changes only its text.
    ///
    /// # Panics
    ///
    /// When the timeout was cloned before.
    #[must_use]
    pub fn silent(self) -> Self {
        self.edit(|state| state.silent = true)
    }

    /// Sets whether the running timeout keeps the loop alive. The default is `true`.
    #[must_use]
    pub fn keep_alive(self, keeps: bool) -> Self {
        self.state.keeps.set(keeps);
        self
    }

    /// Arms the timeout for the running greenlet, until it fires or is cancelled, closed or
    /// dropped. Does not let other greenlets run.
    ///
    /// # Panics
    ///
    /// When it is pending already or closed, or in a build with `panic = "abort"`, in which nothing
    /// can be interrupted.
    pub fn start(&self) {
        self.state.start(&current::core());
    }

    /// Disarms the timeout; it may be started again. Does nothing if it is not armed.
    #[inline(never)]
    pub fn cancel(&self) {
        self.state.disarm(State::Idle);
    }

    /// Disarms the timeout permanently.
    #[inline(never)]
    pub fn close(&self) {
        self.state.disarm(State::Closed);
    }

    /// Returns `true` if it is armed and its time is not up.
    pub fn pending(&self) -> bool {
        self.state.state.get() == State::Pending
    }

    /// Returns the limit, unless the timeout never fires or was given as a point in time.
    pub fn duration(&self) -> Option<Duration> {
        match self.state.limit.get() {
            Limit::After(after) => Some(after),
            Limit::Never | Limit::At(_) => None,
        }
    }

    /// Returns `true` if both are the same timeout.
    pub fn is(&self, other: &Timeout) -> bool {
        Rc::ptr_eq(&self.state, &other.state)
    }

    /// Runs `f` under this timeout: starts it if it is not pending, and closes it afterwards.
    ///
    /// When the time is up while `f` waits, `f` is unwound and the scope returns the error. An
    /// [`exception`] set on the timeout continues to unwind, and so does any other exception that
    /// is raised in `f`: another timeout, a kill, a panic.
    ///
    /// Code in `f` that catches every panic also catches this timeout without recognising it. The
    /// timeout is then raised once more, at the next wait in `f`. If `f` still returns, its value
    /// is dropped, and the scope returns the error or raises the timeout's own exception. A
    /// [`catch`](crate::catch) of the timeout in `f` is a decision: then the value counts.
    ///
    /// [`exception`]: Timeout::exception
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when this timeout, and no other, ended `f`.
    ///
    /// # Panics
    ///
    /// When the timeout is closed, that is, on a second scope.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::{Timeout, sleep};
    ///
    /// let late = Timeout::new(Duration::from_millis(1)).scope(|| sleep(Duration::from_secs(10)));
    /// assert!(late.is_err());
    /// ```
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> Result<R, TimedOut> {
        self.state.enter(&current::core());
        let result = guard(f);
        self.state.leave();
        self.state.outcome(result)
    }
}

impl fmt::Display for Timeout {
    /// `1 second`, `2 seconds`, `1 second (silent)`, `5 seconds: reason`, or nothing for a timeout
    /// that never fires.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state.limit.get() {
            Limit::Never => return Ok(()),
            Limit::At(_) => f.write_str("deadline")?,
            Limit::After(after) => {
                let plural = if after == Duration::from_secs(1) { "" } else { "s" };
                write!(f, "{} second{plural}", after.as_secs_f64())?;
            }
        }
        match &self.state.exception {
            Some(exception) => write!(f, ": {exception}"),
            None if self.state.silent => f.write_str(" (silent)"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("limit", &self.state.limit.get())
            .field("state", &self.state.state.get())
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Timeout {}

/// Runs `f` and unwinds it when it has not returned by the limit.
///
/// The limit is a `Duration`, an `Instant`, or an `Option<Duration>`, where `None` means no limit.
/// gevent's `timeout_value` is `unwrap_or`. Only this timeout is caught; any other passes through.
///
/// # Errors
///
/// [`TimedOut`] when the limit was reached first.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use ramie::{sleep, with_timeout};
///
/// assert_eq!(with_timeout(Duration::from_secs(10), || 5), Ok(5));
/// let late = with_timeout(Duration::from_millis(1), || {
///     sleep(Duration::from_secs(10));
///     5
/// });
/// assert_eq!(late.unwrap_or(7), 7);
///
/// let deadline = Instant::now() + Duration::from_millis(2);
/// assert!(with_timeout(deadline, || sleep(Duration::from_secs(10))).is_err());
/// ```
pub fn with_timeout<R>(limit: impl Into<Limit>, f: impl FnOnce() -> R) -> Result<R, TimedOut> {
    let timeout = TimeoutState::begin(limit.into());
    match guard(f) {
        Ok(value) if !timeout.swallowed.get() => {
            timeout.finish();
            Ok(value)
        }
        result => {
            timeout.leave();
            timeout.outcome(result)
        }
    }
}
