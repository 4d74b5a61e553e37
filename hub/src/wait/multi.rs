//! Waiting for several objects at once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::rc::Rc;

use crate::exception::Failure;
use crate::scheduler::{Core, TimerAction, current};
use crate::task::{LinkId, WaitToken, WakeReason};
use crate::timers::TimerId;
use crate::wait::collections::{IntoGreenlets, IntoWaitables};
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;
use crate::wait::waitable::Waitable;

/// The state that the links of one iteration share: the ready objects, and the waiter for them.
#[derive(Default)]
struct Ready {
    indices: RefCell<VecDeque<usize>>,
    waiter: Cell<Option<WaitToken>>,
}

/// An object that an iteration waits for.
struct Entry<W> {
    /// `None` once the object was returned.
    object: Option<W>,
    /// `None` before the object is linked, and once the link was called or removed.
    link: Option<LinkId>,
}

/// An iterator over objects as they become ready. Made by [`iwait`].
///
/// Nothing is linked before the first `next`. Dropping it removes every remaining link. Objects
/// that become ready between two calls of `next` are kept for the next call. gevent's `count` is
/// [`Iterator::take`].
pub struct IWait<W: Waitable> {
    entries: Vec<Entry<W>>,
    ready: Rc<Ready>,
    limit: Limit,
    deadline: Option<u64>,
    /// Keeps the loop alive until the limit, whatever the greenlet waits for between two calls of
    /// `next`, as the timer of gevent's `iwait` does.
    alive: Option<AliveUntil>,
    left: usize,
    linked: bool,
    timed_out: bool,
    last: Option<usize>,
}

/// A timer that wakes nothing and keeps the loop alive.
struct AliveUntil {
    hub: u64,
    timer: TimerId,
}

impl AliveUntil {
    fn new(core: &Core, deadline: u64) -> AliveUntil {
        let unused = core.token();
        let timer = core.start_timer(deadline, || TimerAction::Wake(unused), true);
        AliveUntil { hub: core.number(), timer }
    }
}

impl Drop for AliveUntil {
    fn drop(&mut self) {
        // A later hub of this thread does not have this timer.
        if let Some(core) = current::core_of(self.hub) {
            core.cancel_timer(self.timer);
        }
    }
}

impl<W: Waitable> IWait<W> {
    fn new(objects: impl Iterator<Item = W>) -> Self {
        let entries: Vec<_> = objects.map(|object| Entry { object: Some(object), link: None }).collect();
        IWait {
            left: entries.len(),
            entries,
            ready: Rc::new(Ready::default()),
            limit: Limit::Never,
            deadline: None,
            alive: None,
            linked: false,
            timed_out: false,
            last: None,
        }
    }

    /// Ends the iteration at the limit. A duration counts from the first `next`.
    #[must_use]
    pub fn timeout(mut self, limit: impl Into<Limit>) -> Self {
        self.limit = limit.into();
        self
    }

    /// Returns the index, in the argument of [`iwait`], of the object that `next` returned last: it
    /// tells objects of mixed types apart.
    pub fn last_index(&self) -> Option<usize> {
        self.last
    }

