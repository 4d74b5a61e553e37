//! A recursive lock.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use ramie_hub::Limit;
use ramie_hub::{AnyGreenlet, Semaphore, get_hub, getcurrent};

struct State {
    free: Semaphore,
    owner: RefCell<Option<AnyGreenlet>>,
    count: Cell<usize>,
}

/// A recursive lock that is owned by a greenlet: gevent's `RLock`. The owner may acquire it again,
/// and must release it as often as it acquired it.
///
/// Clones are the same lock.
///
/// # Examples
///
/// ```
/// use ramie::sync::RLock;
///
/// let lock = RLock::new();
/// let outer = lock.lock();
/// let inner = lock.lock();
/// drop(inner);
/// assert!(lock.locked());
/// drop(outer);
/// assert!(!lock.locked());
/// ```
#[derive(Clone)]
pub struct RLock {
    state: Rc<State>,
}

/// The error of releasing an [`RLock`] that the caller does not own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotOwner;

impl fmt::Display for NotOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is not held by this greenlet")
    }
}

impl Error for NotOwner {}

/// A guard that releases the lock once when it is dropped, unless the owner has released it
/// already. Returned by [`RLock::lock`].
#[derive(Debug)]
pub struct RLockGuard<'a> {
    lock: &'a RLock,
    /// The greenlet that acquired the lock.
    owner: AnyGreenlet,
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        // A guard that another greenlet drops still releases its own acquisition. It releases
        // nothing if the lock has a different owner since an explicit release.
        let mine = self.lock.state.owner.borrow().as_ref().is_some_and(|owner| owner.is(&self.owner));
        if mine {
            self.lock.give_back();
        }
    }
}

impl RLock {
    /// Creates an unlocked lock.
    pub fn new() -> Self {
        RLock {
            state: Rc::new(State { free: Semaphore::new(1), owner: RefCell::new(None), count: Cell::new(0) }),
        }
    }

    /// Returns `true` if a greenlet owns the lock.
    pub fn locked(&self) -> bool {
        self.state.count.get() > 0
    }

    /// Returns `true` if the running greenlet owns the lock.
    pub fn is_owned(&self) -> bool {
        // A callback of the hub runs on main's stack, but it is no greenlet and owns nothing.
        !get_hub().in_callback()
            && self.state.owner.borrow().as_ref().is_some_and(|owner| owner.is(&getcurrent()))
    }

    /// Acquires the lock, waiting until it is free or owned by the running greenlet. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout during the wait does not take the lock. An owner that ends without a
    /// release leaves the lock locked; the guard of [`lock`](RLock::lock) releases it.
    pub fn acquire(&self) {
        if !self.again() {
            self.state.free.acquire();
            self.own();
        }
    }

    /// Acquires the lock if it is free or owned by the running greenlet.
    pub fn try_acquire(&self) -> bool {
        self.again() || self.owned_if(self.state.free.try_acquire())
    }

    /// Acquires the lock, waiting at most `timeout`. Returns `true` if it was acquired. Lets other
    /// greenlets run only if it waits.
    ///
    /// # Cancellation
    ///
    /// Same as for [`acquire`](RLock::acquire).
    pub fn acquire_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.again() || self.owned_if(self.state.free.acquire_timeout(timeout))
    }

    /// Acquires the lock and returns a guard that releases it when it is dropped.
    pub fn lock(&self) -> RLockGuard<'_> {
        self.acquire();
        RLockGuard { lock: self, owner: getcurrent() }
    }

    /// Releases the lock once.
    ///
    /// # Errors
    ///
    /// Returns [`NotOwner`] if the running greenlet does not own the lock.
    pub fn release(&self) -> Result<(), NotOwner> {
        if !self.is_owned() {
            return Err(NotOwner);
        }
        self.give_back();
        Ok(())
    }

    fn again(&self) -> bool {
        let owned = self.is_owned();
        if owned {
            self.state.count.set(self.state.count.get() + 1);
        }
        owned
    }

    fn own(&self) {
        *self.state.owner.borrow_mut() = Some(getcurrent());
        self.state.count.set(1);
    }

    fn owned_if(&self, acquired: bool) -> bool {
        if acquired {
            self.own();
        }
        acquired
    }

    fn give_back(&self) {
        let count = self.state.count.get() - 1;
        self.state.count.set(count);
        if count == 0 {
            let owner = self.state.owner.take();
            self.state.free.release();
            drop(owner);
        }
    }
}

impl Default for RLock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock")
            .field("count", &self.state.count.get())
            .field("owner", &self.state.owner.borrow())
            .finish()
    }
}
