//! The handles of greenlets: state, identity, start, joins and links.

use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::error::GetError;
use crate::exception::Failure;
use crate::scheduler::TimerAction;
use crate::scheduler::current;
use crate::scheduler::unwind::guard;
use crate::task::{AnyGreenlet, Kind, State, Task, TaskRef, WakeReason, WeakTaskRef};
use crate::task::{Lane, LinkId, Notified, Observer, Target};
use crate::wait::future::WaitFuture;
use crate::wait::guard::{LinkGuard, TimerGuard};
use crate::wait::limit::Limit;
use crate::wait::waitable::Waitable;

/// A greenlet with a body that returns a `T`.
///
/// Clones are the same greenlet. It dereferences to [`AnyGreenlet`], which has every method that
/// does not depend on the type of the result.
///
/// # Examples
///
/// ```
/// let g = ramie::spawn(|| 6 * 7);
/// assert!(g.started() && !g.ready());
/// assert_eq!(g.get().unwrap(), 42);
/// assert!(g.ready() && g.successful());
/// ```
pub struct Greenlet<T> {
    any: AnyGreenlet,
    /// Invariant: the record's value has exactly this type.
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

/// Returns the running greenlet; on the thread's own stack that is the main greenlet.
///
/// In a callback of the hub this is also the main greenlet, since the hub runs on the main
/// greenlet's stack.
pub fn getcurrent() -> AnyGreenlet {
    AnyGreenlet { record: current::core().current() }
}

impl AnyGreenlet {
    #[inline]
    pub(crate) fn task(&self) -> &Task {
        &self.record.task
    }

    // --- state --------------------------------------------------------------------------------------------------

    /// Returns `true` if the greenlet was started and has no result yet: gevent's truth value.
    pub fn started(&self) -> bool {
        self.task().started()
    }

    /// Returns `true` if the greenlet has a result: a value or a failure.
    #[inline]
    pub fn ready(&self) -> bool {
        self.task().ready()
    }

    /// Returns `true` if the greenlet has ended and will never run again. The running greenlet is
    /// not dead.
    pub fn dead(&self) -> bool {
        self.task().dead.get()
    }

    /// Returns `true` if the greenlet ended well: with a value, or by
    /// [`GreenletExit`](crate::GreenletExit).
    pub fn successful(&self) -> bool {
        self.task().successful()
    }

    /// Returns the failure that the greenlet ended with. `None` also for a plain kill, which counts
    /// as a good end.
    pub fn exception(&self) -> Option<Failure> {
        self.task().failure().filter(|failure| !failure.is_exit()).cloned()
    }

    /// Returns the failure that the greenlet ended with, including a plain kill.
    #[inline]
    pub(crate) fn ended_by(&self) -> Option<Failure> {
        self.task().failure().cloned()
    }

    /// Returns `true` if this is the main greenlet, which runs on the thread's own stack.
    pub fn is_main(&self) -> bool {
        self.task().kind == Kind::Main
    }

    /// Returns `true` if the greenlet was made by [`spawn_raw`](crate::spawn_raw) or runs a link.
    pub fn is_raw(&self) -> bool {
        self.task().kind == Kind::Raw
    }

    // --- identity -----------------------------------------------------------------------------------------------

    /// Returns a number unique among the living greenlets of this hub: the smallest free one at the
    /// first call.
    pub fn minimal_ident(&self) -> u32 {
        current::core().ident(self.task())
    }

    /// Returns the name: the given one, or a default made of the
    /// [number](AnyGreenlet::minimal_ident).
    pub fn name(&self) -> String {
        current::core().name(&self.record)
    }

    /// Sets the name of the greenlet.
    pub fn set_name(&self, name: impl Into<Rc<str>>) {
        self.task().overflow.set_name(&name.into());
    }

    /// Returns the greenlet that created this one, while that greenlet is still referenced.
    pub fn spawning_greenlet(&self) -> Option<AnyGreenlet> {
        let record = self.task().spawner.as_ref().and_then(WeakTaskRef::upgrade)?;
        Some(AnyGreenlet { record })
    }

