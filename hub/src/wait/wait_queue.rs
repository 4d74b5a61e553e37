//! The base of every object that greenlets wait for: a list of waiters that a notification pass of
//! the hub serves.
//!
//! An object implements [`Waits`] to define when it is ready. Its [`WaitQueue`] does the rest:
//! order, deadlines, cancellation, notification. The queue does not hand anything over: a notified
//! waiter checks the object itself, and waits again if another greenlet was faster. A wake-up that
//! its receiver does not use is not lost: a pass continues for as long as the object is ready and
//! has other waiters.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::error::TimedOut;
use crate::scheduler::current;
use crate::scheduler::{Core, Item};
use crate::task::{Lane, LinkId, Linkable, Links, Notified, Target, WakePolicy, owed};
use crate::task::{WaitToken, WakeReason};
use crate::wait::guard::{LinkGuard, TimerGuard};
use crate::wait::limit::Limit;
use crate::wait::turn::Turn;
use crate::wait::waitable::Waitable;

/// The readiness of an object that greenlets wait for, and the order in which its waiters are
/// served.
///
/// # Examples
///
/// A simple semaphore:
///
/// ```
/// use std::cell::Cell;
/// use ramie::hub::{Lane, WaitQueue, Waits};
/// use ramie::{Limit, spawn};
///
/// struct Permits(Cell<u32>);
///
/// impl Waits for Permits {
///     fn is_ready(&self) -> bool {
///         self.0.get() > 0
///     }
/// }
///
/// fn acquire(queue: &WaitQueue<Permits>) {
///     queue.wait(Lane::First, Limit::Never, "acquire", |permits, _| {
///         permits.0.set(permits.0.get().checked_sub(1)?);
///         Some(())
///     }).unwrap();
/// }
///
/// fn release(queue: &WaitQueue<Permits>) {
///     queue.0.set(queue.0.get() + 1);
///     queue.check();
/// }
///
/// let queue = WaitQueue::new(Permits(Cell::new(0)));
/// let waiter = spawn({
///     let queue = queue.clone();
///     move || acquire(&queue)
/// });
/// release(&queue);
/// waiter.join();
/// ```
pub trait Waits: 'static {
    /// The rule by which a pass serves the waiters.
    const RULE: WakePolicy = WakePolicy::WhileReady;

    /// Returns `true` if a waiter could proceed.
    ///
    /// Called in the hub, and in greenlets that wait or change the object. It must not wait.
    fn is_ready(&self) -> bool;

    /// Selects the lane to serve next under [`WakePolicy::Ordered`], given the number of waiters in each
    /// lane and the lane that was served last in this pass. `None` ends the pass.
    fn next_lane(&self, waiting: [usize; 2], last: Option<Lane>) -> Option<Lane> {
        let _ = last;
        (self.is_ready() && waiting[0] > 0).then_some(Lane::First)
    }

    /// Returns the name of the object for error reports.
    fn kind(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

struct Inner<S> {
    links: Links,
    /// The number of calls of `wait`.
    tickets: Cell<u64>,
    state: S,
}

impl<S: Waits> Linkable for Inner<S> {
    fn links(&self) -> &Links {
        &self.links
    }

    fn rule(&self) -> WakePolicy {
        S::RULE
    }

    fn ready(&self) -> bool {
        self.state.is_ready()
    }

    #[inline]
    fn next_lane(&self, last: Option<Lane>) -> Option<Lane> {
        let waiting = self.links.waiting();
        if waiting == [0, 0] {
            return None;
        }
        // A lane without waiters is never served, whatever the object returns.
        self.state.next_lane(waiting, last).filter(|lane| waiting[*lane as usize] > 0)
    }

    fn kind(&self) -> &'static str {
        self.state.kind()
    }
}

/// A state and the greenlets that wait for it. Clones are the same queue; it dereferences to the
/// state.
///
/// Not `Send`: it belongs to the hub of the thread that waits.
pub struct WaitQueue<S> {
    inner: Rc<Inner<S>>,
}

impl<S> Clone for WaitQueue<S> {
    fn clone(&self) -> Self {
        WaitQueue { inner: self.inner.clone() }
    }
}

impl<S> Deref for WaitQueue<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inner.state
    }
}

/// The reason why [`WaitQueue::wait`] ended before its function returned `Some`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The time was up first.
    TimedOut,
    /// The object was [closed](WaitQueue::close) during the wait.
    Closed,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::TimedOut => TimedOut.fmt(f),
            WaitError::Closed => f.write_str("closed while waiting"),
        }
    }
}

impl std::error::Error for WaitError {}

impl<S: Waits> WaitQueue<S> {
    /// Creates a queue without waiters.
    pub fn new(state: S) -> Self {
        WaitQueue { inner: Rc::new(Inner { links: Links::new(), tickets: Cell::new(0), state }) }
    }

    /// Queues a pass over the waiters, if any of them can be served. Must be called after every
    /// change that may have made the object ready. Does not let other greenlets run.
    #[inline]
    pub fn check(&self) {
        let links = &self.inner.links;
        // A pass that is queued or running checks again at its end.
        let checks_later = S::RULE != WakePolicy::All && links.notifying();
        if !links.is_empty() && !checks_later {
            self.check_waiters();
        }
    }

    #[inline(never)]
    fn check_waiters(&self) {
        // Destructors call this. Waiters of a hub that has ended never run again.
        if owed(&*self.inner) {
            if let Some(core) = current::try_core() {
                core.notify(&self.inner.links, || self.notified());
            }
        }
    }

