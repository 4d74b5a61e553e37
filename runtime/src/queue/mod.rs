//! Queues between greenlets of one thread, with gevent's names and behaviour.
//!
//! | to | take |
//! |---|---|
//! | pass items, with a limit, an end, and a count of what is done | [`Queue`] |
//! | pass items and nothing else | [`SimpleQueue`] |
//! | get the last one, or the smallest, first | [`LifoQueue`], [`PriorityQueue`] |
//! | hand over without storing | [`Channel`] |
//! | have ends that disconnect, as std's and crossbeam's channels do | [`ramie::channel`](crate::channel) |
//! | reach another thread | [`ramie::shared`](crate::shared) |
//!
//! **Fairness.** Whoever asks while the answer is there gets it at once, ahead of those who wait. Those who wait are
//! served in order of arrival, and keep their place when somebody was faster.
//!
//! **What lets others run.** Only a call that has to wait. The non-blocking and timed forms of [`Channel`] always do.
//!
//! **What a kill or a timeout leaves.** An item that was waiting to be put is not in the queue; nothing that was
//! waiting to be got is lost; nobody's place in line is.

mod bounded;
mod error;
mod order;
mod rendezvous;
mod simple;

pub use self::bounded::{Iter, LifoQueue, PriorityQueue, Queue};
pub use self::error::{GetError, NoTaskLeft, PutError, ShutDown};
pub use self::order::{Fifo, Lifo, Order, Smallest};
pub use self::rendezvous::Channel;
pub use self::simple::SimpleQueue;