    /// Returns the place in the program where the greenlet was created; for the main greenlet,
    /// where its hub was created.
    pub fn spawn_site(&self) -> &'static Location<'static> {
        self.task().site()
    }

    /// Returns the greenlet with its result's type, if that type is `T`.
    pub fn downcast<T: 'static>(&self) -> Option<Greenlet<T>> {
        self.record
            .body()
            .value()
            .is::<RefCell<Option<T>>>()
            .then(|| Greenlet::from_record(self.record.clone()))
    }

    // --- starting -----------------------------------------------------------------------------------------------

    /// Queues the start. Does nothing if the greenlet was started or killed, or has ended. Does not
    /// let other greenlets run.
    pub fn start(&self) {
        if self.task().state.get() == State::Created && !self.dead() {
            current::core().start(&self.record);
        }
    }

    /// Starts the greenlet after a delay. Does nothing if the greenlet was started or killed, or
    /// has ended. Does not let other greenlets run.
    pub fn start_later(&self, after: Duration) {
        if self.task().state.get() == State::Created && !self.dead() {
            let core = current::core();
            let token = core.admit(&self.record);
            if self.dead() {
                // A spawn callback has killed the greenlet.
                return;
            }
            let timer = core.start_timer(core.deadline(after), || TimerAction::Wake(token), true);
            self.task().cold().start_timer.set(Some(timer));
        }
    }

    // --- joining ------------------------------------------------------------------------------------------------

    /// Waits until the greenlet has ended, with a value or a failure. Does not let other greenlets
    /// run if it has ended already.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the target as it is.
    pub fn join(&self) {
        self.join_for(Limit::Never, "Greenlet::join");
    }

