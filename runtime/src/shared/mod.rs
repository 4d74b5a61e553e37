//! The same names for sharing: channels, events, locks and one-shots that any thread may hold and wait on.
//!
//! | to | take | on one thread |
//! |---|---|---|
//! | pass messages | [`channel::bounded`], [`channel::unbounded`] | [`ramie::channel`](crate::channel) |
//! | pass one message, once | [`oneshot::channel`] | [`AsyncResult`](crate::AsyncResult) |
//! | wait for a flag, all at once | [`Event`] | [`sync::Event`](crate::sync::Event) |
//! | count permits | [`Semaphore`] | [`sync::Semaphore`](crate::sync::Semaphore) |
//! | guard a value | [`Mutex`] | [`sync::Mutex`](crate::sync::Mutex) |
//! | make something else to wait for | [`WaitQueue`], [`Waits`] | [`ramie::WaitQueue`](crate::WaitQueue) |
//!
//! Greenlets of any hub wait on these side by side with plain threads. A greenlet lets the others of its thread run
//! meanwhile and keeps its hub's loop alive; a thread that has no hub is parked, and gets no hub by it. Between greenlets of
//! one thread the primitives of [`ramie::sync`](crate::sync), [`ramie::queue`](crate::queue) and
//! [`ramie::channel`](crate::channel) cost less and take messages that are not `Send`. To have a hub *do* something there is
//! [`Remote`](crate::Remote).
//!
//! **Fairness.** Whoever asks while the answer is there gets it at once, ahead of those who wait. Those who wait are told in
//! order of arrival, whichever threads they are on, and keep their place when somebody was faster. As many are told as can
//! go on, no more. When a thread takes a lock again and again without a pause, those who wait get their turn when they
//! happen to come in between.
//!
//! **What lets others run.** Only a call that has to wait. Releasing, setting, sending into room and dropping never do. Each
//! call takes a lock for a few instructions, on which the thread may stop while another one holds it.
//!
//! **What a kill or a timeout leaves.** Whoever waits leaves the line and takes nothing with it; if it had been told already,
//! the next in line is told in its place. Guards release when they are dropped, so also by an unwinding; nothing is poisoned.
//!
//! **When a peer goes.** Dropping the last sender or the last receiver ends the waits of the other side with an error, which
//! gives a message back. When a thread ends with greenlets that still wait here, their places in line go to the next, what
//! they were sending is dropped unsent, and who waits in [`oneshot::Receiver::recv`] counts as gone. These greenlets are unwound,
//! so that their ends of channels and their guards are dropped too. Only what a greenlet holds that [does not
//! end](ramie_hub#the-end-of-a-hub) within a second is leaked.
//!
//! **In a selection.** [`channel::Receiver`], [`oneshot::Receiver`], [`Event`] and [`Semaphore`] can be waited for by
//! [`select!`](crate::select!), [`wait`](fn@crate::wait) and [`iwait`](crate::iwait). Those report that something *was*
//! ready: another thread may take it before the greenlet runs. A `select!` looks again by itself.
//!
//! # Examples
//!
//! ```
//! use std::thread;
//! use ramie::{shared::channel, spawn};
//!
//! let (jobs, job) = channel::bounded::<u64>(8);
//! let (results, result) = channel::unbounded();
//! // A plain thread, for what would stop every greenlet.
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
mod event;
mod mutex;
pub mod oneshot;
mod semaphore;

pub use ramie_hub::shared::{Locked, Turn, WaitQueue, Waits};

pub use self::event::Event;
pub use self::mutex::{Mutex, MutexGuard};
pub use self::semaphore::{Semaphore, SemaphorePermit};
