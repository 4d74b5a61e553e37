//! Running one function over many inputs, and waiting for all results.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use ramie_hub::{Exception, Failure, Greenlet, fallible, spawn};

use crate::group::Group;

/// A function of the user's in the one form that the workers run.
pub(crate) fn plain<A, R>(f: impl Fn(A) -> R + 'static) -> impl Fn(A) -> Result<R, Exception> + 'static {
    move |item| Ok(f(item))
}

/// A fallible function of the user's in the one form that the workers run.
pub(crate) fn failing<A, R, E>(
    f: impl Fn(A) -> Result<R, E> + 'static,
) -> impl Fn(A) -> Result<R, Exception> + 'static
where
    E: fmt::Debug + fmt::Display + 'static,
{
    move |item| f(item).map_err(Exception::new)
}

/// The failure itself, if a greenlet has failed with another's failure.
pub(crate) fn inner(failure: Failure) -> Failure {
    failure.downcast_ref::<Failure>().cloned().unwrap_or(failure)
}

/// What a mapping greenlet and its link share.
struct Progress<R> {
    workers: RefCell<Vec<Greenlet<R>>>,
    /// The input is being asked; an exception now is its own.
    asking: Cell<bool>,
    /// The greenlet has come to its end by itself, well or not.
    over: Cell<bool>,
}

impl Group {
    /// Runs `f` as a member for every item, and returns the results in the order of the items.
    ///
    /// A greenlet that is no member starts the members, as fast as the pool's limit admits, and the caller waits for
    /// all of them. From a member of a full pool this waits for ever. Several inputs are one by [`Iterator::zip`].
    ///
    /// # Errors
    ///
    /// The first failure by position, once all items before it are done; the others run on. A failure is a panic, a
    /// kill of a member, a plain one too, or whatever the input itself raises, after which what was started runs on.
    ///
    /// # Cancellation
    ///
    /// Everything runs on when the caller is interrupted, also what has not been started by then. To be able to stop
    /// it use [`map_async`](Group::map_async).
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Pool;
    ///
    /// let pool = Pool::new(3);
    /// assert_eq!(pool.map(1..=4, |x| x * x).unwrap(), [1, 4, 9, 16]);
    /// let sums = pool.map([1, 2].into_iter().zip([10, 20]), |(x, y)| x + y);
    /// assert_eq!(sums.unwrap(), [11, 22]);
    /// ```
    pub fn map<I, R, F>(&self, items: I, f: F) -> Result<Vec<R>, Failure>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
    {
        self.map_async(items, f).take().map_err(inner)
    }

    /// Like [`map`](Group::map), with a function whose `Err` is a failure of its item.
    ///
    /// That is what [`fallible`] is to a body. With [`map`](Group::map) an `Err` is a value like any other.
    ///
    /// # Errors
    ///
    /// As [`map`](Group::map), and the first `Err` by position.
    ///
    /// # Cancellation
    ///
    /// As [`map`](Group::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Group;
    ///
    /// let numbers = Group::new().try_map(["1", "two", "3"], |text| text.parse::<u32>());
    /// assert!(numbers.unwrap_err().is::<std::num::ParseIntError>());
    /// ```
    pub fn try_map<I, R, E, F>(&self, items: I, f: F) -> Result<Vec<R>, Failure>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
    {
        self.try_map_async(items, f).take().map_err(inner)
    }

    /// Like [`map`](Group::map), and calls `callback` with the results, if there are all of them, before it returns.
    ///
    /// # Errors
    ///
    /// As [`map`](Group::map).
    ///
    /// # Cancellation
    ///
    /// As [`map`](Group::map); the callback is not called then.
    pub fn map_cb<I, R, F>(&self, items: I, f: F, callback: impl FnOnce(&[R])) -> Result<Vec<R>, Failure>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
    {
        let results = self.map(items, f)?;
        callback(&results);
        Ok(results)
    }

    /// Starts a [`map`](Group::map) and returns the greenlet that will have its results. Does not let others run.
    ///
    /// The greenlet is no member. Killing it kills the members that it has started, without waiting for them, and
    /// starts no more; gevent leaves all of them running. gevent's `callback` is
    /// [`link_value`](Greenlet::link_value). A panic of a member is the greenlet's exception, which holds the
    /// [`Failure`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Pool;
    ///
    /// let squares = Pool::new(2).map_async(0..4, |x| x * x);
    /// assert_eq!(squares.take().unwrap(), [0, 1, 4, 9]);
    /// ```
    pub fn map_async<I, R, F>(&self, items: I, f: F) -> Greenlet<Vec<R>>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
    {
        self.start_map(items.into_iter(), plain(f))
    }

    /// Like [`map_async`](Group::map_async), with a function whose `Err` is a failure of its item.
    pub fn try_map_async<I, R, E, F>(&self, items: I, f: F) -> Greenlet<Vec<R>>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
    {
        self.start_map(items.into_iter(), failing(f))
    }

    fn start_map<I, R, F>(&self, mut items: I, f: F) -> Greenlet<Vec<R>>
    where
        I: Iterator<Item: 'static> + 'static,
        R: 'static,
        F: Fn(I::Item) -> Result<R, Exception> + 'static,
    {
        let progress = Rc::new(Progress {
            workers: RefCell::default(),
            asking: Cell::new(false),
            over: Cell::new(false),
        });
        let (group, shared, f) = (self.clone(), progress.clone(), Rc::new(f));
        let mapping = spawn(fallible(move || {
            loop {
                shared.asking.set(true);
                let item = items.next();
                shared.asking.set(false);
                let Some(item) = item else { break };
                let f = f.clone();
                let worker = group.spawn(fallible(move || f(item)));
                shared.workers.borrow_mut().push(worker);
            }
            let mut results = Vec::new();
            let workers = shared.workers.borrow().clone();
            for worker in workers {
                match worker.take() {
                    Ok(result) => results.push(result),
                    Err(failure) => {
                        shared.over.set(true);
                        return Err(Exception::new(failure));
                    }
                }
            }
            shared.over.set(true);
            Ok(results)
        }));
        let group = self.clone();
        mapping.rawlink(move |mapping| {
            let input_failed = progress.asking.get() && mapping.exception().is_some();
            let workers = progress.workers.take();
            if !progress.over.get() && !input_failed {
                workers.iter().for_each(|worker| group.killone_nowait(worker));
            }
        });
        mapping
    }
}
