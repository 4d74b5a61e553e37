//! Running one function in a group, and waiting for its result or not.

use ramie_hub::{Body, Exception, Failure, Greenlet, fallible, getcurrent, spawn};

use crate::group::Group;

impl Group {
    /// Runs a function as a member and waits for its result.
    ///
    /// Called by a member, it runs the function right there, in the caller, so that members of a full pool can use
    /// it; then others run only if the function waits, and a panic of the function is the caller's. Otherwise the
    /// caller waits, for a slot too if this is a full pool.
    ///
    /// # Errors
    ///
    /// How the function failed: the `Err` of a [`fallible`] one, a panic, a kill of the member.
    ///
    /// # Cancellation
    ///
    /// The function runs on when the caller is interrupted, once it has been started.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Pool;
    ///
    /// let pool = Pool::new(1);
    /// let inner = pool.clone();
    /// assert_eq!(pool.apply(move || inner.apply(|| 5).unwrap() + 1).unwrap(), 6);
    /// ```
    #[track_caller]
    pub fn apply<B: Body>(&self, f: B) -> Result<B::Value, Failure> {
        if self.contains(&getcurrent()) {
            return f.run().map_err(Failure::from);
        }
        self.spawn(f).take()
    }

    /// Like [`apply`](Group::apply), and calls `callback` with a clone of the value, if there is one, in a greenlet
    /// of its own that is no member.
    ///
    /// # Errors
    ///
    /// As [`apply`](Group::apply).
    ///
    /// # Cancellation
    ///
    /// As [`apply`](Group::apply); the callback is not called then.
    #[track_caller]
    pub fn apply_cb<B: Body>(
        &self,
        f: B,
        callback: impl FnOnce(B::Value) + 'static,
    ) -> Result<B::Value, Failure>
    where
        B::Value: Clone,
    {
        let value = self.apply(f)?;
        let copy = value.clone();
        spawn(move || callback(copy));
        Ok(value)
    }

    /// Starts a function as a member and returns its greenlet. Does not let others run, even if this is a full pool.
    ///
    /// If it is, the greenlet returned is no member: it waits for a slot, runs the function as a member, and has its
    /// result. Killing it then does not stop a function that was started. A failure is reported twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie_pool::Pool;
    ///
    /// let pool = Pool::new(1);
    /// let jobs = [1, 2, 3].map(|i| pool.apply_async(move || i * 10));
    /// assert_eq!(pool.len(), 1);
    /// assert_eq!(jobs.map(|job| job.get().unwrap()), [10, 20, 30]);
    /// ```
    #[track_caller]
    pub fn apply_async<B: Body>(&self, f: B) -> Greenlet<B::Value> {
        if !self.full() {
            return self.spawn(f);
        }
        let group = self.clone();
        spawn(fallible(move || group.apply(f).map_err(Exception::new)))
    }

    /// Like [`apply_async`](Group::apply_async), and calls `callback` with a clone of the value, if there is one, in
    /// a greenlet of its own that is no member.
    ///
    /// If this is no full pool the callback runs ahead of whoever waits for the greenlet afterwards.
    #[track_caller]
    pub fn apply_async_cb<B: Body>(
        &self,
        f: B,
        callback: impl FnOnce(B::Value) + 'static,
    ) -> Greenlet<B::Value>
    where
        B::Value: Clone,
    {
        if self.full() {
            let group = self.clone();
            return spawn(fallible(move || group.apply_cb(f, callback).map_err(Exception::new)));
        }
        let greenlet = self.spawn(f);
        greenlet.link_value(|greenlet| {
            if let Some(value) = greenlet.value() {
                callback(value);
            }
        });
        greenlet
    }
}
