//! A state under a lock, with two lanes of waiters.

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::wait_list::WaitList;
use super::waiter::{Target, WaitSite};
use crate::error::TimedOut;
use crate::inbox::registry::{ForeignQueue, Registration};
use crate::loom::{Mutex, MutexGuard};
use crate::task::Lane;
use crate::wait::limit::Limit;
use crate::wait::turn::Turn;

/// A state that waiters share, with the number of waiters that could proceed.
///
/// # Examples
///
/// A simple semaphore for any thread:
///
/// ```
/// use ramie::hub::Lane;
/// use ramie::shared::{WaitQueue, Waits};
/// use ramie::Limit;
///
/// struct Permits(usize);
///
/// impl Waits for Permits {
///     fn ready(&self, _lane: Lane) -> usize {
///         self.0
///     }
/// }
///
/// fn acquire(queue: &WaitQueue<Permits>) {
///     queue.wait(Lane::First, Limit::Never, "acquire", |permits, _| {
///         permits.0 = permits.0.checked_sub(1)?;
///         Some(())
///     }).unwrap();
/// }
///
/// let queue = WaitQueue::new(Permits(0));
/// let waiter = std::thread::spawn({
///     let queue = queue.clone();
///     move || acquire(&queue)
/// });
/// queue.lock().0 += 1;
/// waiter.join().unwrap();
/// ```
pub trait Waits: 'static {
    /// Returns the number of waiters of this lane that could proceed now; a number above the number
    /// of waiters is allowed.
    ///
    /// An undercount loses wake-ups. An overcount only costs a spurious wake-up: a check
    /// ([`WaitQueue::wait`]) without result. Called under the lock.
    fn ready(&self, lane: Lane) -> usize;

    /// Called when a waiter of this lane leaves without being served and without a last check: it
    /// was killed, or its hub has ended. Called under the lock; the returned value is dropped after
    /// the unlock.
    fn left(&mut self, lane: Lane, ticket: u64) -> Option<Box<dyn Any>> {
        let _ = (lane, ticket);
        None
    }
}

struct Guarded<S> {
    state: S,
    lines: [WaitList<Target>; 2],
    next_ticket: u64,
}

impl<S> Guarded<S> {
    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

pub(super) struct Inner<S> {
    guarded: Mutex<Guarded<S>>,
}

/// A state that several threads share, with its waiters. Clones are the same queue.
///
/// The [module](crate::shared) documents the protocol.
pub struct WaitQueue<S> {
    pub(super) inner: Arc<Inner<S>>,
}

impl<S> Clone for WaitQueue<S> {
    fn clone(&self) -> Self {
        WaitQueue { inner: self.inner.clone() }
    }
}

/// The locked state of a [`WaitQueue`]. Dropping it wakes every waiter that can proceed.
///
/// The lock stops the whole thread and must be held for a few instructions only: under it, nothing
/// may wait and no user code or destructor may run.
pub struct Locked<'a, S: Waits> {
    guarded: MutexGuard<'a, Guarded<S>>,
    /// Dropped after `guarded`: no waiter is woken under the lock.
    told: Told,
}

/// The waiters to wake after the unlock: almost always none or one.
#[derive(Default)]
struct Told {
    first: Option<Target>,
    rest: Vec<Target>,
}

impl Drop for Told {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        self.first.take().into_iter().chain(rest).for_each(Target::wake);
    }
}

impl<S: Waits> Locked<'_, S> {
    pub(super) fn ticket(&mut self) -> u64 {
        self.guarded.ticket()
    }

    pub(super) fn enter(&mut self, lane: Lane, ticket: u64, who: Target) {
        self.guarded.lines[lane as usize].enter(ticket, who);
    }

    /// Replaces the target of a waiter that is in the lane, and returns the old one, to be dropped
    /// after the unlock. If the waiter is notified, clears its mark and returns the new target as
    /// the error.
    pub(super) fn renew(&mut self, lane: Lane, ticket: u64, who: Target) -> Result<Target, Target> {
        self.guarded.lines[lane as usize].renew(ticket, who)
    }

    /// Withdraws a waiter that is in the lane or notified. Returns its target if it was not
    /// notified, to be dropped after the unlock.
    pub(super) fn leave(&mut self, lane: Lane, ticket: u64) -> Option<Target> {
        self.guarded.lines[lane as usize].leave(ticket)
    }

    /// Returns the number of waiters in each lane, without notified ones.
    pub fn waiting(&self) -> [usize; 2] {
        let [first, second] = &self.guarded.lines;
        [first.len(), second.len()]
    }
}

impl<S: Waits> Deref for Locked<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.guarded.state
    }
}

impl<S: Waits> DerefMut for Locked<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.guarded.state
    }
}

