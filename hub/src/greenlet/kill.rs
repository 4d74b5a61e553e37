//! Kills: an exception raised at the target's blocking call, delivered in order through the queue.

use std::fmt;

use crate::error::TimedOut;
use crate::exception::{Exception, GreenletExit};
use crate::scheduler::current;
use crate::scheduler::{Core, Item};
use crate::task::{AnyGreenlet, Kind, State, TaskRef, WaitToken};
use crate::wait::collections::IntoGreenlets;
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;
use crate::wait::multi::iwait;

/// A kill: the exception, and the limit on the wait for the end of the killed greenlets.
///
/// A `Kill` replaces the arguments of gevent's `kill(exception, block, timeout)`. Any error
/// converts into a kill that waits without a limit, so `kill_with("a reason")` needs no `Kill`. The
/// default is a kill with [`GreenletExit`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::Kill;
///
/// let patient = Kill::new("shutting down").timeout(Duration::from_secs(5));
/// assert_eq!(patient.exception().to_string(), "shutting down");
/// assert_eq!(Kill::default().nowait().limit(), None);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a kill does nothing until a greenlet or a group is killed with it"]
pub struct Kill {
    exception: Exception,
    /// The limit on the wait; `None` means no wait.
    limit: Option<Limit>,
}

impl Kill {
    /// Creates a kill with an exception, which waits without a limit.
    pub fn new<E: fmt::Debug + fmt::Display + 'static>(error: E) -> Self {
        Kill { exception: Exception::new(error), limit: Some(Limit::Never) }
    }

    /// Sets the limit on the wait for the end.
    pub fn timeout(mut self, limit: impl Into<Limit>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// Sets the kill not to wait: gevent's `block=False`.
    pub fn nowait(mut self) -> Self {
        self.limit = None;
        self
    }

    /// Returns the exception.
    #[must_use]
    pub fn exception(&self) -> &Exception {
        &self.exception
    }

    /// Returns the limit on the wait; `None` if the caller does not wait.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.limit
    }
}

impl Default for Kill {
    fn default() -> Self {
        Kill::new(GreenletExit)
    }
}

impl<E: fmt::Debug + fmt::Display + 'static> From<E> for Kill {
    fn from(error: E) -> Self {
        Kill::new(error)
    }
}

impl AnyGreenlet {
    /// Kills the greenlet with [`GreenletExit`] and waits until it has ended.
    ///
    /// * Not started or not yet run: it ends at once, and its body never runs. The call does not
    ///   wait.
    /// * Ended: nothing happens.
    /// * Waiting: the exception is raised at its blocking call, in a turn of the queue. Everything
    ///   queued ahead of the exception happens first, so the target may get one more turn. Its
    ///   destructors run; they may wait, and are not interrupted by further kills. If the target
    ///   catches the exception and continues, this call waits for its natural end.
    /// * The caller itself: the exception is raised out of this call.
    ///
    /// Never returns the target's error. The main greenlet only gets the exception; its end cannot
    /// be waited for.
    ///
    /// # Cancellation
    ///
    /// The kill stays in force when the caller is interrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::{sleep, spawn, yield_now};
    ///
    /// let g = spawn(|| sleep(Duration::from_secs(10)));
    /// yield_now();
    /// g.kill();
    /// assert!(g.dead() && g.successful());
    /// ```
    pub fn kill(&self) {
        self.kill_with(Kill::default());
    }

    /// Kills the greenlet with [`GreenletExit`] without waiting: gevent's `block=False`. Does not
    /// let other greenlets run.
    pub fn kill_nowait(&self) {
        self.kill_with(Kill::default().nowait());
    }

    /// Kills the greenlet with any exception, and waits within the limit of `kill`. Returns `true`
    /// if the greenlet has ended.
    ///
    /// The exception becomes the greenlet's failure unless it is caught. It is delivered whatever
    /// the limit is: the limit covers only the greenlet's behaviour after it.
    ///
    /// # Cancellation
    ///
    /// The kill stays in force when the caller is interrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::{Kill, sleep, spawn, yield_now};
    ///
    /// let g = spawn(|| sleep(Duration::from_secs(10)));
    /// yield_now();
    /// assert!(!g.kill_with(Kill::new("a reason").nowait()));
    /// assert!(g.kill_with(Kill::default().timeout(Duration::from_secs(1))));
    /// assert_eq!(g.get().unwrap_err().to_string(), "a reason");
    /// ```
    pub fn kill_with(&self, kill: impl Into<Kill>) -> bool {
        let Kill { exception, limit } = kill.into();
        // Destructors call this. A greenlet of a hub that has ended cannot be reached.
        let Some(core) = current::try_core() else { return self.ready() };
        if !self.needs_throw(&core, &exception) {
            return self.ready();
        }
        let record = vec![self.record.clone()];
        match limit {
            Some(limit) if self.task().kind != Kind::Main || self.is_running(&core) => {
                let token = core.token();
                core.push(Item::throw(record, exception, Some(token)));
                core.park(token, "Greenlet::kill");
                // A greenlet that killed itself is unwinding here, and the kill would wait for the
                // end of that unwinding.
                !self.is_running(&core) && self.join_for(limit, "Greenlet::kill")
            }
            _ => {
                core.push(Item::throw(record, exception, None));
                false
            }
        }
    }

    /// Ends a greenlet that was not started, so that it never starts.
    pub(crate) fn end_unless_started(&self) {
        if self.task().state.get() == State::Created {
            current::core().kill_unrun(&self.record, Exception::new(GreenletExit));
        }
    }

    fn is_running(&self, core: &Core) -> bool {
        !core.in_hub() && self.is(&AnyGreenlet { record: core.current() })
    }