    /// Waits for the end for at most `timeout`. Returns `true` if the greenlet has ended. Does not
    /// let other greenlets run if it has ended already.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the target as it is.
    pub fn join_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.join_for(timeout.into(), "Greenlet::join")
    }

    #[inline]
    pub(crate) fn join_for(&self, limit: Limit, reason: &'static str) -> bool {
        self.ready() || self.join_until(limit.deadline(&current::core()), reason)
    }

    /// Waits for the end until the hub's time is `deadline` at most. Returns `true` if the greenlet
    /// has ended.
    pub(crate) fn join_until(&self, deadline: Option<u64>, reason: &'static str) -> bool {
        if self.ready() {
            return true;
        }
        let core = current::core();
        let token = core.token();
        let id = core.new_link();
        let links = &self.task().links;
        links.add_waiter(Lane::First, id, token);
        let place = LinkGuard::of_greenlet(&self.record, id, token);
        let timer = TimerGuard::limit(&core, token, deadline);
        core.park_with((timer, place), token, reason) == WakeReason::Woken || self.ready()
    }

    // --- links --------------------------------------------------------------------------------------------------

    /// Calls `f` in a new greenlet when this greenlet has ended. Does not let other greenlets run.
    ///
    /// Links, raw links and waiting greenlets are served in the order in which they were added. A
    /// link may wait; the next one is served without waiting for it. If this greenlet has ended
    /// already, `f` is called in a later turn of the loop.
    ///
    /// # Examples
    ///
    /// ```
    /// let g = ramie::spawn(|| 5);
    /// g.link(|g| assert_eq!(g.get().unwrap(), 5));
    /// g.join();
    /// ```
    #[track_caller]
    pub fn link(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        self.link_if(|_| true, f)
    }

    /// Calls `f` like [`link`](AnyGreenlet::link), if this greenlet [ends
    /// well](AnyGreenlet::successful).
    pub fn link_value(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        self.link_if(AnyGreenlet::successful, f)
    }

    /// Calls `f` like [`link`](AnyGreenlet::link), if this greenlet does not [end
    /// well](AnyGreenlet::successful).
    pub fn link_exception(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        self.link_if(|greenlet| !greenlet.successful(), f)
    }

    fn link_if(&self, wanted: fn(&AnyGreenlet) -> bool, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        // The entry does not count as a reference to its own greenlet: a cycle would keep an unused
        // greenlet alive forever.
        let weak = self.record.downgrade();
        self.add_link(Target::Spawn(Box::new(move || {
            if let Some(record) = weak.upgrade() {
                let greenlet = AnyGreenlet { record };
                if wanted(&greenlet) {
                    f(&greenlet);
                }
            }
        })))
    }

    /// Calls `f` in the hub when this greenlet has ended. `f` must not wait. Does not let other
    /// greenlets run.
    pub fn rawlink(&self, f: impl FnOnce(&AnyGreenlet) + 'static) -> LinkId {
        let weak = self.record.downgrade();
        self.add_link(Target::Call(Box::new(move || {
            if let Some(record) = weak.upgrade() {
                f(&AnyGreenlet { record });
            }
        })))
    }

    /// Adds a raw link that tells an observer of the greenlet's end, with this place. The link does
    /// not keep the observer alive.
    #[doc(hidden)]
    #[inline]
    pub fn observe(&self, observer: Weak<dyn Observer>, place: u32) -> LinkId {
        let id = current::core().new_link();
        if self.ready() {
            return self.add_link(Target::Observe(place, observer));
        }
        match self.task().links.add_first_observer(id, place, observer) {
            Ok(()) => id,
            Err(observer) => self.add_link(Target::Observe(place, observer)),
        }
    }

    fn add_link(&self, target: Target) -> LinkId {
        let core = current::core();
        let id = core.new_link();
        let links = &self.task().links;
        core.make_pass(links, || self.notified());
        links.add(Lane::First, id, target);
        if self.ready() {
            core.notify(links, || self.notified());
        }
        id
    }

    fn notified(&self) -> Notified {
        Notified::Greenlet(self.record.clone())
    }

    /// Removes a link, even during a notification that has not reached it yet. Does nothing if the
    /// link is gone.
    pub fn unlink(&self, id: LinkId) {
        self.task().links.remove(id);
    }

    /// Removes every link. Greenlets that wait for this greenlet are then woken only by other
    /// events they wait for.
    pub fn unlink_all(&self) {
        if let Some(core) = current::try_core() {
            core.make_pass(&self.task().links, || self.notified());
        }
        self.task().links.clear();
    }

    /// Returns the number of links, including waiting greenlets: gevent's `has_links`.
    pub fn has_links(&self) -> usize {
        self.task().links.len()
    }

    // --- scope --------------------------------------------------------------------------------------------------

    /// Runs `f` and ensures that this greenlet has ended when `scope` returns: gevent's `with
    /// greenlet:`.
    ///
    /// When `f` returns, the greenlet is joined. When `f` is left by an exception or a panic, the
    /// greenlet is killed with that exception, and joined, before the unwinding continues.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{spawn, yield_now};
    ///
    /// let g = spawn(|| yield_now());
    /// let result = g.scope(|_| 5);
    /// assert_eq!(result, 5);
    /// assert!(g.dead());
    /// ```
    pub fn scope<R>(&self, f: impl FnOnce(&AnyGreenlet) -> R) -> R {
        match guard(|| f(self)) {
            Ok(value) => {
                // The greenlet is killed even if the join is interrupted.
                let joined = guard(|| self.join());
                self.kill();
                if let Err(escape) = joined {
                    escape.resume();
                }
                value
            }
            Err(escape) => {
                let exception = escape.exception();
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

    /// Returns the greenlet without its result's type.
    pub fn as_any(&self) -> &AnyGreenlet {
        &self.any
    }

    fn cell(&self) -> &RefCell<Option<T>> {
        self.any.record.body().value().downcast_ref().expect("the handle has the type of the record")
    }

    fn outcome<R>(&self, f: impl FnOnce(&RefCell<Option<T>>) -> Option<R>) -> Result<R, Failure> {
        if let Some(failure) = self.ended_by() {
            return Err(failure);
        }
        f(self.cell()).ok_or_else(Failure::taken)
    }

    /// Waits until the greenlet has ended and moves its value out.
    ///
    /// This is for values that cannot be cloned. Later readers get a failure that [is
    /// taken](Failure::is_taken).
    ///
    /// # Errors
    ///
    /// As [`get`](Greenlet::get). A plain kill is a failure here too, since there is no value.
    pub fn take(&self) -> Result<T, Failure> {
        self.join_for(Limit::Never, "Greenlet::take");
        self.take_outcome()
    }

    fn take_outcome(&self) -> Result<T, Failure> {
        // The value cannot be taken while `with_value` borrows it.
        self.outcome(|value| value.try_borrow_mut().ok()?.take())
    }

    /// Calls `f` with a reference to the value, if the greenlet has ended with one that was not
    /// taken.
    pub fn with_value<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.cell().borrow().as_ref().map(f)
    }

    /// Calls `f` in a new greenlet when this greenlet has ended; see [`AnyGreenlet::link`].
    pub fn link(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.link(typed(f))
    }

    /// Calls `f` like [`link`](Greenlet::link), if this greenlet ends well.
    pub fn link_value(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.link_value(typed(f))
    }

    /// Calls `f` like [`link`](Greenlet::link), if this greenlet does not end well.
    pub fn link_exception(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.link_exception(typed(f))
    }

    /// Calls `f` in the hub when this greenlet has ended; see [`AnyGreenlet::rawlink`].
    pub fn rawlink(&self, f: impl FnOnce(&Greenlet<T>) + 'static) -> LinkId {
        self.any.rawlink(typed(f))
    }

    /// Runs `f` and ensures that this greenlet has ended when `scope` returns; see
    /// [`AnyGreenlet::scope`].
    pub fn scope<R>(&self, f: impl FnOnce(&Greenlet<T>) -> R) -> R {
        self.any.scope(|_| f(self))
    }
}

/// Adapts a function on the typed handle to the untyped handle.
fn typed<T: 'static>(f: impl FnOnce(&Greenlet<T>)) -> impl FnOnce(&AnyGreenlet) {
    |any| f(&Greenlet::from_record(any.record.clone()))
}

