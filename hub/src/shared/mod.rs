//! Waiting for state that greenlets of any hub, and threads without a hub, share.
//!
//! The names are those of the hub-local wait queue: a [`WaitQueue`] holds a state under a lock, and
//! its waiters in two lanes; [`Waits`] returns how many waiters of each lane could proceed.
//! `ramie::shared` is built on this module.
//!
//! # The protocol
//!
//! 1. The state and the lanes are read and changed under one lock. A caller that cannot proceed
//!    enters a lane in the same locked section in which it checked the state, so no change is
//!    missed between the check and the entry.
//! 2. Every unlock *settles*: while more waiters of a lane could proceed than are marked as
//!    notified, the head of the lane is removed and marked as notified. The notified waiters are
//!    woken after the unlock.
//! 3. Every notified waiter re-checks the state under the lock, whether it was woken, timed out or
//!    was killed, or its hub has ended. This clears its mark, and the unlock of that section
//!    notifies the next waiter if the state still allows one to proceed: an unused wake-up is
//!    passed on.
//! 4. A waiter is in a lane, or notified, or neither, and reports each change itself. A wake-up
//!    that an ended hub rejects needs no answer: the end of a hub withdraws all its waiting
//!    greenlets.
//!
//! A greenlet is woken by the token of its wait, through its hub's inbox, or directly through the
//! hub's queue if the waker runs on the same hub. A thread without a hub is unparked. Waiting never
//! creates a hub.
//!
//! A future waits as a [`PollWaiter`], on any thread and in any executor. It is woken by its
//! [`Waker`](std::task::Waker), and a poll after the notification is a check; any other poll only
//! replaces the waker. A future that is dropped between two polls leaves as a killed greenlet does.
//! Wakers are cloned, called and dropped outside the lock.

mod link;
mod poll_waiter;
mod wait_list;
mod wait_queue;
mod waiter;

pub use self::poll_waiter::PollWaiter;
pub use self::wait_queue::{Locked, WaitQueue, Waits};
pub use crate::wait::turn::Turn;
