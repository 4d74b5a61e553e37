//! Greenlets: making them, starting them, and asking how they ended.

use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use crate::error::GetError;
use crate::exception::Failure;
use crate::scheduler::Expiry;
use crate::scheduler::current;
use crate::scheduler::unwind::guard;
use crate::task::{AnyGreenlet, Kind, State, Task, TaskRef, Verdict};
use crate::task::{Lane, LinkId, Notified, Target};
use crate::wait::guard::{LinkGuard, TimerGuard};
use crate::wait::limit::Limit;
use crate::wait::waitable::Waitable;

/// A greenlet whose body returns a `T`.
///
/// Clones are the same greenlet. Everything that does not depend on the type of the result is found on
/// [`AnyGreenlet`], to which this dereferences.
///
/// # Examples
///
/// ```
/// let g = ramie_hub::spawn(|| 6 * 7);
/// assert!(g.started() && !g.ready());
/// assert_eq!(g.get().unwrap(), 42);
/// assert!(g.ready() && g.successful());
/// ```
pub struct Greenlet<T> {
    any: AnyGreenlet,
    /// Invariant: the record is looked into as exactly this type.
    value: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Greenlet<T> {
    fn clone(&self) -> Self {
        Greenlet { any: self.any.clone(), value: PhantomData }
    }
}

impl<T> Deref for Greenlet<T> {
    type Target = AnyGreenlet;

    fn deref(&self) -> &AnyGreenlet {
        &self.any
    }
}

/// The running greenlet; the thread's own stack is its main greenlet.
///
/// In a callback that the hub runs, it is the main greenlet, on whose stack the hub runs.
pub fn getcurrent() -> AnyGreenlet {
    AnyGreenlet { record: current::core().current() }
}

impl AnyGreenlet {
    pub(crate) fn task(&self) -> &Task {
        &self.record.task
    }

    // --- state --------------------------------------------------------------------------------------------------

    /// Whether it was started and has no result yet: gevent's truth value.
    pub fn started(&self) -> bool {
        self.task().started()
    }

    /// Whether it has a result, good or bad.
    pub fn ready(&self) -> bool {
        self.task().ready()
    }

    /// Whether it has ended and will never run again. The running greenlet is not dead to itself.
    pub fn dead(&self) -> bool {
        self.task().dead.get()
    }

    /// Whether it ended well: it returned a value, or left by [`GreenletExit`](crate::GreenletExit).
    pub fn successful(&self) -> bool {
        self.task().successful()
    }

    /// The failure, once it has ended with one. `None` also for a plain kill, which is a good end.
    pub fn exception(&self) -> Option<Failure> {
        self.task().failure.get().filter(|failure| !failure.is_exit()).cloned()
    }

    /// How it ended without a value, including a plain kill.
    pub(crate) fn ended_by(&self) -> Option<Failure> {
        self.task().failure.get().cloned()
    }

    /// Whether it is the thread's own stack.
    pub fn is_main(&self) -> bool {
        self.task().kind == Kind::Main
    }

    /// Whether it was made by [`spawn_raw`](crate::spawn_raw) or runs a link.
    pub fn is_raw(&self) -> bool {
        self.task().kind == Kind::Raw
    }

    // --- identity -----------------------------------------------------------------------------------------------

    /// The smallest number that no living greenlet of this hub has, given when first asked for.
    pub fn minimal_ident(&self) -> u32 {
        current::core().ident(self.task())
    }

    /// The name: the one it was given, else one made of its [number](AnyGreenlet::minimal_ident).
    pub fn name(&self) -> String {
        current::core().name(&self.record)
    }

    /// Names the greenlet.
    pub fn set_name(&self, name: impl Into<Rc<str>>) {
        self.task().overflow.set_name(&name.into());
    }

    /// The greenlet that made it, while that one is still in use.
    pub fn spawning_greenlet(&self) -> Option<AnyGreenlet> {
        let record = self.task().spawner.as_ref().and_then(Weak::upgrade)?;
        Some(AnyGreenlet { record })
    }

