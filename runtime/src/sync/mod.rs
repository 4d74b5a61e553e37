//! Locks, events and barriers for greenlets of one thread.
//!
//! | to | use | named by |
//! |---|---|---|
//! | wait for a flag | [`Event`] | gevent |
//! | wait for a value or a failure | [`AsyncResult`] | gevent |
//! | count permits | [`Semaphore`], [`BoundedSemaphore`], [`DummySemaphore`] | gevent |
//! | lock recursively | [`RLock`] | gevent |
//! | guard a value | [`Mutex`], [`RwLock`] | std |
//! | wait for a change under a lock | [`Condvar`] | std |
//! | wait for other greenlets | [`Barrier`], [`WaitGroup`] | std, crossbeam |
//! | initialize once | [`Once`], [`OnceCell`] | std |
//!
//! A lock is needed only if its holder waits while it holds the lock: greenlets are switched only
//! when they wait, so a `RefCell` is enough for everything else. A lock of std must not be held
//! across a wait: the next greenlet that locks it blocks the thread forever.
//!
//! **Fairness.** A call that finds the lock free, or a permit available, takes it at once, ahead of
//! the waiters. This is fast, but a greenlet that releases and acquires again without waiting never
//! hands over. Waiters are served in order. Only [`RwLock`] queues new readers behind waiting
//! writers, so that readers cannot starve a writer.
//!
//! **Letting other greenlets run.** Only a call that has to wait does. Releasing, setting and
//! notifying never do.
//!
//! **A kill or a timeout during a wait.** The waiter leaves the queue and takes nothing with it.
//! Guards release when they are dropped, which includes unwinding. Nothing is poisoned.

mod barrier;
mod condvar;
mod guard;
mod local;
pub(crate) mod mutex;
mod once;
mod rlock;
mod rwlock;
mod semaphore;
mod wait_group;

pub use ramie_hub::{AsyncResult, Event, Semaphore, SemaphorePermit};

pub use self::barrier::{Barrier, BarrierWaitResult};
pub use self::condvar::{Condvar, WaitTimeoutResult};
pub use self::local::{Mutex, MutexGuard};
pub use self::once::{Once, OnceCell};
pub use self::rlock::{NotOwner, RLock, RLockGuard};
pub use self::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use self::semaphore::{BoundedSemaphore, BoundedSemaphorePermit, DummySemaphore, OverRelease};
pub use self::wait_group::WaitGroup;