impl<T: Clone + 'static> Greenlet<T> {
    /// Waits until the greenlet has ended and returns a clone of its value, or its failure.
    ///
    /// Does not let other greenlets run if it has ended already. Every reader gets the same
    /// failure.
    ///
    /// # Errors
    ///
    /// The failure that the greenlet ended with. A plain kill is included, although it counts as a
    /// good end, since there is no value.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the target as it is.
    pub fn get(&self) -> Result<T, Failure> {
        self.join_for(Limit::Never, "Greenlet::get");
        self.clone_outcome()
    }

    fn clone_outcome(&self) -> Result<T, Failure> {
        self.outcome(|value| value.borrow().clone())
    }

    /// Waits for at most `timeout`; see [`get`](Greenlet::get).
    ///
    /// # Errors
    ///
    /// [`GetError::TimedOut`] when the greenlet has not ended by then, and the errors of
    /// [`get`](Greenlet::get).
    ///
    /// # Cancellation
    ///
    /// Same as for [`get`](Greenlet::get).
    pub fn get_timeout(&self, timeout: impl Into<Limit>) -> Result<T, GetError> {
        self.get_for(timeout.into())
    }

    /// Returns a clone of the value or the failure without waiting: gevent's `get(block=False)`.
    ///
    /// # Errors
    ///
    /// [`GetError::TimedOut`] when the greenlet has not ended yet, and the errors of
    /// [`get`](Greenlet::get).
    pub fn try_get(&self) -> Result<T, GetError> {
        if !self.ready() {
            return Err(GetError::TimedOut);
        }
        self.clone_outcome().map_err(GetError::Failed)
    }

    fn get_for(&self, limit: Limit) -> Result<T, GetError> {
        self.join_for(limit, "Greenlet::get");
        self.try_get()
    }

    /// Returns a clone of the value, if the greenlet has ended with one.
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

