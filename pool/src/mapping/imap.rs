//! The machinery of `imap`: one function over many inputs, with the results delivered one by one.
//!
//! A greenlet that is not a member, the feeder, takes the inputs and starts the jobs. Each job
//! reports its result from a raw link, at which time its slot is free. A failure of the feeder
//! itself is the input's error.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};

use ramie_hub::{
    Body, Builder, Failure, Greenlet, Lane, Limit, Observer, Raised, Semaphore, TimedOut, WaitQueue, Waits,
    has_hub,
};

use super::spawn::{Job, Spawn};
use crate::ordered_slab::OrderedSlab;

/// The state that the feeder, the jobs and the reader share.
pub(super) struct Results<R> {
    /// The results that have arrived and were not read. The first is the next to be read. They are
    /// in the order of the inputs, with gaps, or in the order of arrival.
    arrived: RefCell<VecDeque<Option<Result<R, Failure>>>>,
    ordered: bool,
    /// The number of results that have arrived, and the number that were read.
    arrivals: Cell<usize>,
    reads: Cell<usize>,
    /// `true` once any result has arrived since the reader last looked, whether it is the next one
    /// or not.
    pub(super) news: Cell<bool>,
    /// The total number of results, once the feeder has ended.
    total: Cell<Option<usize>>,
    /// The failure of the input.
    error: RefCell<Option<Failure>>,
    /// The number of jobs that may still be started, if there is a limit.
    permits: RefCell<Option<Semaphore>>,
}

/// The jobs that the feeder has started.
struct Running<R, J> {
    results: WaitQueue<Results<R>>,
    /// The running jobs. The number of each is the position of its input.
    jobs: RefCell<OrderedSlab<J>>,
    /// The number of jobs that will have a result.
    started: Cell<usize>,
    /// `true` once the reader is gone.
    cancelled: Cell<bool>,
}

/// The jobs as they are told of the end of one of them. After a cancellation it is no longer there,
/// and no other job takes its place.
impl<R: 'static, J: Job<R>> Observer for Running<R, J> {
    fn observed(self: Rc<Self>, place: u32) {
        let ended = self.jobs.borrow_mut().take(place);
        if let Some((position, job)) = ended {
            self.results.arrive(position, job.take());
            self.results.check();
        }
    }
}

impl<R> Results<R> {
    fn arrive(&self, position: usize, result: Result<R, Failure>) {
        let mut arrived = self.arrived.borrow_mut();
        if self.ordered {
            let place = position - self.reads.get();
            if place >= arrived.len() {
                arrived.resize_with(place + 1, || None);
            }
            arrived[place] = Some(result);
        } else {
            arrived.push_back(Some(result));
        }
        self.arrivals.set(self.arrivals.get() + 1);
        self.news.set(true);
    }

    /// Records the total number of results and the failure of the input.
    fn end(&self, total: usize, error: Option<Failure>) {
        self.total.set(Some(total));
        if error.is_some() || self.arrivals.get() == total {
            self.news.set(true);
        }
        *self.error.borrow_mut() = error;
    }

    /// Takes the next result, if it has arrived.
    fn read(&self) -> Option<Result<R, Failure>> {
        let mut arrived = self.arrived.borrow_mut();
        let result = arrived.front_mut()?.take()?;
        arrived.pop_front();
        self.reads.set(self.reads.get() + 1);
        Some(result)
    }

    fn at_end(&self) -> bool {
        self.total.get() == Some(self.reads.get())
    }

    /// Makes one attempt to take the next item, or to notice the end. An attempt without a result
    /// waits for news.
    pub(super) fn attempt(&self, asked: &mut bool, over: &mut bool) -> Option<Option<Result<R, Failure>>> {
        if let Some(result) = self.read() {
            *asked = false;
            return Some(Some(result));
        }
        if self.at_end() {
            *over = true;
            return Some(self.error.take().map(Err));
        }
        None
    }
}

impl<R: 'static> Waits for Results<R> {
    fn is_ready(&self) -> bool {
        self.news.get()
    }

    fn kind(&self) -> &'static str {
        "imap"
    }
}

/// A request of the reader to the place.
pub(super) enum Request {
    /// Cancels the running jobs.
    Cancel,
    /// Records that the caller waits; see [`Spawn::wait_for_mapping`].
    Wait,
}

/// An iterator over the results of a function that runs in a group or a pool. Made by
/// [`imap`](crate::Mapping::imap) and its variants.
///
/// Each item is the value of the function or its failure; after a failure the iteration continues
/// with the next item. A failure of the input itself is the last item. After the end, `next`
/// returns `None` on every call.
///
/// `next` waits for the next result and lets other greenlets run only if it waits. Dropping the
/// iterator stops the feeding and kills the members that it has started, without waiting for them.
/// A job on a thread cannot be killed, but a job that still waits for a thread is dropped.
///
/// # Cancellation
///
/// A kill or a timeout inside `next` loses nothing.
pub struct IMap<R: 'static> {
    pub(super) results: WaitQueue<Results<R>>,
    feeder: Greenlet<()>,
    /// The place and the jobs that it runs.
    pub(super) jobs: Box<dyn Fn(Request) -> Option<Box<dyn Any>>>,
    /// `true` once the item that is waited for has allowed another job to start.
    pub(super) asked: bool,
    pub(super) over: bool,
}