    /// Returns `true` once the limit has ended a wait of the iteration. The objects that were ready
    /// then were returned before their links had been called.
    #[doc(hidden)]
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }

    fn link(&mut self) {
        self.linked = true;
        let core = current::core();
        self.deadline = self.limit.deadline(&core);
        self.alive = self.deadline.map(|deadline| AliveUntil::new(&core, deadline));
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let Some(object) = &entry.object else { continue };
            let ready = self.ready.clone();
            let link = object.rawlink(Box::new(move || {
                ready.indices.borrow_mut().push_back(index);
                if let Some(token) = ready.waiter.take() {
                    current::core().wake(token);
                }
            }));
            entry.link = Some(link);
        }
    }

    /// Unlinks the first object that is ready and has not reported it yet. Returns its index.
    fn take_ready(&mut self) -> Option<usize> {
        let mut entries = self.entries.iter_mut();
        entries.position(|entry| {
            let (Some(object), Some(link)) = (&entry.object, entry.link) else { return false };
            let ready = object.is_ready();
            if ready {
                entry.link = None;
                object.unlink(link);
            }
            ready
        })
    }

    fn next_ready(&mut self) -> Option<W> {
        if self.left == 0 {
            return None;
        }
        if !self.linked {
            self.link();
        }
        loop {
            let index = self.ready.indices.borrow_mut().pop_front();
            if let Some(index) = index {
                let entry = &mut self.entries[index];
                entry.link = None;
                self.left -= 1;
                self.last = Some(index);
                return entry.object.take();
            }
            let core = current::core();
            // A deadline that had passed at the last poll has passed without a wait here.
            let verdict = if self.deadline.is_some_and(|deadline| deadline <= core.loop_now()) {
                WakeReason::TimedOut
            } else {
                let token = core.token();
                self.ready.waiter.set(Some(token));
                let _nobody = Forget(&self.ready);
                let _timer = TimerGuard::limit(&core, token, self.deadline);
                core.park(token, "wait")
            };
            if verdict == WakeReason::TimedOut && self.ready.indices.borrow().is_empty() {
                // An object that is ready by now counts, even if the pass over its links is still
                // queued.
                self.timed_out = true;
                let Some(index) = self.take_ready() else {
                    self.left = 0;
                    return None;
                };
                self.ready.indices.borrow_mut().push_back(index);
            }
        }
    }
}

struct Forget<'a>(&'a Ready);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.waiter.set(None);
    }
}

impl<W: Waitable> Iterator for IWait<W> {
    type Item = W;

    fn next(&mut self) -> Option<W> {
        self.next_ready()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl<W: Waitable> FusedIterator for IWait<W> {}

impl<W: Waitable> Drop for IWait<W> {
    fn drop(&mut self) {
        for entry in &self.entries {
            if let (Some(object), Some(link)) = (&entry.object, entry.link) {
                object.unlink(link);
            }
        }
    }
}

impl<W: Waitable> fmt::Debug for IWait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IWait").field("objects", &self.entries.len()).field("left", &self.left).finish()
    }
}

/// Yields objects in the order in which they become ready. An object listed twice is yielded twice.
///
/// [`IntoWaitables`] lists the possible arguments: a reference to a `Vec` or an array, an iterator,
/// or a tuple of references to objects of different types.
///
/// Each `next` waits until another object is ready, and lets other greenlets run. An object that is
/// ready already still needs one turn of the queue.
///
/// # Cancellation
///
/// A kill or a timeout inside `next` loses nothing; dropping the iterator removes all links.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::{iwait, sleep, spawn};
///
/// let sleepers = [3, 1, 2].map(|ms| spawn(move || { sleep(Duration::from_millis(ms * 10)); ms }));
/// let order: Vec<u64> = iwait(&sleepers).map(|g| g.get().unwrap()).collect();
/// assert_eq!(order, [1, 2, 3]);
/// let first: Vec<_> = iwait(&sleepers).timeout(Duration::from_secs(1)).take(1).collect();
/// assert_eq!(first.len(), 1);
/// ```
///
/// Objects of different types, told apart by their index:
///
/// ```
/// use ramie::sync::Event;
/// use ramie::{iwait, spawn};
///
/// let (stop, worker) = (Event::new(), spawn(|| "done"));
/// let mut ready = iwait((&stop, &worker));
/// ready.next();
/// assert_eq!(ready.last_index(), Some(1));
/// ```
pub fn iwait<S: IntoWaitables<Kind>, Kind>(objects: S) -> IWait<S::Item> {
    IWait::new(objects.into_waitables())
}