impl<S: Waits> Drop for Locked<'_, S> {
    fn drop(&mut self) {
        let Guarded { state, lines, .. } = &mut *self.guarded;
        for lane in [Lane::First, Lane::Second] {
            let line = &mut lines[lane as usize];
            if line.is_empty() {
                continue;
            }
            let ready = state.ready(lane);
            while let Some(who) = line.next(ready) {
                match &self.told.first {
                    None => self.told.first = Some(who),
                    Some(_) => self.told.rest.push(who),
                }
            }
        }
    }
}

impl<S: Waits> Inner<S> {
    pub(super) fn lock(&self) -> Locked<'_, S> {
        Locked { guarded: self.guarded.lock(), told: Told::default() }
    }

    /// Withdraws a waiter that makes no last check. `stands` is `true` if it is in the lane or
    /// notified.
    pub(super) fn leave(&self, lane: Lane, ticket: u64, stands: bool) {
        let mut locked = self.lock();
        let out = if stands { locked.leave(lane, ticket) } else { None };
        let left = locked.left(lane, ticket);
        drop(locked);
        drop((out, left));
    }
}

impl<S: Waits> ForeignQueue for Inner<S> {
    fn abandon(&self, lane: Lane, ticket: u64) {
        self.leave(lane, ticket, true);
    }

    fn unlink(&self, lane: Lane, ticket: u64) {
        let out = self.lock().leave(lane, ticket);
        drop(out);
    }
}

/// A call of `wait` that did not succeed at the first check. Dropped by an unwinding, it withdraws
/// the waiter.
struct WaitGuard<'a, S: Waits> {
    queue: &'a Inner<S>,
    lane: Lane,
    ticket: u64,
    site: WaitSite,
    /// `true` while the waiter is in a lane or notified.
    stands: bool,
    over: bool,
}

impl<S: Waits> Drop for WaitGuard<'_, S> {
    fn drop(&mut self) {
        if !self.over {
            // First, because the values dropped below may wait, and the hub's end must not withdraw
            // the waiter a second time then.
            self.site.unregister();
            self.queue.leave(self.lane, self.ticket, self.stands);
        }
    }
}

impl<S: Waits> WaitQueue<S> {
    /// Creates a state without waiters.
    pub fn new(state: S) -> Self {
        let guarded = Guarded { state, lines: [WaitList::new(), WaitList::new()], next_ticket: 0 };
        WaitQueue { inner: Arc::new(Inner { guarded: Mutex::new(guarded) }) }
    }

    /// Locks the state for reading or changing it. May stop the thread for the few instructions
    /// during which another thread holds the lock. Does not let other greenlets run.
    pub fn lock(&self) -> Locked<'_, S> {
        self.inner.lock()
    }

    /// Calls `look` with the state, under the lock, until it returns `Some`. Waits in the lane
    /// between two calls.
    ///
    /// A greenlet lets other greenlets run while it waits, and keeps its hub's loop alive. A thread
    /// that has no hub is parked; no hub is created for it. `reason` names the call in reports.
    /// Does not let other greenlets run if the first call of `look` succeeds.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when the limit is reached and the last call of `look` returned `None`.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the lane and calls [`Waits::left`].
    pub fn wait<R>(
        &self,
        lane: Lane,
        limit: Limit,
        reason: &'static str,
        mut look: impl FnMut(&mut S, Turn) -> Option<R>,
    ) -> Result<R, TimedOut> {
        let mut locked = self.inner.lock();
        let ticket = locked.ticket();
        let mut turn = Turn::first(ticket);
        if let Some(served) = look(&mut locked, turn) {
            return Ok(served);
        }
        let site = match WaitSite::here(limit, reason, || Registration {
            queue: self.inner.clone(),
            lane,
            ticket,
        }) {
            Ok(site) => site,
            Err(refused) => {
                // In the same locked section as the check: no other thread has seen a value that
                // `look` may have left in the state.
                let left = locked.left(lane, ticket);
                drop(locked);
                drop(left);
                refused.raise()
            }
        };
        let mut stay = WaitGuard { queue: &self.inner, lane, ticket, site, stands: false, over: false };
        // Declared after `stay`, which locks when it is dropped: a check that panics unlocks first.
        let mut locked = locked;
        loop {
            locked.enter(lane, ticket, stay.site.target());
            stay.stands = true;
            drop(locked);
            turn.last = !stay.site.park();
            locked = self.inner.lock();
            stay.stands = false;
            // Kept until the end of the section: the last handle of a hub's inbox may be dropped
            // with it.
            let out = locked.leave(lane, ticket);
            turn.notified = out.is_none();
            let served = look(&mut locked, turn);
            if served.is_some() || turn.last {
                stay.over = true;
                return served.ok_or(TimedOut);
            }
        }
    }

    /// Returns `true` if both are the same queue.
    pub fn is(&self, other: &WaitQueue<S>) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl<S: fmt::Debug + Waits> fmt::Debug for WaitQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locked = self.lock();
        f.debug_struct("WaitQueue").field("state", &*locked).field("waiting", &locked.waiting()).finish()
    }
}

impl<S: fmt::Debug + Waits> fmt::Debug for Locked<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
