//! Channels, events, locks and one-shots that any thread may hold and wait on, with the same names
//! as those of one thread.
//!
//! | to | use | on one thread |
//! |---|---|---|
//! | pass messages | [`channel::bounded`], [`channel::unbounded`] | [`ramie::channel`](crate::channel) |
//! | pass one message, once | [`oneshot::channel`] | [`AsyncResult`](crate::sync::AsyncResult) |
//! | wait for a flag | [`Event`] | [`sync::Event`](crate::sync::Event) |
//! | count permits | [`Semaphore`] | [`sync::Semaphore`](crate::sync::Semaphore) |
//! | guard a value | [`Mutex`] | [`sync::Mutex`](crate::sync::Mutex) |
//! | build another waitable object | [`WaitQueue`], [`Waits`] | [`ramie::hub::WaitQueue`](crate::hub::WaitQueue) |
//!
//! Greenlets of any hub and plain threads wait on these side by side. A waiting greenlet lets the
//! other greenlets of its thread run and keeps the loop of its hub alive. A thread without a hub is
//! parked; the wait creates no hub. Between greenlets of one thread, the primitives of
//! [`ramie::sync`](crate::sync), [`ramie::queue`](crate::queue) and
//! [`ramie::channel`](crate::channel) cost less and accept messages that are not `Send`. To make a
//! hub *do* something, use [`Remote`](crate::hub::Remote).
//!
//! Code that works with either kind of event, semaphore or mutex takes the types of
//! [`ramie::generic`](crate::generic).
//!
//! **Fairness.** A call that can be served at once is served ahead of the waiters. Waiters are
//! notified in order of arrival, whichever threads they are on, and keep their place if another
//! caller was faster. No more waiters are notified than can proceed. If a thread acquires a lock
//! repeatedly without a pause, waiters get their turn only when they happen to run between a
//! release and the next acquisition.
//!
//! **Letting other greenlets run.** Only a call that has to wait does. Releasing, setting, sending
//! into free room and dropping never do. Each call takes a lock for a few instructions; the thread
//! may block on that lock while another thread holds it.
//!
//! **A kill or a timeout during a wait.** The waiter leaves the queue and takes nothing with it. If
//! it was notified already, the notification is passed on to the next waiter. Guards release when
//! they are dropped, which includes unwinding. Nothing is poisoned.
//!
//! **Disconnection.** Dropping the last sender or the last receiver ends the waits of the other
//! side with an error, which gives a message back. When a thread ends while some of its greenlets
//! wait here, their places go to the next waiters, the messages they were sending are dropped
//! unsent, and a receiver in [`oneshot::Receiver::recv`] counts as dropped. These greenlets are
//! unwound, so that their ends of channels and their guards are dropped too. Only the values of a
//! greenlet that [does not end](ramie_hub#the-end-of-a-hub) within a second are leaked.
//!
//! **In an executor.** Every call that waits has a form that returns a future, such as
//! [`send_async`](channel::Sender::send_async) or [`lock_async`](crate::generic::Mutex::lock_async),
//! for executors on any thread. Futures wait in the same queues, in order with greenlets and threads.
//! A future takes nothing before it is ready: one that is dropped earlier leaves the queue, and
//! passes an unused notification on. One that was notified and is neither polled nor dropped delays
//! the waiters behind it. A panic of a waker is reported by the panic hook and ends there, and a wait
//! in a waker is refused.
//!
//! **In a selection.** [`channel::Receiver`], [`oneshot::Receiver`], [`Event`] and [`Semaphore`]
//! can be waited for by [`select!`](crate::select!), [`wait`](fn@crate::wait) and
//! [`iwait`](crate::iwait). `wait` and `iwait` report that an object *was* ready: another thread
//! may use it up before the greenlet runs. `select!` checks again by itself.
//!
//! # Examples
//!
//! ```
//! use std::thread;
//! use ramie::{shared::channel, spawn};
//!
//! let (jobs, job) = channel::bounded::<u64>(8);
//! let (results, result) = channel::unbounded();
//! // A plain thread, for work that would block every greenlet.
//! thread::spawn(move || {
//!     for n in job {
//!         results.send((1..=n).product::<u64>()).unwrap();
//!     }
//! });
//! let asker = spawn(move || (1..=5).for_each(|n| jobs.send(n).unwrap()));
//! assert_eq!(result.iter().collect::<Vec<_>>(), [1, 2, 6, 24, 120]);
//! asker.join();
//! ```

pub mod channel;
#[cfg(feature = "futures")]
mod channel_streams;
mod event;
mod mutex;
pub mod oneshot;
mod semaphore;

pub use ramie_hub::shared::{Locked, PollWaiter, WaitQueue, Waits};

pub use self::event::Event;
pub use self::mutex::{Mutex, MutexGuard};
pub use self::semaphore::{Semaphore, SemaphorePermit};
