//! The two kinds of primitives, of one thread and of any thread, and the parts of a primitive that
//! differ: its wait queue, and the cell of the value in a lock.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::DerefMut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::sealed::Sealed;
use crate::error::TimedOut;
use crate::shared;
use crate::task::Lane;
use crate::wait::limit::Limit;
use crate::wait::turn::Turn;
use crate::wait::wait_queue;
use crate::wait::waitable::Waitable;

/// The kind of a primitive: [`Local`] for the greenlets of one thread, [`Shared`] for any thread.
///
/// # Examples
///
/// A function for both kinds of semaphores:
///
/// ```
/// use ramie::generic::{Semaphore, Sharing};
///
/// fn half<K: Sharing>(semaphore: &Semaphore<K>) {
///     for _ in 0..semaphore.counter() / 2 {
///         semaphore.acquire();
///     }
/// }
///
/// let (local, shared) = (ramie::sync::Semaphore::new(4), ramie::shared::Semaphore::new(6));
/// half(&local);
/// half(&shared);
/// assert_eq!((local.counter(), shared.counter()), (2, 3));
/// ```
pub trait Sharing: Sealed + Copy + fmt::Debug + 'static {
    /// The wait queue of a primitive of this kind.
    type Queue<S: wait_queue::Waits + shared::Waits>: Queue<S>;

    /// The value in a lock of this kind.
    type Value<T: ?Sized>: Guarded<T> + ?Sized;
}

/// The greenlets of one thread. Primitives of this kind are not `Send`, and cost less.
#[derive(Clone, Copy, Debug)]
pub struct Local;

/// The greenlets of all hubs, and threads without a hub.
#[derive(Clone, Copy, Debug)]
pub struct Shared;

mod sealed {
    #[expect(unnameable_types, reason = "other crates cannot add a kind")]
    pub trait Sealed {}
    impl Sealed for super::Local {}
    impl Sealed for super::Shared {}
}

impl Sharing for Local {
    type Queue<S: wait_queue::Waits + shared::Waits> = wait_queue::WaitQueue<S>;
    type Value<T: ?Sized> = RefCell<T>;
}

impl Sharing for Shared {
    type Queue<S: wait_queue::Waits + shared::Waits> = shared::WaitQueue<S>;
    type Value<T: ?Sized> = Mutex<T>;
}

/// A state with its waiters, in a [`WaitQueue`](crate::WaitQueue) or a
/// [`shared::WaitQueue`](crate::shared::WaitQueue). Clones are the same queue.
///
/// The state changes through cells. The functions that are called with it must not wait and must
/// run no user code, because the state may be locked.
pub trait Queue<S>: Waitable + Clone {
    /// Creates a state without waiters.
    fn new(state: S) -> Self;

    /// Calls `f` with the state. `f` must not make a change that lets a waiter proceed.
    fn with<R>(&self, f: impl FnOnce(&S) -> R) -> R;

    /// Calls `f` with the state, and then notifies the waiters that can proceed. Does not let other
    /// greenlets run.
    fn change<R>(&self, f: impl FnOnce(&S) -> R) -> R;

    /// Calls `look` with the state until it returns `Some`, and waits in the lane between two
    /// calls. Lets other greenlets run only if it waits. `reason` names the call in reports.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when the limit is reached and the last call of `look` returned `None`.
    fn wait<R>(
        &self,
        lane: Lane,
        limit: Limit,
        reason: &'static str,
        look: impl FnMut(&S, Turn) -> Option<R>,
    ) -> Result<R, TimedOut>;

    /// Returns the number of waiters and links in each lane, without notified ones.
    fn waiting(&self) -> [usize; 2];
}

impl<S: wait_queue::Waits> Queue<S> for wait_queue::WaitQueue<S> {
    fn new(state: S) -> Self {
        wait_queue::WaitQueue::new(state)
    }

    #[inline(always)]
    fn with<R>(&self, f: impl FnOnce(&S) -> R) -> R {
        f(self)
    }

    #[inline(always)]
    fn change<R>(&self, f: impl FnOnce(&S) -> R) -> R {
        let result = f(self);
        self.check();
        result
    }

    #[inline(always)]
    fn wait<R>(
        &self,
        lane: Lane,
        limit: Limit,
        reason: &'static str,
        look: impl FnMut(&S, Turn) -> Option<R>,
    ) -> Result<R, TimedOut> {
        wait_queue::WaitQueue::wait(self, lane, limit, reason, look).map_err(|_| TimedOut)
    }

    fn waiting(&self) -> [usize; 2] {
        wait_queue::WaitQueue::waiting(self)
    }
}

impl<S: shared::Waits> Queue<S> for shared::WaitQueue<S> {
    fn new(state: S) -> Self {
        shared::WaitQueue::new(state)
    }

    fn with<R>(&self, f: impl FnOnce(&S) -> R) -> R {
        f(&self.lock())
    }

    fn change<R>(&self, f: impl FnOnce(&S) -> R) -> R {
        f(&self.lock())
    }

    fn wait<R>(
        &self,
        lane: Lane,
        limit: Limit,
        reason: &'static str,
        mut look: impl FnMut(&S, Turn) -> Option<R>,
    ) -> Result<R, TimedOut> {
        shared::WaitQueue::wait(self, lane, limit, reason, |state, turn| look(state, turn))
    }

    fn waiting(&self) -> [usize; 2] {
        self.lock().waiting()
    }
}

/// A value that is borrowed exactly while a lock is held, so that borrowing it never fails or
/// blocks.
pub trait Guarded<T: ?Sized> {
    /// The reference to the borrowed value.
    type Ref<'a>: DerefMut<Target = T>
    where
        Self: 'a,
        T: 'a;

    /// Creates a value that is not borrowed.
    fn new(value: T) -> Self
    where
        T: Sized,
        Self: Sized;

    /// Borrows the value.
    fn borrow(&self) -> Self::Ref<'_>;

    /// Returns the value through a reference that proves that it is not borrowed.
    fn get_mut(&mut self) -> &mut T;

    /// Returns the value.
    fn into_inner(self) -> T
    where
        T: Sized,
        Self: Sized;
}

impl<T: ?Sized> Guarded<T> for RefCell<T> {
    type Ref<'a>
        = RefMut<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self
    where
        T: Sized,
    {
        RefCell::new(value)
    }

    fn borrow(&self) -> RefMut<'_, T> {
        self.borrow_mut()
    }

    fn get_mut(&mut self) -> &mut T {
        self.get_mut()
    }

    fn into_inner(self) -> T
    where
        T: Sized,
    {
        self.into_inner()
    }
}

/// Poisoning records that a guard was dropped by unwinding, which is no error here.
impl<T: ?Sized> Guarded<T> for Mutex<T> {
    type Ref<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self
    where
        T: Sized,
    {
        Mutex::new(value)
    }

    fn borrow(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get_mut(&mut self) -> &mut T {
        self.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn into_inner(self) -> T
    where
        T: Sized,
    {
        self.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
