//! A lock that its holder may take again.

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

/// A lock that belongs to a greenlet, which may take it again and gives it back as often: gevent's `RLock`.
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

/// An [`RLock`] was released by somebody who does not hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotOwner;

impl fmt::Display for NotOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is not held by this greenlet")
    }
}

impl Error for NotOwner {}

/// Releases the lock once when it is dropped, unless its owner has given it back by then. Made by [`RLock::lock`].
#[derive(Debug)]
pub struct RLockGuard<'a> {
    lock: &'a RLock,
    /// Who took it.
    owner: AnyGreenlet,
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        // The guard took it. Dropped by another greenlet it still gives back what it took, but not what is somebody else's
        // since an explicit release.
        let mine = self.lock.state.owner.borrow().as_ref().is_some_and(|owner| owner.is(&self.owner));
        if mine {
            self.lock.give_back();
        }
    }
}

impl RLock {
    /// A lock that is free.
    pub fn new() -> Self {
        RLock {
            state: Rc::new(State { free: Semaphore::new(1), owner: RefCell::new(None), count: Cell::new(0) }),
        }
    }

    /// Whether anybody holds it.
    pub fn locked(&self) -> bool {
        self.state.count.get() > 0
    }

    /// Whether the running greenlet holds it.
    pub fn is_owned(&self) -> bool {
        // A callback of the hub is nobody, although it runs on main's stack.
        !get_hub().in_callback()
            && self.state.owner.borrow().as_ref().is_some_and(|owner| owner.is(&getcurrent()))
    }

    /// Takes the lock, waiting until it is free or the running greenlet's own. Lets others run only if it waits.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout while it waits leaves the lock to others. A holder that ends without releasing it leaves it
    /// locked: [`lock`](RLock::lock) does not.
    pub fn acquire(&self) {
        if !self.again() {
            self.state.free.acquire();
            self.own();
        }
    }

    /// Takes the lock if it is free or the running greenlet's own.
    pub fn try_acquire(&self) -> bool {
        self.again() || self.owned_if(self.state.free.try_acquire())
    }

    /// Takes the lock, waiting at most that long; says whether it got it.
    pub fn acquire_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.again() || self.owned_if(self.state.free.acquire_timeout(timeout))
    }

    /// Takes the lock, and releases it when the guard is dropped.
    pub fn lock(&self) -> RLockGuard<'_> {
        self.acquire();
        RLockGuard { lock: self, owner: getcurrent() }
    }

    /// Gives the lock back once.
    ///
    /// # Errors
    ///
    /// [`NotOwner`] when the running greenlet does not hold it.
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