    fn notified(&self) -> Notified {
        Notified::Object(self.inner.clone())
    }

    /// Calls `look` with the state until it returns `Some`. Waits in the lane between two calls,
    /// and lets other greenlets run while it waits. Does not let them run if the first call of
    /// `look` succeeds.
    ///
    /// A waiter that was notified joins the lane again at its end if `look` returns `None`: another
    /// greenlet was faster. `reason` names the call in reports.
    ///
    /// Under [`WakePolicy::All`], while a pass is [queued or running](WaitQueue::notifying) over a
    /// ready object, the first call of `look` comes only at the end of that pass.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`] when the limit is reached, [`WaitError::Closed`] after
    /// [`close`](WaitQueue::close), in both cases if the last call of `look` returned `None`.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the lane.
    // Inlined: an unwinding then crosses one frame less.
    #[inline(always)]
    pub fn wait<R>(
        &self,
        lane: Lane,
        limit: Limit,
        reason: &'static str,
        mut look: impl FnMut(&S, Turn) -> Option<R>,
    ) -> Result<R, WaitError> {
        let ticket = self.inner.tickets.get() + 1;
        self.inner.tickets.set(ticket);
        let mut turn = Turn::first(ticket);
        if !(S::RULE == WakePolicy::All && self.notifying() && self.inner.state.is_ready()) {
            if let Some(served) = look(&self.inner.state, turn) {
                return Ok(served);
            }
        }
        let core = current::core();
        let deadline = limit.deadline(&core);
        loop {
            let ended = match self.park(&core, lane, deadline, reason) {
                WakeReason::Woken => None,
                WakeReason::TimedOut => Some(WaitError::TimedOut),
                WakeReason::Closed => Some(WaitError::Closed),
            };
            turn.notified = ended.is_none();
            turn.last = ended.is_some();
            if let Some(served) = look(&self.inner.state, turn) {
                return Ok(served);
            }
            if let Some(error) = ended {
                return Err(error);
            }
        }
    }

    /// Waits in a lane until this greenlet is notified.
    #[inline(always)]
    fn park(&self, core: &Core, lane: Lane, deadline: Option<u64>, reason: &'static str) -> WakeReason {
        let links = &self.inner.links;
        let token = core.token();
        let id = core.new_link();
        let late = S::RULE == WakePolicy::All && self.inner.state.is_ready();
        if late || !links.is_empty() {
            core.make_pass(links, || self.notified());
        }
        links.add_waiter(if late { Lane::Second } else { lane }, id, token);
        let place = LinkGuard::new(links, id);
        if S::RULE == WakePolicy::Ordered && links.len() > 1 {
            // This waiter may unblock the opposite lane (a receiver unblocks a sender).
            self.check();
        }
        let timer = TimerGuard::limit(core, token, deadline);
        core.park_while((timer, place), token, reason, || self.woken_for_nothing(core, token))
    }

    /// Returns `true` if a direct wake has resumed the waiter of this token, and the pass that it
    /// stands for would not have: the object is not ready any more.
    #[inline(always)]
    fn woken_for_nothing(&self, core: &Core, token: WaitToken) -> bool {
        if S::RULE == WakePolicy::All || !core.serves(token.wait) || owed(&*self.inner) {
            return false;
        }
        self.inner.links.end_direct();
        true
    }

    /// Ends the wait of all waiters with [`WaitError::Closed`], in a later turn. Does not let other
    /// greenlets run.
    pub fn close(&self) {
        // Destructors call this. Waiters of a hub that has ended never run again.
        let core = current::try_core();
        if let Some(core) = &core {
            core.make_pass(&self.inner.links, || self.notified());
        }
        let tokens = self.inner.links.take_waiters();
        if let Some(core) = core.filter(|_| !tokens.is_empty()) {
            core.push(Item::Close(tokens));
        }
    }

    /// Returns `true` if a pass is queued or running.
    pub fn notifying(&self) -> bool {
        let links = &self.inner.links;
        // A pass that the hub of an ending thread has not run yet will never run.
        let Some(core) = current::try_core() else { return false };
        links.notifying() || links.direct().is_some_and(|(_, wait)| core.serves(wait))
    }

    /// Returns the number of waiters in each lane, including raw links.
    pub fn waiting(&self) -> [usize; 2] {
        self.inner.links.waiting()
    }

    /// Returns the number of waiters, including raw links: gevent's `linkcount`.
    pub fn linkcount(&self) -> usize {
        self.inner.links.len()
    }

    /// Returns `true` if both are the same queue.
    pub fn is(&self, other: &WaitQueue<S>) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    /// Adds a function to a lane, to be called in the hub in the lane's order.
    pub fn rawlink_in(&self, lane: Lane, f: Box<dyn FnOnce()>) -> LinkId {
        let core = current::core();
        let id = core.new_link();
        core.make_pass(&self.inner.links, || self.notified());
        self.inner.links.add(lane, id, Target::Call(f));
        self.check();
        id
    }
}

impl<S: Waits> Waitable for WaitQueue<S> {
    fn is_ready(&self) -> bool {
        self.inner.state.is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.rawlink_in(Lane::First, f)
    }

    fn unlink(&self, id: LinkId) {
        if self.inner.links.remove(id) {
            self.inner.links.call_off_if_empty();
        }
    }
}

impl<S: fmt::Debug + Waits> fmt::Debug for WaitQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue")
            .field("state", &self.inner.state)
            .field("links", &self.linkcount())
            .finish()
    }
}