    /// Where in the program it was made; of the main greenlet, where its hub was.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.task().site
    }

    /// The greenlet with its result's type, when that is `T`.
    pub fn downcast<T: 'static>(&self) -> Option<Greenlet<T>> {
        self.record
            .body
            .value()
            .is::<RefCell<Option<T>>>()
            .then(|| Greenlet::from_record(self.record.clone()))
    }

    // --- starting -----------------------------------------------------------------------------------------------

    /// Queues the start. Does nothing when it was started, killed or has ended. Does not let others run.
    pub fn start(&self) {
        if self.task().state.get() == State::Created && !self.dead() {
            let core = current::core();
            let token = core.admit(&self.record);
            core.push_resume(token);
        }
    }

    /// Starts it after a time. Does nothing when it was started, killed or has ended.
    pub fn start_later(&self, after: Duration) {
        if self.task().state.get() == State::Created && !self.dead() {
            let core = current::core();
            let token = core.admit(&self.record);
            if self.dead() {
                // A spawn callback has killed it.
                return;
            }
            let timer = core.start_timer(core.deadline(after), || Expiry::Wake(token), true);
            self.task().start_timer.set(Some(timer));
        }
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Waits until it has ended, well or not. Returns without letting others run when it has already.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the target as it is.
    pub fn join(&self) {
        self.join_for(Limit::Never, "Greenlet::join");
    }

    /// Waits at most that long; says whether it has ended.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_for(Limit::After(timeout), "Greenlet::join")
    }

    /// Waits at most until then; says whether it has ended.
    pub fn join_deadline(&self, deadline: Instant) -> bool {
        self.join_for(Limit::At(deadline), "Greenlet::join")
    }

    pub(crate) fn join_for(&self, limit: Limit, reason: &'static str) -> bool {
        self.ready() || self.join_until(limit.deadline(&current::core()), reason)
    }

    /// Waits at most until the hub's clock shows `deadline`; says whether it has ended.
    pub(crate) fn join_until(&self, deadline: Option<u64>, reason: &'static str) -> bool {
        if self.ready() {
            return true;
        }
        let core = current::core();
        let token = core.token();
        let id = core.new_link();
        let links = &self.task().links;
        links.add_waiter(Lane::First, id, token);
        let place = LinkGuard::new(links, id, false);
        let timer = TimerGuard::limit(&core, token, deadline);
        core.park_with((timer, place), token, reason) == Verdict::Woken || self.ready()
    }

    // --- links --------------------------------------------------------------------------------------------------

    /// Calls `f` in a greenlet of its own when this one has ended. Does not let others run.
    ///
    /// Links, raw links and waiting greenlets are served in the order in which they came. A link may wait; the next
    /// in line is served meanwhile. On a greenlet that has ended already, `f` is called in a later turn.
    ///
    /// # Examples
    ///
    /// ```
    /// let g = ramie_hub::spawn(|| 5);
    /// g.link(|g| assert_eq!(g.get().unwrap(), 5));
    /// g.join();
    /// ```
    #[track_caller]
    pub fn link(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        self.link_if(|_| true, f)
    }

    /// Like [`link`](AnyGreenlet::link), if it [ends well](AnyGreenlet::successful).
    pub fn link_value(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        self.link_if(AnyGreenlet::successful, f)
    }

    /// Like [`link`](AnyGreenlet::link), if it does not [end well](AnyGreenlet::successful).
    pub fn link_exception(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        self.link_if(|greenlet| !greenlet.successful(), f)
    }

    fn link_if(&self, wanted: fn(&AnyGreenlet) -> bool, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        // The entry holds no count on its own greenlet: a cycle would keep a forgotten one for ever.
        let weak = Rc::downgrade(&self.record);
        self.add_link(Target::Spawn(Box::new(move || {
            if let Some(record) = weak.upgrade() {
                let greenlet = AnyGreenlet { record };
                if wanted(&greenlet) {
                    f(&greenlet);
                }
            }
        })))
    }

    /// Calls `f` in the hub when this greenlet has ended. `f` must not wait.
    pub fn rawlink(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        let weak = Rc::downgrade(&self.record);
        self.add_link(Target::Call(Box::new(move || {
            if let Some(record) = weak.upgrade() {
                f(&AnyGreenlet { record });
            }
        })))
    }

    fn add_link(&self, target: Target) -> LinkId {
        let core = current::core();
        let id = core.new_link();
        self.task().links.add(Lane::First, id, target);
        if self.ready() {
            core.notify(Notified::Greenlet(self.record.clone()));
        }
        id
    }

    /// Removes a link; also one whose turn has not come in a notification that is under way. A link that is gone
    /// is no error.
    pub fn unlink(&self, id: LinkId) {
        self.task().links.remove(id);
    }

    /// Removes every link. Greenlets that wait for this one are woken only by what else they wait for.
    pub fn unlink_all(&self) {
        self.task().links.clear();
    }

    /// How many links there are, waiting greenlets included: gevent's `has_links`.
    pub fn has_links(&self) -> usize {
        self.task().links.len()
    }

    // --- scope --------------------------------------------------------------------------------------------------

    /// Runs `f` and sees to it that this greenlet has ended when it returns: gevent's `with greenlet:`.
    ///
    /// When `f` returns, the greenlet is joined. When `f` is left by an exception or a panic, the greenlet is killed
    /// with it, and joined, before the unwinding goes on.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_hub::{spawn, yield_now};
    ///
    /// let g = spawn(|| yield_now());
    /// let result = g.scope(|_| 5);
    /// assert_eq!(result, 5);
    /// assert!(g.dead());
    /// ```
    pub fn scope<R>(&self, f: impl FnOnce(&AnyGreenlet) -> R) -> R {
        match guard(|| f(self)) {
            Ok(value) => {
                // If joining itself is interrupted the greenlet is killed all the same.
                let joined = guard(|| self.join());
                self.kill();
                if let Err(escape) = joined {
                    escape.resume();
                }
                value
            }
            Err(escape) => {
                let exception = escape.exception();
                self.task().rare().recalled.set(Some(exception.clone()));
                if let Err(second) = guard(|| self.kill_with(exception)) {
                    drop(escape);
                    second.resume();
                }
                escape.resume()
            }
        }
    }
}

