//! Running one function over many inputs, and taking the results as they come.
//!
//! A greenlet that is no member, the feeder, asks the input and starts the workers. Each worker reports by a raw link,
//! so its slot is free by then. What the feeder itself fails with is the input's error.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::iter::FusedIterator;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::{
    AnyGreenlet, Exception, Failure, Greenlet, Lane, Limit, Raised, Semaphore, TimedOut, WaitQueue, Waits,
    fallible, has_hub, spawn,
};

use crate::group::Group;
use crate::map::{failing, plain};

/// What the feeder, the workers and the reader share.
struct Results<R> {
    /// What has come and was not read, by position: that of the input, or that of the arrival.
    arrived: RefCell<BTreeMap<usize, Result<R, Failure>>>,
    ordered: bool,
    /// How many have come, and how many were read.
    arrivals: Cell<usize>,
    reads: Cell<usize>,
    /// Something has come since the reader looked last, be it its turn or not.
    news: Cell<bool>,
    /// How many there will be, once the feeder has ended.
    total: Cell<Option<usize>>,
    /// What the input has failed with.
    error: RefCell<Option<Failure>>,
    /// Those who run, by the position of their input.
    workers: RefCell<BTreeMap<usize, AnyGreenlet>>,
    /// How many more may be started, if that is limited.
    permits: RefCell<Option<Semaphore>>,
}

impl<R> Results<R> {
    /// So many are all there are, and what the input has failed with.
    fn end(&self, total: usize, error: Option<Failure>) {
        self.total.set(Some(total));
        let failed = error.is_some();
        *self.error.borrow_mut() = error;
        if failed || self.arrivals.get() == total {
            self.news.set(true);
        }
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

/// An iterator over results of a function that runs in a group. Made by [`imap`](Group::imap) and its kin.
///
/// Each item is what the function returned, or how it failed: then the iteration goes on with the next. What the input
/// itself raises is the last item. After the end it is `None` for ever.
///
/// `next` waits for the next result and lets others run only if it waits. Dropping the iterator stops the feeding and
/// kills the members it has started, without waiting for them.
///
/// # Cancellation
///
/// A kill or a timeout inside `next` loses nothing.
pub struct IMap<R: 'static> {
    results: WaitQueue<Results<R>>,
    feeder: Greenlet<()>,
    group: Group,
    /// Whether the item that is waited for has let another one start already.
    asked: bool,
    over: bool,
}

impl<R: 'static> IMap<R> {
    /// Limits how far the members are ahead of the reader: so many are started without a reader, and one more for
    /// each item that is asked for. Zero is no limit.
    ///
    /// To be called before others run; it counts from the next start.
    #[must_use]
    pub fn maxsize(self, maxsize: usize) -> Self {
        let permits = (maxsize > 0).then(|| Semaphore::new(maxsize));
        let old = self.results.permits.replace(permits);
        // A feeder that waits for one of the old ones would never hear of the new.
        if let Some(old) = old {
            old.release();
        }
        self
    }

    /// Waits at most that long for the next item.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when it has not come by then; nothing is lost.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Result<R, Failure>>, TimedOut> {
        self.next_for(Limit::After(timeout))
    }

    fn next_for(&mut self, limit: Limit) -> Result<Option<Result<R, Failure>>, TimedOut> {
        if self.over {
            return Ok(None);
        }
        if !self.asked {
            self.asked = true;
            if let Some(permits) = &*self.results.permits.borrow() {
                permits.release();
            }
        }
        let limit = limit.fixed();
        let results = &self.results;
        loop {
            let next = results.reads.get();
            let arrived = results.arrived.borrow_mut().remove(&next);
            if let Some(result) = arrived {
                results.reads.set(next + 1);
                self.asked = false;
                return Ok(Some(result));
            }
            if results.total.get() == Some(next) {
                self.over = true;
                return Ok(results.error.take().map(Err));
            }
            results.news.set(false);
            if results.wait(Lane::First, limit, "IMap::next").is_err() && !results.is_ready() {
                return Err(TimedOut);
            }
        }
    }
}

impl<R: 'static> Iterator for IMap<R> {
    type Item = Result<R, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        // Without a limit there is nothing that could time out.
        self.next_for(Limit::Never).unwrap_or_default()
    }
}

impl<R: 'static> FusedIterator for IMap<R> {}

impl<R: 'static> Drop for IMap<R> {
    fn drop(&mut self) {
        // At the end of the thread all of them are abandoned anyway.
        if !has_hub() {
            return;
        }
        self.feeder.kill_nowait();
        let workers = self.results.workers.take();
        workers.values().for_each(|worker| self.group.killone_nowait(worker));
    }
}

