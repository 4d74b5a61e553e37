//! Waiting for several objects at once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::rc::Rc;

use crate::exception::Failure;
use crate::scheduler::current;
use crate::task::LinkId;
use crate::task::{AnyGreenlet, WaitToken, WakeReason};
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;
use crate::wait::waitable::Waitable;

/// The state that the links of one iteration share: the ready objects, and the waiter for them.
#[derive(Default)]
struct Ready {
    indices: RefCell<VecDeque<usize>>,
    waiter: Cell<Option<WaitToken>>,
}

/// An iterator over objects as they become ready. Made by [`iwait`].
///
/// Nothing is linked before the first `next`. Dropping it removes every remaining link. Objects
/// that become ready between two calls of `next` are kept for the next call. gevent's `count` is
/// [`Iterator::take`].
pub struct IWait<'a, W: Waitable> {
    objects: &'a [W],
    links: Vec<Option<LinkId>>,
    ready: Rc<Ready>,
    limit: Limit,
    deadline: Option<u64>,
    left: usize,
    linked: bool,
    timed_out: bool,
    last: Option<usize>,
}

impl<W: Waitable> IWait<'_, W> {
    /// Ends the iteration at the limit. A duration counts from the first `next`.
    #[must_use]
    pub fn timeout(mut self, limit: impl Into<Limit>) -> Self {
        self.limit = limit.into();
        self
    }

    /// Returns the index in the slice of the object that `next` returned last, to tell objects of
    /// mixed types apart.
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
        self.deadline = self.limit.deadline(&current::core());
        for (index, object) in self.objects.iter().enumerate() {
            let ready = self.ready.clone();
            let link = object.rawlink(Box::new(move || {
                ready.indices.borrow_mut().push_back(index);
                if let Some(token) = ready.waiter.take() {
                    current::core().wake(token);
                }
            }));
            self.links.push(Some(link));
        }
    }

    /// Unlinks the first object that is ready and has not reported it yet.
    fn take_ready(&mut self) -> Option<usize> {
        let is_ready =
            |(index, link): &(usize, &Option<LinkId>)| link.is_some() && self.objects[*index].is_ready();
        let (index, _) = self.links.iter().enumerate().find(is_ready)?;
        if let Some(link) = self.links[index].take() {
            self.objects[index].unlink(link);
        }
        Some(index)
    }

    fn next_index(&mut self) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        if !self.linked {
            self.link();
        }
        loop {
            let index = self.ready.indices.borrow_mut().pop_front();
            if let Some(index) = index {
                self.left -= 1;
                self.links[index] = None;
                self.last = Some(index);
                return Some(index);
            }
            let core = current::core();
            // A deadline that had passed at the last poll has passed without a wait here.
            let verdict = if self.deadline.is_some_and(|deadline| deadline <= core.loop_now.get()) {
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

impl<'a, W: Waitable> Iterator for IWait<'a, W> {
    type Item = &'a W;

    fn next(&mut self) -> Option<&'a W> {
        self.next_index().map(|index| &self.objects[index])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl<W: Waitable> FusedIterator for IWait<'_, W> {}

impl<W: Waitable> Drop for IWait<'_, W> {
    fn drop(&mut self) {
        for (object, link) in self.objects.iter().zip(&self.links) {
            if let Some(link) = link {
                object.unlink(*link);
            }
        }
    }
}

impl<W: Waitable> fmt::Debug for IWait<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IWait").field("objects", &self.objects.len()).field("left", &self.left).finish()
    }
}

/// Yields objects in the order in which they become ready. An object listed twice is yielded twice.
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
pub fn iwait<W: Waitable>(objects: &[W]) -> IWait<'_, W> {
    IWait {
        objects,
        links: Vec::with_capacity(objects.len()),
        ready: Rc::new(Ready::default()),
        limit: Limit::Never,
        deadline: None,
        left: objects.len(),
        linked: false,
        timed_out: false,
        last: None,
    }
}

/// Waits until all objects are ready. Returns them in the order in which they became ready.
///
/// # Examples
///
/// ```
/// use ramie::sync::Event;
/// use ramie::{Waitable, spawn, wait};
///
/// let event = Event::new();
/// event.set();
/// let g = spawn(|| 5);
/// assert_eq!(wait(&[&event as &dyn Waitable, &g]).len(), 2);
/// ```
pub fn wait<W: Waitable>(objects: &[W]) -> Vec<&W> {
    iwait(objects).collect()
}

/// Waits for at most `timeout`. Returns the objects that became ready, in order. A zero timeout
/// still runs one turn of the loop.
pub fn wait_timeout<W: Waitable>(objects: &[W], timeout: impl Into<Limit>) -> Vec<&W> {
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
/// their ends.
///
/// # Examples
///
/// ```
/// let greenlets: Vec<_> = (0..10).map(|i| ramie::spawn(move || i)).collect();
/// assert_eq!(ramie::joinall(&greenlets).len(), 10);
/// ```
pub fn joinall<G: Waitable + AsRef<AnyGreenlet>>(greenlets: &[G]) -> Vec<&G> {
    wait(greenlets)
}

/// Waits for greenlets with a limit on the time or on their number, and returns the ended ones, in
/// order.
///
/// # Errors
///
/// With `raise_error`, the failure of the greenlet that failed first, as soon as it failed; the
/// others continue to run. A plain kill is not a failure.
///
/// # Examples
///
/// ```
/// use ramie::{JoinOptions, fallible, joinall_with, spawn};
///
/// let greenlets = [spawn(|| 1), spawn(fallible(|| Err("no luck")))];
/// let options = JoinOptions { raise_error: true, ..JoinOptions::default() };
/// assert_eq!(joinall_with(&greenlets, options).unwrap_err().to_string(), "no luck");
/// ```
pub fn joinall_with<G: Waitable + AsRef<AnyGreenlet>>(
    greenlets: &[G],
    options: JoinOptions,
) -> Result<Vec<&G>, Failure> {
    let mut iter = iwait(greenlets);
    iter.limit = options.timeout;
    let mut ended = Vec::new();
    for greenlet in iter.take(options.count.unwrap_or(usize::MAX)) {
        if let Some(failure) = greenlet.as_ref().exception().filter(|_| options.raise_error) {
            return Err(failure);
        }
        ended.push(greenlet);
    }
    Ok(ended)
}