impl<T: 'static> Greenlet<T> {
    pub(crate) fn from_record(record: TaskRef) -> Self {
        Greenlet { any: AnyGreenlet { record }, value: PhantomData }
    }

    /// The greenlet without its result's type.
    pub fn as_any(&self) -> &AnyGreenlet {
        &self.any
    }

    fn cell(&self) -> &RefCell<Option<T>> {
        self.any.record.body.value().downcast_ref().expect("the handle's type is the record's")
    }

    fn outcome<R>(&self, f: impl FnOnce(&RefCell<Option<T>>) -> Option<R>) -> Result<R, Failure> {
        if let Some(failure) = self.ended_by() {
            return Err(failure);
        }
        f(self.cell()).ok_or_else(Failure::taken)
    }

    /// Waits until it has ended and moves its value out.
    ///
    /// For values that cannot be cloned. Whoever asks afterwards gets a failure that
    /// [is taken](Failure::is_taken).
    ///
    /// # Errors
    ///
    /// As [`get`](Greenlet::get); a plain kill is a failure here too, as there is no value.
    pub fn take(&self) -> Result<T, Failure> {
        self.join_for(Limit::Never, "Greenlet::take");
        // A value that somebody looks at just now is not to be had.
        self.outcome(|value| value.try_borrow_mut().ok()?.take())
    }

    /// Calls `f` with a reference to the value, if it has ended with one that was not taken.
    pub fn with_value<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.cell().borrow().as_ref().map(f)
    }

    /// Calls `f` in a greenlet of its own when this one has ended; see [`AnyGreenlet::link`].
    pub fn link(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.link(typed(f))
    }

    /// Like [`link`](Greenlet::link), if it ends well.
    pub fn link_value(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.link_value(typed(f))
    }

    /// Like [`link`](Greenlet::link), if it does not end well.
    pub fn link_exception(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.link_exception(typed(f))
    }

    /// Calls `f` in the hub when this greenlet has ended; see [`AnyGreenlet::rawlink`].
    pub fn rawlink(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.rawlink(typed(f))
    }

    /// Runs `f` and sees to it that this greenlet has ended when it returns; see [`AnyGreenlet::scope`].
    pub fn scope<R>(&self, f: impl FnOnce(&Greenlet<T>) -> R) -> R {
        self.any.scope(|_| f(self))
    }
}