    /// Ends a greenlet that never ran at once. Returns `true` if an exception must be thrown into
    /// the greenlet.
    pub(crate) fn needs_throw(&self, core: &Core, exception: &Exception) -> bool {
        match self.task().state.get() {
            State::Ready => false,
            // An abandoned greenlet cannot be reached.
            _ if self.task().of_another(core.number()) => false,
            State::Created | State::Started if self.task().kind == Kind::Greenlet => {
                core.kill_unrun(&self.record, exception.clone());
                false
            }
            _ => true,
        }
    }

    /// Raises an exception in the greenlet at once, ahead of everything that is queued: gevent's
    /// `throw`.
    ///
    /// A greenlet that has not run ends with the exception. Called from a greenlet, the caller
    /// continues when the target waits again or has ended. Called in the hub, the target runs as
    /// soon as the callback returns. If the target is the caller, the exception is raised out of
    /// this call.
    ///
    /// # Cancellation
    ///
    /// The exception stays in force when the caller is interrupted.
    pub fn throw<E: fmt::Debug + fmt::Display + 'static>(&self, error: E) {
        let core = current::core();
        let exception = Exception::new(error);
        if self.ready() || self.task().of_another(core.number()) {
            return;
        }
        if matches!(self.task().state.get(), State::Created | State::Started) {
            core.kill_unrun(&self.record, exception);
            return;
        }
        if self.is_running(&core) {
            core.raise(exception);
        }
        if let Some(token) = core.throw_first(self.record.clone(), exception) {
            core.park(token, "Greenlet::throw");
        }
    }
}

/// Kills every greenlet with [`GreenletExit`] and waits until all have ended.
///
/// Greenlets that never ran end at once. The exception is thrown into the others one after another
/// in a single turn of the queue; each runs its handlers up to its next wait before the next one is
/// interrupted. The caller may be among the greenlets: then the exception is raised out of this
/// call.
///
/// [`IntoGreenlets`] lists the possible arguments: a reference to a `Vec` or an array, an iterator,
/// or a tuple of references to greenlets of different result types.
///
/// # Cancellation
///
/// The kills stay in force when the caller is interrupted.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{killall, sleep, spawn, yield_now};
///
/// let greenlets: Vec<_> = (0..3).map(|_| spawn(|| sleep(Duration::from_secs(10)))).collect();
/// let counter = spawn(|| (0..).inspect(|_| sleep(Duration::from_secs(10))).nth(5));
/// yield_now();
/// killall(&greenlets);
/// assert!(greenlets.iter().all(|g| g.dead()));
/// killall((&greenlets[0], &counter));
/// assert!(counter.dead());
/// ```
pub fn killall<S: IntoGreenlets<Kind>, Kind>(greenlets: S) {
    // A wait without a limit does not time out.
    let _ = killall_with(greenlets, Kill::default());
}

/// Kills every greenlet with [`GreenletExit`] without waiting. Does not let other greenlets run.
pub fn killall_nowait<S: IntoGreenlets<Kind>, Kind>(greenlets: S) {
    let _ = killall_with(greenlets, Kill::default().nowait());
}

/// Kills every greenlet with any exception, and waits within the limit of `kill`; see [`killall`].
///
/// # Errors
///
/// [`TimedOut`] when some greenlets have not ended by the limit. The kills stay in force.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{Kill, TimedOut, killall_with, sleep, spawn, yield_now};
///
/// let greenlets: Vec<_> = (0..3).map(|_| spawn(|| sleep(Duration::from_secs(10)))).collect();
/// yield_now();
/// killall_with(&greenlets, Kill::new("over").timeout(Duration::from_secs(1)))?;
/// assert!(greenlets.iter().all(|g| g.get().unwrap_err().to_string() == "over"));
/// # Ok::<(), TimedOut>(())
/// ```
pub fn killall_with<S, Kind>(greenlets: S, kill: impl Into<Kill>) -> Result<(), TimedOut>
where
    S: IntoGreenlets<Kind>,
{
    let Kill { exception, limit } = kill.into();
    // An iterator may run any code, which must not run between two kills.
    let greenlets: Vec<_> = greenlets.into_greenlets().collect();
    let core = current::core();
    let mut living: Vec<TaskRef> = Vec::new();
    for greenlet in &greenlets {
        let greenlet = greenlet.as_ref();
        if greenlet.needs_throw(&core, &exception) {
            living.push(greenlet.record.clone());
        }
    }
    if living.is_empty() {
        return Ok(());
    }
    let Some(limit) = limit else {
        core.push(Item::throw(living, exception, None));
        return Ok(());
    };
    let limit = limit.fixed();
    let deadline = limit.deadline(&core);
    let token: WaitToken = core.token();
    core.push(Item::throw(living.clone(), exception, Some(token)));
    {
        let _timer = TimerGuard::limit(&core, token, deadline);
        core.park(token, "killall");
    }
    let mut survivors: Vec<AnyGreenlet> = living.iter().map(AnyGreenlet::from).collect();
    survivors.retain(|greenlet| !(greenlet.ready() || greenlet.is_main() || greenlet.is_running(&core)));
    // All are linked before the first of them ends: the earlier links of each are called first.
    let ended = iwait(&survivors).timeout(limit).count();
    if ended < survivors.len() { Err(TimedOut) } else { Ok(()) }
}

/// Kills every unfinished greenlet of this hub except the main one. Returns their number.
pub(crate) fn kill_everything(core: &Core, limit: Limit) -> Result<usize, TimedOut> {
    let everything: Vec<AnyGreenlet> = core.greenlets();
    killall_with(&everything, Kill::default().timeout(limit))?;
    Ok(everything.len())
}