impl<R: 'static> IMap<R> {
    /// Limits how far the members run ahead of the reader: `maxsize` jobs are started without a
    /// reader, and one more for each item that is requested. 0 means no limit.
    ///
    /// Must be called before other greenlets run; the limit counts from the next start.
    #[must_use]
    pub fn maxsize(self, maxsize: usize) -> Self {
        let permits = (maxsize > 0).then(|| Semaphore::new(maxsize));
        let old = self.results.permits.replace(permits);
        // A feeder that waits for a permit of the old semaphore would never see the new one.
        if let Some(old) = old {
            old.release();
        }
        self
    }

    /// Waits for the next item for at most `timeout`. Lets other greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when no item has arrived by then; nothing is lost.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait takes no item.
    pub fn next_timeout(
        &mut self,
        timeout: impl Into<Limit>,
    ) -> Result<Option<Result<R, Failure>>, TimedOut> {
        self.next_for(timeout.into())
    }

    fn next_for(&mut self, limit: Limit) -> Result<Option<Result<R, Failure>>, TimedOut> {
        if self.over {
            return Ok(None);
        }
        self.ask();
        let mut waits = None;
        let next = self.results.wait(Lane::First, limit, "IMap::next", |results, turn| {
            drop(waits.take());
            let next = results.attempt(&mut self.asked, &mut self.over);
            if next.is_some() || turn.last {
                return next;
            }
            results.news.set(false);
            waits = Some((self.jobs)(Request::Wait));
            None
        });
        next.map_err(|_| TimedOut)
    }

    /// Allows another job to start for the item that is waited for, once.
    pub(super) fn ask(&mut self) {
        if !self.asked {
            self.asked = true;
            if let Some(permits) = &*self.results.permits.borrow() {
                permits.release();
            }
        }
    }
}

impl<R: 'static> Iterator for IMap<R> {
    type Item = Result<R, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        // A wait without a limit does not time out.
        self.next_for(Limit::Never).unwrap_or_default()
    }
}

impl<R: 'static> FusedIterator for IMap<R> {}

impl<R: 'static> Drop for IMap<R> {
    fn drop(&mut self) {
        // The jobs have ended with the hub.
        if !has_hub() {
            return;
        }
        self.feeder.kill_nowait();
        (self.jobs)(Request::Cancel);
    }
}

impl<R: 'static> fmt::Debug for IMap<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IMap")
            .field("read", &self.results.reads.get())
            .field("unread", &self.results.arrived.borrow().iter().flatten().count())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Starts the bodies one after the other, in a greenlet that is not a member.
pub(super) fn start_imap<P, B>(
    place: &P,
    ordered: bool,
    bodies: impl Iterator<Item = B> + 'static,
    site: &'static Location<'static>,
) -> IMap<B::Value>
where
    P: Spawn<B>,
    B: Body,
{
    let results = WaitQueue::new(Results {
        arrived: RefCell::default(),
        ordered,
        arrivals: Cell::new(0),
        reads: Cell::new(0),
        news: Cell::new(false),
        total: Cell::new(None),
        error: RefCell::default(),
        permits: RefCell::default(),
    });
    let running: Rc<Running<B::Value, P::Job>> = Rc::new(Running {
        results: results.clone(),
        jobs: RefCell::default(),
        started: Cell::new(0),
        cancelled: Cell::new(false),
    });
    let (own, shared, ours) = (place.clone(), results.clone(), running.clone());
    let feeder = Builder::new().spawn_site(site).spawn(move || {
        let mut bodies = bodies;
        loop {
            let body = match catch_unwind(AssertUnwindSafe(|| bodies.next())) {
                Ok(Some(body)) => body,
                Ok(None) => break,
                Err(payload) => {
                    // The reader is woken before the feeder has ended with the exception.
                    if let Some(exception) = payload.downcast_ref::<Raised>().and_then(Raised::exception) {
                        shared.end(ours.started.get(), Some(Failure::from(exception.clone())));
                        shared.check();
                    }
                    resume_unwind(payload);
                }
            };
            let permits = shared.permits.borrow().clone();
            if let Some(permits) = permits {
                permits.acquire();
            }
            let job = own.spawn_mapped_at(body, site);
            if ours.cancelled.get() {
                // A permit arrived before the pending kill.
                return own.cancel(&job);
            }
            let kept = job.clone();
            let key = ours.jobs.borrow_mut().push(kept);
            let running: Weak<Running<_, _>> = Rc::downgrade(&ours);
            job.observe(running, key.place());
            // A job that could not be linked has no result, and is not waited for.
            ours.started.set(key.number() + 1);
        }
        shared.end(ours.started.get(), None);
        shared.check();
    });
    let (shared, ours) = (results.clone(), running.clone());
    feeder.rawlink(move |feeder| {
        // The feeder was killed or has panicked.
        if shared.total.get().is_none() {
            shared.end(ours.started.get(), feeder.exception());
            shared.check();
        }
    });
    let place = place.clone();
    let jobs = move |request| match request {
        Request::Wait => place.wait_for_mapping(),
        Request::Cancel => {
            running.cancelled.set(true);
            let jobs = running.jobs.borrow_mut().take_all();
            jobs.iter().for_each(|job| place.cancel(job));
            None
        }
    };
    IMap { results, feeder, jobs: Box::new(jobs), asked: false, over: false }
}
