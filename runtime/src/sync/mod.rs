//! Locks, flags and meeting points for greenlets of one thread.
//!
//! | to | take | named by |
//! |---|---|---|
//! | wait for a flag, all at once | [`Event`] | gevent |
//! | wait for a value or a failure | [`AsyncResult`] | gevent |
//! | count permits | [`Semaphore`], [`BoundedSemaphore`], [`DummySemaphore`] | gevent |
//! | lock again what one holds already | [`RLock`] | gevent |
//! | guard a value | [`Mutex`], [`RwLock`] | std |
//! | wait for a change under a lock | [`Condvar`] | std |
//! | meet | [`Barrier`], [`WaitGroup`] | std, crossbeam |
//! | do once | [`Once`], [`OnceCell`] | std |
//!
//! A lock is of use where its holder waits in between: greenlets are switched at waits only, so a `RefCell` does for
//! everything that does not wait. std's own locks must not be held across a wait: whoever then asks for one stops the
//! thread for ever.
//!
//! **Fairness.** Whoever asks while the lock is free, or a permit is there, gets it at once, ahead of those who wait:
//! that is fast, and a greenlet that releases and asks again without waiting never hands over. Those who wait are
//! served in order. [`RwLock`] alone makes newcomers wait, so that readers cannot keep a writer out for ever.
//!
//! **What lets others run.** Only a call that has to wait. Releasing, setting and notifying never do.
//!
//! **What a kill or a timeout leaves.** Whoever waits leaves the line and takes nothing with it. Guards release when
//! they are dropped, so also by an unwinding; nothing is poisoned by it.

mod barrier;
mod condvar;
mod mutex;
mod once;
mod rlock;
mod rwlock;
mod semaphore;
mod wait_group;

pub use ramie_hub::{AsyncResult, Event, Semaphore, SemaphorePermit};

pub use self::barrier::{Barrier, BarrierWaitResult};
pub use self::condvar::{Condvar, WaitTimeoutResult};
pub use self::mutex::{Mutex, MutexGuard};
pub use self::once::{Once, OnceCell};
pub use self::rlock::{NotOwner, RLock, RLockGuard};
pub use self::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use self::semaphore::{BoundedSemaphore, BoundedSemaphorePermit, DummySemaphore, OverRelease};
pub use self::wait_group::WaitGroup;
