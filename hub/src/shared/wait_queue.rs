//! A state under a lock and the two lines of those who wait for it to change.

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::wait_list::Line;
use super::waiter::{Site, Target};
use crate::error::TimedOut;
use crate::inbox::registry::{Leave, Registered};
use crate::loom::{Mutex, MutexGuard};
use crate::task::Lane;
use crate::wait::limit::Limit;

/// How many of those who wait for a shared state could go on.
///
/// # Examples
///
/// A toy semaphore for any thread:
///
/// ```
/// use ramie_hub::{Lane, Limit, shared::{WaitQueue, Waits}};
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
    /// How many of those who wait in this lane could go on as things are; more than there are will do.
    ///
    /// It must count whoever a look ([`WaitQueue::wait`]) would serve, or they sleep on; one too many costs a look in
    /// vain. Called under the lock.
    fn ready(&self, lane: Lane) -> usize;

    /// Somebody who waited in this lane leaves for good without having been served and without a last look: it is killed,
    /// or its hub has ended. Called under the lock; what is returned is dropped outside of it.
    fn left(&mut self, lane: Lane, ticket: u64) -> Option<Box<dyn Any>> {
        let _ = (lane, ticket);
        None
    }
}

/// Which look it is, for the function that [`WaitQueue::wait`] looks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// Names this call of `wait`, and its place in line: a greater number came later.
    pub ticket: u64,
    /// The time is over: there will be no further look.
    pub last: bool,
}

struct Guarded<S> {
    state: S,
    lines: [Line<Target>; 2],
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

/// A state that several threads share, and those who wait for it to change. Clones are the same queue.
///
/// The page of the [module](crate::shared) has the protocol.
pub struct WaitQueue<S> {
    pub(super) inner: Arc<Inner<S>>,
}

impl<S> Clone for WaitQueue<S> {
    fn clone(&self) -> Self {
        WaitQueue { inner: self.inner.clone() }
    }
}

/// The state of a [`WaitQueue`], locked. When it is dropped, whoever can go on now is woken.
///
/// The lock stops the whole thread and is to be held for a few instructions only: nothing may wait under it, and nothing of
/// the user's be dropped or called.
pub struct Locked<'a, S: Waits> {
    guarded: MutexGuard<'a, Guarded<S>>,
    /// Dropped after `guarded`: nobody is woken under the lock.
    told: Told,
}

/// Who is to be woken once the lock is free. Almost always nobody, or one.
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

    /// How many stand in each lane, those not counted who were told.
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

    fn leave(&self, lane: Lane, ticket: u64, stands: bool) {
        let mut locked = self.lock();
        let out = if stands { locked.guarded.lines[lane as usize].leave(ticket) } else { None };
        let left = locked.left(lane, ticket);
        drop(locked);
        drop((out, left));
    }
}

impl<S: Waits> Leave for Inner<S> {
    fn forsake(&self, lane: Lane, ticket: u64) {
        self.leave(lane, ticket, true);
    }

    fn unlink(&self, lane: Lane, ticket: u64) {
        let out = self.lock().guarded.lines[lane as usize].leave(ticket);
        drop(out);
    }
}

/// One call of `wait` that did not succeed at first sight. Dropped by an unwinding it takes itself back.
struct Stay<'a, S: Waits> {
    queue: &'a Inner<S>,
    lane: Lane,
    ticket: u64,
    site: Site,
    /// Whether it is in line or told.
    stands: bool,
    over: bool,
}

impl<S: Waits> Drop for Stay<'_, S> {
    fn drop(&mut self) {
        if !self.over {
            // First: what is dropped below may wait, and must not be taken back a second time then.
            self.site.unregister();
            self.queue.leave(self.lane, self.ticket, self.stands);
        }
    }
}

impl<S: Waits> WaitQueue<S> {
    /// A state for which nobody waits.
    pub fn new(state: S) -> Self {
        let guarded = Guarded { state, lines: [Line::new(), Line::new()], next_ticket: 0 };
        WaitQueue { inner: Arc::new(Inner { guarded: Mutex::new(guarded) }) }
    }

    /// Locks the state, to look at it or to change it. May stop the thread for the few instructions for which another one
    /// holds the lock; does not let other greenlets run.
    pub fn lock(&self) -> Locked<'_, S> {
        self.inner.lock()
    }

    /// Looks at the state, under the lock, until `look` returns something; waits in line between two looks.
    ///
    /// A greenlet lets others run while it waits, and keeps its hub's loop alive; a thread that has no hub is parked, and
    /// gets none by it. `reason` names the call for reports. Does not let others run if the first look succeeds.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when the limit is reached and the last look was in vain.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the line, by way of [`Waits::left`].
    pub fn wait<R>(
        &self,
        lane: Lane,
        limit: Limit,
        reason: &'static str,
        mut look: impl FnMut(&mut S, Turn) -> Option<R>,
    ) -> Result<R, TimedOut> {
        let mut locked = self.inner.lock();
        let ticket = locked.ticket();
        let mut turn = Turn { ticket, last: false };
        if let Some(served) = look(&mut locked, turn) {
            return Ok(served);
        }
        let site = match Site::here(limit, reason, || Registered { queue: self.inner.clone(), lane, ticket })
        {
            Ok(site) => site,
            Err(refused) => {
                // In the section of the look: nobody has seen what that may have left in the state.
                let left = locked.left(lane, ticket);
                drop(locked);
                drop(left);
                refused.raise()
            }
        };
        let mut stay = Stay { queue: &self.inner, lane, ticket, site, stands: false, over: false };
        // Declared after `stay`, whose destructor locks: a look that panics unlocks first.
        let mut locked = locked;
        loop {
            locked.enter(lane, ticket, stay.site.target());
            stay.stands = true;
            drop(locked);
            turn.last = !stay.site.park();
            locked = self.inner.lock();
            stay.stands = false;
            // Kept until the end of the section: the last handle of a hub's inbox may go with it.
            let _out = locked.guarded.lines[lane as usize].leave(ticket);
            let served = look(&mut locked, turn);
            if served.is_some() || turn.last {
                stay.over = true;
                return served.ok_or(TimedOut);
            }
        }
    }

    /// Whether both are one and the same queue.
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
