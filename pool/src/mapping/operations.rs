//! The trait of everything that runs functions over inputs.

use std::fmt;
use std::panic::Location;

use ramie_hub::{Body, Builder, Exception, Failure, Greenlet, fallible};

use super::imap::{IMap, start_imap};
use super::map::{inner, start_map};
use super::spawn::{Call, Job, Spawn, TryCall};

/// Operations that run functions over inputs in a [`Group`](crate::Group) or a
/// [`Pool`](crate::Pool).
///
/// | | waits for | returns | the order of the results |
/// |---|---|---|---|
/// | [`apply`](Mapping::apply) | one call | its value | |
/// | [`apply_async`](Mapping::apply_async) | nothing | a greenlet with it | |
/// | [`map`](Mapping::map) | all calls | all values | of the inputs |
/// | [`map_async`](Mapping::map_async) | nothing | a greenlet with them | of the inputs |
/// | [`imap`](Mapping::imap) | each requested item | an iterator | of the inputs |
/// | [`imap_unordered`](Mapping::imap_unordered) | each requested item | an iterator | of completion |
///
/// Inputs come first and the function last. [`Iterator::zip`] combines several inputs. Methods that
/// begin with `try_` take a function that returns a `Result` and treat its `Err` as a failure; a
/// function without an input goes into [`fallible`] instead. The place must be able to run the
/// function and its results: a group of greenlets runs anything, a pool of threads needs `Send`
/// (and `Sync` for the function).
///
/// # Nested use
///
/// A member that calls [`apply`](Mapping::apply) on its own pool runs the function itself and never
/// waits for a slot. The other methods need a slot for each call while the member keeps its own.
/// The pool lends one extra slot to the mapping once all its slots are held by members that wait in
/// [`map`](Mapping::map), in [`map_cb`](Mapping::map_cb), for the next item of an [`IMap`], or in
/// the `try_` variants of these. The mapping therefore continues, one call after the other, and at
/// most as many calls run at once as the pool has slots. In gevent all of these members wait
/// forever. Other waits, for example [`get`](ramie_hub::Greenlet::get) on the greenlet that
/// [`map_async`](Mapping::map_async) returned, get no extra slot. A job of a
/// [`ThreadPool`](crate::ThreadPool) runs all of these calls itself and waits for no thread.
///
/// # Examples
///
/// ```
/// use ramie::{Mapping, Pool};
///
/// let pool = Pool::new(2);
/// let sums = pool.map([1, 2, 3].into_iter().zip([10, 20, 30]), |(x, y)| x + y);
/// assert_eq!(sums.unwrap(), [11, 22, 33]);
/// ```
pub trait Mapping: Clone + 'static {
    // --- one call -----------------------------------------------------------------------------------------------

    /// Runs a function as a member and waits for its result.
    ///
    /// A call from a member runs the function in the caller, so that members of a full pool can use
    /// it. Then other greenlets run only if the function waits, and a panic of the function is the
    /// caller's. Otherwise the caller waits, also for a slot if this is a full pool.
    ///
    /// # Errors
    ///
    /// The function's failure: the `Err` of a [`fallible`] function, a panic, or a kill of the
    /// member.
    ///
    /// # Cancellation
    ///
    /// A function that has started runs to its end when the caller is interrupted.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Mapping, Pool};
    ///
    /// let pool = Pool::new(1);
    /// let inner = pool.clone();
    /// assert_eq!(pool.apply(move || inner.apply(|| 5).unwrap() + 1).unwrap(), 6);
    /// ```
    #[track_caller]
    fn apply<B>(&self, f: B) -> Result<B::Value, Failure>
    where
        B: Body,
        Self: Spawn<B>,
    {
        if self.is_inside() {
            return f.run().map_err(|error| Failure::from(Exception::new(error)));
        }
        self.spawn_at(f, Location::caller()).take()
    }

    /// Calls [`apply`](Mapping::apply) and, if there is a value, `callback` with a clone of the
    /// value, in a new greenlet that is not a member.
    ///
    /// # Errors
    ///
    /// As [`apply`](Mapping::apply).
    ///
    /// # Cancellation
    ///
    /// As [`apply`](Mapping::apply); then the callback is not called.
    #[track_caller]
    fn apply_cb<B>(&self, f: B, callback: impl FnOnce(B::Value) + 'static) -> Result<B::Value, Failure>
    where
        B: Body<Value: Clone>,
        Self: Spawn<B>,
    {
        let value = self.apply(f)?;
        let copy = value.clone();
        Builder::new().spawn(move || callback(copy));
        Ok(value)
    }

    /// Starts a function as a member and returns its greenlet. Does not let other greenlets run,
    /// even if this is a full pool.
    ///
    /// In a full pool and in a pool of threads the returned greenlet is not a member: it waits for
    /// a slot, starts the function and takes over its result. Killing that greenlet does not stop a
    /// function that has started. A failure is then reported twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Mapping, Pool};
    ///
    /// let pool = Pool::new(1);
    /// let jobs = [1, 2, 3].map(|i| pool.apply_async(move || i * 10));
    /// assert_eq!(pool.len(), 1);
    /// assert_eq!(jobs.map(|job| job.get().unwrap()), [10, 20, 30]);
    /// ```
    #[track_caller]
    fn apply_async<B>(&self, f: B) -> Greenlet<B::Value>
    where
        B: Body,
        Self: Spawn<B>,
    {
        self.try_spawn_at(f, Location::caller()).unwrap_or_else(|f| {
            let place = self.clone();
            Builder::new().spawn(fallible(move || place.apply(f).map_err(Exception::new)))
        })
    }

    /// Calls [`apply_async`](Mapping::apply_async) and, if there is a value, `callback` with a
    /// clone of the value, in a new greenlet that is not a member.
    ///
    /// Unless this is a full pool, the callback runs before any waiter that waits for the greenlet
    /// later.
    #[track_caller]
    fn apply_async_cb<B>(&self, f: B, callback: impl FnOnce(B::Value) + 'static) -> Greenlet<B::Value>
    where
        B: Body<Value: Clone>,
        Self: Spawn<B>,
    {
        match self.try_spawn_at(f, Location::caller()) {
            Ok(greenlet) => {
                greenlet.link_value(|greenlet| {
                    if let Some(value) = greenlet.value() {
                        callback(value);
                    }
                });
                greenlet
            }
            Err(f) => {
                let place = self.clone();
                Builder::new().spawn(fallible(move || place.apply_cb(f, callback).map_err(Exception::new)))
            }
        }
    }

    // --- all results at once ------------------------------------------------------------------------------------

    /// Runs `f` as a member for every item, and returns the results in the order of the items.
    ///
    /// A greenlet that is not a member starts the members, as fast as the pool's limit allows, and
    /// the caller waits for all of them. A member of a full pool may call it: see [nested
    /// use](Mapping#nested-use).
    ///
    /// # Errors
    ///
    /// The first failure by position, once all items before it are done; the other members
    /// continue. A failure is a panic, a kill of a member (also a plain one), or an exception of
    /// the input itself, after which started members continue.
    ///
    /// # Cancellation
    ///
    /// All items are still processed when the caller is interrupted, including the items that have
    /// not been started by then. Use [`map_async`](Mapping::map_async) to be able to stop it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Mapping, Pool};
    ///
    /// assert_eq!(Pool::new(3).map(1..=4, |x| x * x).unwrap(), [1, 4, 9, 16]);
    /// ```
    #[track_caller]
    fn map<I, R, F>(&self, items: I, f: F) -> Result<Vec<R>, Failure>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
        Self: Spawn<Call<F, I::Item>>,
    {
        let mapping = self.map_async(items, f);
        let _waits = self.wait_for_mapping();
        mapping.take().map_err(inner)
    }

    /// Calls [`map`](Mapping::map) with a fallible function: an `Err` is a failure of its item.
    ///
    /// This is to a function over items what [`fallible`] is to a body. With [`map`](Mapping::map)
    /// an `Err` is a value like any other.
    ///
    /// # Errors
    ///
    /// As [`map`](Mapping::map), and the first `Err` by position.
    ///
    /// # Cancellation
    ///
    /// As [`map`](Mapping::map).
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Group, Mapping};
    ///
    /// let numbers = Group::new().try_map(["1", "two", "3"], |text| text.parse::<u32>());
    /// assert!(numbers.unwrap_err().is::<std::num::ParseIntError>());
    /// ```
    #[track_caller]
    fn try_map<I, R, E, F>(&self, items: I, f: F) -> Result<Vec<R>, Failure>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
        Self: Spawn<TryCall<F, I::Item>>,
    {
        let mapping = self.try_map_async(items, f);
        let _waits = self.wait_for_mapping();
        mapping.take().map_err(inner)
    }

    /// Calls [`map`](Mapping::map) and, if there are all results, `callback` with them before it
    /// returns.
    ///
    /// # Errors
    ///
    /// As [`map`](Mapping::map).
    ///
    /// # Cancellation
    ///
    /// As [`map`](Mapping::map); then the callback is not called.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Group, Mapping};
    ///
    /// let mut sum = 0;
    /// Group::new().map_cb(1..=3, |x| x * x, |squares| sum = squares.iter().sum()).unwrap();
    /// assert_eq!(sum, 14);
    /// ```
    #[track_caller]
    fn map_cb<I, R, F>(&self, items: I, f: F, callback: impl FnOnce(&[R])) -> Result<Vec<R>, Failure>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
        Self: Spawn<Call<F, I::Item>>,
    {
        self.map(items, f).inspect(|results| callback(results))
    }

    /// Calls [`map_cb`](Mapping::map_cb) with a fallible function: an `Err` is a failure of its
    /// item.
    ///
    /// # Errors
    ///
    /// As [`try_map`](Mapping::try_map).
    ///
    /// # Cancellation
    ///
    /// As [`map_cb`](Mapping::map_cb).
    #[track_caller]
    fn try_map_cb<I, R, E, F>(&self, items: I, f: F, callback: impl FnOnce(&[R])) -> Result<Vec<R>, Failure>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
        Self: Spawn<TryCall<F, I::Item>>,
    {
        self.try_map(items, f).inspect(|results| callback(results))
    }

    /// Starts a [`map`](Mapping::map) and returns the greenlet that will have its results. Does not
    /// let other greenlets run.
    ///
    /// The greenlet is not a member. Killing it kills the members that it has started, without
    /// waiting for them, and starts no more; gevent leaves all of them running. A panic of a member
    /// is the greenlet's exception, which holds the [`Failure`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Mapping, Pool};
    ///
    /// let squares = Pool::new(2).map_async(0..4, |x| x * x);
    /// assert_eq!(squares.take().unwrap(), [0, 1, 4, 9]);
    /// ```
    #[track_caller]
    fn map_async<I, R, F>(&self, items: I, f: F) -> Greenlet<Vec<R>>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
        Self: Spawn<Call<F, I::Item>>,
    {
        self.map_async_cb(items, f, |_| ())
    }

    /// Calls [`map_async`](Mapping::map_async) with a fallible function: an `Err` is a failure of
    /// its item.
    #[track_caller]
    fn try_map_async<I, R, E, F>(&self, items: I, f: F) -> Greenlet<Vec<R>>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
        Self: Spawn<TryCall<F, I::Item>>,
    {
        self.try_map_async_cb(items, f, |_| ())
    }

    /// Calls [`map_async`](Mapping::map_async) and, if there are all results, `callback` with them,
    /// in that greenlet, before any waiter sees them.
    #[track_caller]
    fn map_async_cb<I, R, F>(&self, items: I, f: F, callback: impl FnOnce(&[R]) + 'static) -> Greenlet<Vec<R>>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
        Self: Spawn<Call<F, I::Item>>,
    {
        start_map(self, Call::all(f, items.into_iter()), callback, Location::caller())
    }

    /// Calls [`map_async_cb`](Mapping::map_async_cb) with a fallible function: an `Err` is a
    /// failure of its item.
    #[track_caller]
    fn try_map_async_cb<I, R, E, F>(
        &self,
        items: I,
        f: F,
        callback: impl FnOnce(&[R]) + 'static,
    ) -> Greenlet<Vec<R>>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
        Self: Spawn<TryCall<F, I::Item>>,
    {
        start_map(self, TryCall::all(f, items.into_iter()), callback, Location::caller())
    }

    // --- results as they come -----------------------------------------------------------------------------------

    /// Runs `f` as a member for every item, and returns an iterator over the results, in the order
    /// of the items.
    ///
    /// Does not let other greenlets run. From the next turn of the hub, a greenlet that is not a
    /// member takes the inputs, with or without a reader, as fast as the pool's limit and
    /// [`maxsize`](IMap::maxsize) allow. The reader may be a member of the pool, even of a full
    /// one: see [nested use](Mapping#nested-use).
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Mapping, Pool};
    ///
    /// let pool = Pool::new(2);
    /// let mut lengths = pool.imap(["a", "bb", "ccc"], str::len).maxsize(1);
    /// assert_eq!(lengths.next().unwrap().unwrap(), 1);
    /// assert_eq!(lengths.map(Result::unwrap).collect::<Vec<_>>(), [2, 3]);
    /// ```
    #[track_caller]
    fn imap<I, R, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
        Self: Spawn<Call<F, I::Item>>,
    {
        start_imap(self, true, Call::all(f, items.into_iter()), Location::caller())
    }

    /// Calls [`imap`](Mapping::imap) with a fallible function: an `Err` is a failure of its item.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::{Mapping, Pool};
    ///
    /// let halves = |x: i32| 10_i32.checked_div(x).ok_or("division by zero");
    /// let results: Vec<_> = Pool::new(1).try_imap([1, 0, 2], halves).map(Result::ok).collect();
    /// assert_eq!(results, [Some(10), None, Some(5)]);
    /// ```
    #[track_caller]
    fn try_imap<I, R, E, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
        Self: Spawn<TryCall<F, I::Item>>,
    {
        start_imap(self, true, TryCall::all(f, items.into_iter()), Location::caller())
    }

    /// Calls [`imap`](Mapping::imap) with the results in the order of completion.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::{Group, Mapping, sleep};
    ///
    /// let sleepers = Group::new().imap_unordered([30, 10], |ms| { sleep(Duration::from_millis(ms)); ms });
    /// assert_eq!(sleepers.map(Result::unwrap).collect::<Vec<_>>(), [10, 30]);
    /// ```
    #[track_caller]
    fn imap_unordered<I, R, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        F: Fn(I::Item) -> R + 'static,
        Self: Spawn<Call<F, I::Item>>,
    {
        start_imap(self, false, Call::all(f, items.into_iter()), Location::caller())
    }

    /// Calls [`imap_unordered`](Mapping::imap_unordered) with a fallible function: an `Err` is a
    /// failure of its item.
    #[track_caller]
    fn try_imap_unordered<I, R, E, F>(&self, items: I, f: F) -> IMap<R>
    where
        I: IntoIterator<IntoIter: 'static, Item: 'static>,
        R: 'static,
        E: fmt::Debug + fmt::Display + 'static,
        F: Fn(I::Item) -> Result<R, E> + 'static,
        Self: Spawn<TryCall<F, I::Item>>,
    {
        start_imap(self, false, TryCall::all(f, items.into_iter()), Location::caller())
    }
}

impl Mapping for crate::Group {}

impl Mapping for crate::Pool {}