impl<R: 'static> fmt::Debug for IMap<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IMap")
            .field("read", &self.results.reads.get())
            .field("running", &self.results.workers.borrow().len())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Group {
    /// Runs `f` as a member for every item, and returns an iterator over the results, in the order of the items.
    ///
    /// Does not let others run. From the next turn on the input is asked by a greenlet that is no member, whether
    /// there is a reader or not, as fast as the pool's limit and [`maxsize`](IMap::maxsize) admit. The reader must not
    /// be a member of the pool, if that can be full. Several inputs are one by [`Iterator::zip`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Pool;
    ///
    /// let pool = Pool::new(2);
    /// let mut lengths = pool.imap(["a", "bb", "ccc"], str::len).maxsize(1);
    /// assert_eq!(lengths.next().unwrap().unwrap(), 1);
    /// assert_eq!(lengths.map(Result::unwrap).collect::<Vec<_>>(), [2, 3]);
    /// ```
    pub fn imap<I, R, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
    {
        self.start_imap(true, items.into_iter(), plain(f))
    }

    /// Like [`imap`](Group::imap), with a function whose `Err` is a failure of its item.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Pool;
    ///
    /// let halves = |x: i32| 10_i32.checked_div(x).ok_or("division by zero");
    /// let results: Vec<_> = Pool::new(1).try_imap([1, 0, 2], halves).map(Result::ok).collect();
    /// assert_eq!(results, [Some(10), None, Some(5)]);
    /// ```
    pub fn try_imap<I, R, E, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
    {
        self.start_imap(true, items.into_iter(), failing(f))
    }

    /// Like [`imap`](Group::imap), with the results in the order in which they come.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie_hub::sleep;
    /// use ramie_pool::Group;
    ///
    /// let sleepers = Group::new().imap_unordered([30, 10], |ms| { sleep(Duration::from_millis(ms)); ms });
    /// assert_eq!(sleepers.map(Result::unwrap).collect::<Vec<_>>(), [10, 30]);
    /// ```
    pub fn imap_unordered<I, R, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
    {
        self.start_imap(false, items.into_iter(), plain(f))
    }

    /// Like [`imap_unordered`](Group::imap_unordered), with a function whose `Err` is a failure of its item.
    pub fn try_imap_unordered<I, R, E, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
    {
        self.start_imap(false, items.into_iter(), failing(f))
    }

    fn start_imap<I, R, F>(&self, ordered: bool, items: I, f: F) -> IMap<R>
    where
        I: Iterator<Item: 'static> + 'static,
        R: 'static,
        F: Fn(I::Item) -> Result<R, Exception> + 'static,
    {
        let results = WaitQueue::new(Results {
            arrived: RefCell::default(),
            ordered,
            arrivals: Cell::new(0),
            reads: Cell::new(0),
            news: Cell::new(false),
            total: Cell::new(None),
            error: RefCell::default(),
            workers: RefCell::default(),
            permits: RefCell::default(),
        });
        let started = Rc::new(Cell::new(0));
        let (group, shared, count, f) = (self.clone(), results.clone(), started.clone(), Rc::new(f));
        let feeder = spawn(move || {
            let mut items = items;
            loop {
                let item = match catch_unwind(AssertUnwindSafe(|| items.next())) {
                    Ok(Some(item)) => item,
                    Ok(None) => break,
                    Err(payload) => {
                        // The reader is told before the feeder has ended with it.
                        if let Some(exception) = payload.downcast_ref::<Raised>().and_then(Raised::exception)
                        {
                            shared.end(count.get(), Some(Failure::from(exception.clone())));
                            shared.check();
                        }
                        resume_unwind(payload);
                    }
                };
                let permits = shared.permits.borrow().clone();
                if let Some(permits) = permits {
                    permits.acquire();
                }
                let f = f.clone();
                let worker = group.spawn(fallible(move || f(item)));
                let position = count.replace(count.get() + 1);
                shared.workers.borrow_mut().insert(position, worker.as_any().clone());
                let arriving = shared.clone();
                worker.rawlink(move |worker: &Greenlet<R>| arrive(&arriving, position, worker.take()));
            }
            shared.end(count.get(), None);
            shared.check();
        });
        let shared = results.clone();
        feeder.rawlink(move |feeder| {
            // It was killed, or has panicked.
            if shared.total.get().is_none() {
                shared.end(started.get(), feeder.exception());
                shared.check();
            }
        });
        IMap { results, feeder, group: self.clone(), asked: false, over: false }
    }
}

fn arrive<R: 'static>(results: &WaitQueue<Results<R>>, position: usize, result: Result<R, Failure>) {
    let worker = results.workers.borrow_mut().remove(&position);
    drop(worker);
    let arrival = results.arrivals.replace(results.arrivals.get() + 1);
    let place = if results.ordered { position } else { arrival };
    results.arrived.borrow_mut().insert(place, result);
    results.news.set(true);
    results.check();
}