/// Waits until all objects are ready. Returns them in the order in which they became ready. Lets
/// other greenlets run, unless there are no objects.
///
/// [`IntoWaitables`] lists the possible arguments.
///
/// # Cancellation
///
/// A kill or a timeout takes nothing from the objects.
///
/// # Examples
///
/// ```
/// use ramie::sync::Event;
/// use ramie::{spawn, wait};
///
/// let event = Event::new();
/// event.set();
/// let greenlets = [1, 2, 3].map(|n| spawn(move || n));
/// assert_eq!(wait(&greenlets).len(), 3);
/// assert_eq!(wait((&event, &greenlets[0])).len(), 2);
/// ```
pub fn wait<S: IntoWaitables<Kind>, Kind>(objects: S) -> Vec<S::Item> {
    iwait(objects).collect()
}

/// Waits for at most `timeout`. Returns the objects that became ready, in order. A zero timeout
/// still runs one turn of the loop.
///
/// [`IntoWaitables`] lists the possible arguments.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::sync::Event;
/// use ramie::{spawn, wait_timeout};
///
/// let (never, greenlet) = (Event::new(), spawn(|| 5));
/// assert_eq!(wait_timeout((&never, &greenlet), Duration::from_millis(1)).len(), 1);
/// ```
pub fn wait_timeout<S: IntoWaitables<Kind>, Kind>(objects: S, timeout: impl Into<Limit>) -> Vec<S::Item> {
    iwait(objects).timeout(timeout).collect()
}

/// The options of [`joinall_with`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinOptions {
    /// The limit on the wait.
    pub timeout: Limit,
    /// The number of greenlets to wait for; all of them if `None`.
    pub count: Option<usize>,
    /// Stops at the first failed greenlet and returns its failure, if `true`.
    pub raise_error: bool,
}

/// Waits until all greenlets have ended, with a value or a failure. Returns them in the order of
/// their ends. Lets other greenlets run, unless there are no greenlets.
///
/// [`IntoGreenlets`] lists the possible arguments: a reference to a `Vec` or an array, an iterator,
/// or a tuple of references to greenlets of different result types. A greenlet listed twice is
/// returned twice.
///
/// # Cancellation
///
/// A kill or a timeout of the caller leaves the greenlets running.
///
/// # Examples
///
/// ```
/// use ramie::{joinall, spawn};
///
/// let greenlets: Vec<_> = (0..10).map(|i| spawn(move || i)).collect();
/// assert_eq!(joinall(&greenlets).len(), 10);
///
/// let (number, word) = (spawn(|| 5), spawn(|| "five"));
/// joinall((&number, &word));
/// assert!(number.dead() && word.dead());
/// ```
pub fn joinall<S, Kind>(greenlets: S) -> Vec<S::Item>
where
    S: IntoGreenlets<Kind, Item: Waitable>,
{
    IWait::new(greenlets.into_greenlets()).collect()
}

/// Waits for greenlets with a limit on the time or on their number, and returns the ended ones, in
/// order.
///
/// [`IntoGreenlets`] lists the possible arguments.
///
/// # Errors
///
/// With `raise_error`, the failure of the greenlet that failed first, as soon as it failed; the
/// others continue to run. A plain kill is not a failure.
///
/// # Cancellation
///
/// A kill or a timeout of the caller leaves the greenlets running.
///
/// # Examples
///
/// ```
/// use ramie::{JoinOptions, fallible, joinall_with, spawn};
///
/// let (number, failing) = (spawn(|| 1), spawn(fallible(|| Err::<String, _>("no luck"))));
/// let options = JoinOptions { raise_error: true, ..JoinOptions::default() };
/// let failure = joinall_with((&number, &failing), options).unwrap_err();
/// assert_eq!(failure.to_string(), "no luck");
/// ```
pub fn joinall_with<S, Kind>(greenlets: S, options: JoinOptions) -> Result<Vec<S::Item>, Failure>
where
    S: IntoGreenlets<Kind, Item: Waitable>,
{
    let iter = IWait::new(greenlets.into_greenlets()).timeout(options.timeout);
    let mut ended = Vec::new();
    for greenlet in iter.take(options.count.unwrap_or(usize::MAX)) {
        if let Some(failure) = greenlet.as_ref().exception().filter(|_| options.raise_error) {
            return Err(failure);
        }
        ended.push(greenlet);
    }
    Ok(ended)
}