/// A function on the typed handle as one on the untyped.
fn typed<T: 'static>(f: impl FnOnce(&Greenlet<T>)) -> impl FnOnce(&AnyGreenlet) {
    |any| f(&Greenlet::from_record(any.record.clone()))
}

impl<T: Clone + 'static> Greenlet<T> {
    /// Waits until it has ended and returns a clone of its value, or its failure.
    ///
    /// Returns without letting others run when it has ended already. Everybody who asks gets the same failure.
    ///
    /// # Errors
    ///
    /// The failure it ended with. That includes a plain kill, although it counts as a good end: there is no value.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the target as it is.
    pub fn get(&self) -> Result<T, Failure> {
        self.join_for(Limit::Never, "Greenlet::get");
        self.outcome(|value| value.borrow().clone())
    }

    /// Waits at most that long.
    ///
    /// # Errors
    ///
    /// [`GetError::TimedOut`] when it has not ended by then, and what [`get`](Greenlet::get) says.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_for(Limit::After(timeout))
    }

    /// Waits at most until then.
    ///
    /// # Errors
    ///
    /// As [`get_timeout`](Greenlet::get_timeout).
    pub fn get_deadline(&self, deadline: Instant) -> Result<T, GetError> {
        self.get_for(Limit::At(deadline))
    }

    /// Does not wait: gevent's `get(block=False)`.
    ///
    /// # Errors
    ///
    /// [`GetError::TimedOut`] when it has not ended yet, and what [`get`](Greenlet::get) says.
    pub fn try_get(&self) -> Result<T, GetError> {
        if !self.ready() {
            return Err(GetError::TimedOut);
        }
        self.outcome(|value| value.borrow().clone()).map_err(GetError::Failed)
    }

    fn get_for(&self, limit: Limit) -> Result<T, GetError> {
        self.join_for(limit, "Greenlet::get");
        self.try_get()
    }

    /// A clone of the value, if it has ended with one.
    pub fn value(&self) -> Option<T> {
        self.with_value(T::clone)
    }
}

impl Waitable for AnyGreenlet {
    fn is_ready(&self) -> bool {
        self.ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.add_link(Target::Call(f))
    }

    fn unlink(&self, id: LinkId) {
        AnyGreenlet::unlink(self, id);
    }
}

impl<T> Waitable for Greenlet<T> {
    fn is_ready(&self) -> bool {
        self.any.ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.any.add_link(Target::Call(f))
    }

    fn unlink(&self, id: LinkId) {
        self.any.unlink(id);
    }
}

impl<T> fmt::Debug for Greenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.any.fmt(f)
    }
}

impl<T> PartialEq for Greenlet<T> {
    fn eq(&self, other: &Self) -> bool {
        self.any.is(&other.any)
    }
}

impl<T> Eq for Greenlet<T> {}

impl<T> Hash for Greenlet<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.any.hash(state);
    }
}

impl<T: 'static> From<Greenlet<T>> for AnyGreenlet {
    fn from(greenlet: Greenlet<T>) -> Self {
        greenlet.any
    }
}

impl<T> AsRef<AnyGreenlet> for Greenlet<T> {
    fn as_ref(&self) -> &AnyGreenlet {
        &self.any
    }
}
