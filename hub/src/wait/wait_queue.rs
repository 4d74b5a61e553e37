//! What every object that greenlets wait for is built on: a line of waiters, told by a pass of the hub.
//!
//! An object describes by [`Waits`] when it is ready; its [`WaitQueue`] does the rest: order, deadlines, cancellation,
//! notification. Nothing here decides who gets what: a waiter that is told looks at the object itself, and waits
//! again if somebody was faster. So a wake that its receiver does not use is not lost: a pass goes on for as long as
//! the object is ready and anybody waits.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::error::TimedOut;
use crate::scheduler::Item;
use crate::scheduler::current;
use crate::task::Verdict;
use crate::task::{Lane, LinkId, Linkable, Links, Notified, Rule, Target, owed};
use crate::wait::guard::{LinkGuard, TimerGuard};
use crate::wait::limit::Limit;
use crate::wait::waitable::Waitable;

/// When an object that greenlets wait for is ready, and how those in line are served.
///
/// # Examples
///
/// A toy semaphore:
///
/// ```
/// use std::cell::Cell;
/// use ramie_hub::{Lane, Limit, WaitQueue, Waits, spawn};
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
///     while !queue.is_ready() {
///         queue.wait(Lane::First, Limit::Never, "acquire").unwrap();
///     }
///     queue.0.set(queue.0.get() - 1);
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
    /// How a pass serves those who wait.
    const RULE: Rule = Rule::WhileReady;

    /// Whether somebody who waits would not have to.
    fn is_ready(&self) -> bool;

    /// Under [`Rule::Lanes`]: whose head is served next, given how many wait in each lane and which lane was served
    /// last in this pass. `None` ends the pass.
    fn next_lane(&self, waiting: [usize; 2], last: Option<Lane>) -> Option<Lane> {
        let _ = last;
        (self.is_ready() && waiting[0] > 0).then_some(Lane::First)
    }

    /// What error reports call it.
    fn kind(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

struct Inner<S> {
    links: Links,
    state: S,
}

impl<S: Waits> Linkable for Inner<S> {
    fn links(&self) -> &Links {
        &self.links
    }

    fn rule(&self) -> Rule {
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
        // A lane without waiters is nobody's turn, whatever the object says.
        self.state.next_lane(waiting, last).filter(|lane| waiting[*lane as usize] > 0)
    }

    fn kind(&self) -> &'static str {
        self.state.kind()
    }
}

/// A state and the greenlets that wait for it. Clones are the same queue; it dereferences to the state.
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

/// Why [`WaitQueue::wait`] ended without the waiter having been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// The time was over first.
    TimedOut,
    /// The object was [closed](WaitQueue::close) meanwhile.
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
    /// A queue in which nobody waits.
    pub fn new(state: S) -> Self {
        WaitQueue { inner: Rc::new(Inner { links: Links::new(), state }) }
    }

    /// Queues a pass over those who wait, if any of them can be served. To be called after every change that may
    /// have made the object ready. Does not let others run.
    pub fn check(&self) {
        if S::RULE != Rule::Everybody && self.inner.links.notifying() {
            // The pass that is queued or under way asks at its end.
            return;
        }
        // Destructors call this. Waiters whose hub has ended never run again.
        if owed(&*self.inner) {
            if let Some(core) = current::try_core() {
                core.notify(Notified::Object(self.inner.clone()));
            }
        }
    }

    /// Waits in line until it is this greenlet's turn. Others run meanwhile.
    ///
    /// That the wait is over does not mean that the object is still ready, if others may take from it: look, and wait
    /// again. On an object that is ready, which is only of use under [`Rule::Everybody`] while a pass is
    /// [queued or running](WaitQueue::notifying), it waits for the end of that pass.
    ///
    /// `reason` names the call for reports.
    ///
    /// # Errors
    ///
    /// [`WaitError::TimedOut`] when the limit is reached first, [`WaitError::Closed`] after [`close`](WaitQueue::close).
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the line.
    // Inlined: a frame that an unwinding need not cross.
    #[inline(always)]
    pub fn wait(&self, lane: Lane, limit: Limit, reason: &'static str) -> Result<(), WaitError> {
        let core = current::core();
        let links = &self.inner.links;
        let token = core.token();
        let id = core.new_link();
        let late = S::RULE == Rule::Everybody && self.is_ready();
        links.add_waiter(if late { Lane::Second } else { lane }, id, token);
        let place = LinkGuard::new(links, id, true);
        if S::RULE == Rule::Lanes {
            // Its coming may be what those in the other lane wait for.
            self.check();
        }
        let timer = TimerGuard::limit(&core, token, limit.deadline(&core));
        match core.park_with((timer, place), token, reason) {
            Verdict::Woken => Ok(()),
            Verdict::TimedOut => Err(WaitError::TimedOut),
            Verdict::Closed => Err(WaitError::Closed),
        }
    }

    /// Ends the wait of everybody in line with [`WaitError::Closed`], in a later turn. Does not let others run.
    pub fn close(&self) {
        let tokens = self.inner.links.take_waiters();
        if tokens.is_empty() {
            return;
        }
        // Destructors call this. Waiters whose hub has ended never run again.
        if let Some(core) = current::try_core() {
            core.push(Item::Close(tokens));
        }
    }

    /// Whether a pass is queued or running.
    pub fn notifying(&self) -> bool {
        // A pass that the hub of an ending thread has not come to will never run.
        self.inner.links.notifying() && current::try_core().is_some()
    }

    /// How many stand in each lane, raw links included.
    pub fn waiting(&self) -> [usize; 2] {
        self.inner.links.waiting()
    }

    /// How many stand in line, raw links included: gevent's `linkcount`.
    pub fn linkcount(&self) -> usize {
        self.inner.links.len()
    }

    /// Whether both are one and the same queue.
    pub fn is(&self, other: &WaitQueue<S>) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    /// Puts a function in a lane, to be called in the hub when it is its turn.
    pub fn rawlink_in(&self, lane: Lane, f: Box<dyn FnOnce()>) -> LinkId {
        let id = current::core().new_link();
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
