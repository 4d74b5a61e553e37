//! A group with a limit on the number of its members.

use std::fmt;
use std::ops::Deref;

use ramie_hub::{AnyGreenlet, Body, Builder, Greenlet, Limit, Semaphore};

use crate::error::PoolFull;
use crate::group::Group;
use crate::members::Members;

/// A [`Group`] with a limit on the number of its members: gevent's `Pool`. Clones are the same
/// pool.
///
/// A pool dereferences to its [`Group`], which has all operations of a group.
/// [`spawn`](Group::spawn), [`add`](Group::add) and [`start`](Group::start) wait for a slot when
/// the pool is full.
///
/// # Examples
///
/// ```
/// use ramie::{Pool, yield_now};
///
/// let pool = Pool::new(2);
/// for _ in 0..5 {
///     // Waits whenever two are running already.
///     pool.spawn(yield_now);
///     assert!(pool.len() <= 2);
/// }
/// pool.join();
/// assert_eq!(pool.free_count(), 2);
/// ```
#[derive(Clone)]
pub struct Pool {
    group: Group,
    size: Option<usize>,
}

impl Pool {
    /// Creates a pool with `size` slots. A pool of size 0 never takes a member.
    pub fn new(size: usize) -> Self {
        Self::with_builder(Some(size), Builder::new())
    }

    /// Creates a pool without a limit.
    pub fn unlimited() -> Self {
        Self::with_builder(None, Builder::new())
    }

    /// Creates a pool, limited or not, that makes its greenlets with `builder`, which sets their
    /// names and stacks.
    pub fn with_builder(size: Option<usize>, builder: Builder) -> Self {
        Pool { group: Group { members: Members::new(builder, size) }, size }
    }

    /// Returns the group that this pool is.
    pub fn as_group(&self) -> &Group {
        &self.group
    }

    /// Returns the number of slots; `None` without a limit.
    pub fn size(&self) -> Option<usize> {
        self.size
    }

    /// Returns the number of free slots; always 1 without a limit, as in gevent.
    pub fn free_count(&self) -> usize {
        self.group.members.slots.as_ref().map_or(1, Semaphore::counter)
    }

    /// Waits for a free slot for at most `timeout` and reserves nothing. Returns the number of free
    /// slots, which may be 0. Lets other greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`wait_available`](Group::wait_available).
    pub fn wait_available_timeout(&self, timeout: impl Into<Limit>) -> usize {
        self.group.members.slots.as_ref().map_or(1, |slots| slots.wait_timeout(timeout))
    }

    // --- entering -----------------------------------------------------------------------------------------------

    /// Adds a greenlet if a slot is free. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] when no slot is free; the greenlet is not a member.
    pub fn try_add(&self, greenlet: &AnyGreenlet) -> Result<(), PoolFull> {
        let members = &self.group.members;
        members.try_acquire().then(|| members.enter(greenlet)).ok_or(PoolFull(()))
    }

    /// Adds a greenlet, waiting for a slot for at most `timeout`. Lets other greenlets run only if
    /// it waits.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] when no slot became free; the greenlet is not a member.
    ///
    /// # Cancellation
    ///
    /// Same as for [`add`](Group::add).
    pub fn add_timeout(&self, greenlet: &AnyGreenlet, timeout: impl Into<Limit>) -> Result<(), PoolFull> {
        self.add_for(greenlet, timeout.into())
    }

    fn add_for(&self, greenlet: &AnyGreenlet, limit: Limit) -> Result<(), PoolFull> {
        let members = &self.group.members;
        members.acquire(limit).then(|| members.enter(greenlet)).ok_or(PoolFull(()))
    }

    /// Adds a greenlet and starts it, if a slot is free. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] when no slot is free; the greenlet is neither started nor a member.
    pub fn try_start(&self, greenlet: &AnyGreenlet) -> Result<(), PoolFull> {
        self.try_add(greenlet).map(|()| greenlet.start())
    }

    /// Adds a greenlet and starts it, waiting for a slot for at most `timeout`. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] when no slot became free; the greenlet is neither started nor a member.
    ///
    /// # Cancellation
    ///
    /// Same as for [`start`](Group::start).
    pub fn start_timeout(&self, greenlet: &AnyGreenlet, timeout: impl Into<Limit>) -> Result<(), PoolFull> {
        self.add_timeout(greenlet, timeout).map(|()| greenlet.start())
    }

    /// Spawns a greenlet as a member, if a slot is free. Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] with the body when no slot is free.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::pool::PoolFull;
    /// use ramie::Pool;
    ///
    /// let pool = Pool::new(1);
    /// let job = pool.try_spawn(|| 5).unwrap();
    /// let PoolFull(body) = pool.try_spawn(|| 6).unwrap_err();
    /// assert_eq!(job.get().unwrap() + body(), 11);
    /// ```
    #[track_caller]
    pub fn try_spawn<B: Body>(&self, body: B) -> Result<Greenlet<B::Value>, PoolFull<B>> {
        self.group.members.spawn_within(body, None, None).map_err(PoolFull)
    }

    /// Spawns a greenlet as a member, waiting for a slot for at most `timeout`. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Errors
    ///
    /// [`PoolFull`] with the body when no slot became free.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller takes no slot and drops the body.
    #[track_caller]
    pub fn spawn_timeout<B: Body>(
        &self,
        body: B,
        timeout: impl Into<Limit>,
    ) -> Result<Greenlet<B::Value>, PoolFull<B>> {
        self.group.members.spawn_within(body, Some(timeout.into()), None).map_err(PoolFull)
    }
}

impl Deref for Pool {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("len", &self.len())
            .field("free", &self.members.slots.as_ref().map(Semaphore::counter))
            .finish_non_exhaustive()
    }
}