/// Awaiting a reference waits for the end of the greenlet and returns a clone of its value, or its
/// failure, as [`get`](Greenlet::get) does. For executors on the greenlet's thread that let the hub
/// run; see [`WaitFuture`].
impl<'a, T: Clone + 'static> IntoFuture for &'a Greenlet<T> {
    type Output = Result<T, Failure>;
    type IntoFuture = WaitFuture<&'a Greenlet<T>, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        WaitFuture::new(self, |greenlet| greenlet.clone_outcome())
    }
}

/// Awaiting a handle waits for the end of the greenlet and moves its value out, as
/// [`take`](Greenlet::take) does. For executors on the greenlet's thread that let the hub run; see
/// [`WaitFuture`]. The greenlet goes on if the future is dropped.
impl<T: 'static> IntoFuture for Greenlet<T> {
    type Output = Result<T, Failure>;
    type IntoFuture = WaitFuture<Greenlet<T>, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        WaitFuture::new(self, Greenlet::take_outcome)
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::{Rc, Weak};

    use crate::task::Observer;
    use crate::{Greenlet, spawn, yield_now};

    /// The places of called links, in order.
    #[derive(Default)]
    struct Log(RefCell<Vec<u32>>);

    impl Observer for Log {
        fn observed(self: Rc<Self>, place: u32) {
            self.0.borrow_mut().push(place);
        }
    }

    impl Log {
        fn observe<T: 'static>(self: &Rc<Self>, greenlet: &Greenlet<T>, place: u32) -> crate::LinkId {
            let log: Weak<Self> = Rc::downgrade(self);
            greenlet.observe(log, place)
        }

        fn rawlink<T: 'static>(self: &Rc<Self>, greenlet: &Greenlet<T>, place: u32) {
            let log = self.clone();
            greenlet.rawlink(move |_| log.0.borrow_mut().push(place));
        }
    }

    #[test]
    fn observers_and_other_links_are_called_in_the_order_of_their_addition() {
        for kinds in 0..32_u32 {
            for links in 0..=5 {
                let (log, greenlet) = (Rc::new(Log::default()), spawn(|| ()));
                for place in 0..links {
                    if kinds >> place & 1 == 0 {
                        log.observe(&greenlet, place);
                    } else {
                        log.rawlink(&greenlet, place);
                    }
                }
                assert_eq!(greenlet.has_links(), links as usize);
                yield_now();
                yield_now();
                assert_eq!(*log.0.borrow(), (0..links).collect::<Vec<_>>(), "{kinds:b}");
                assert_eq!(greenlet.has_links(), 0);
            }
        }
    }

    #[test]
    fn the_end_of_a_greenlet_is_one_item_of_the_queue_before_its_observers_are_told() {
        let log = Rc::new(Log::default());
        let greenlets: Vec<_> = (0..3).map(|_| spawn(|| ())).collect();
        for (place, greenlet) in (0..).zip(&greenlets) {
            log.observe(greenlet, place);
        }
        let later = log.clone();
        spawn(move || later.0.borrow_mut().push(9));
        yield_now();
        // The three passes come after everything that was queued before the three ends.
        assert_eq!(*log.0.borrow(), [9]);
        yield_now();
        assert_eq!(*log.0.borrow(), [9, 0, 1, 2]);
    }

    #[test]
    fn an_observer_of_an_ended_greenlet_is_told_in_a_later_turn() {
        let (log, greenlet) = (Rc::new(Log::default()), spawn(|| ()));
        greenlet.join();
        log.observe(&greenlet, 4);
        assert!(log.0.borrow().is_empty());
        yield_now();
        assert_eq!(*log.0.borrow(), [4]);
    }

    #[test]
    fn a_removed_link_and_a_dropped_observer_are_not_called() {
        let (log, dropped) = (Rc::new(Log::default()), Rc::new(Log::default()));
        let greenlet = spawn(|| ());
        let links: Vec<_> = (0..5).map(|place| log.observe(&greenlet, place)).collect();
        dropped.observe(&greenlet, 7);
        [links[1], links[3], links[0]].iter().for_each(|link| greenlet.unlink(*link));
        drop(dropped);
        greenlet.join();
        yield_now();
        assert_eq!(*log.0.borrow(), [2, 4]);
    }
}
