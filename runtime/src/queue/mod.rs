//! Queues between greenlets of one thread, with gevent's names and behaviour.
//!
//! | to | use |
//! |---|---|
//! | pass items, with a limit, shutdown and a count of unfinished tasks | [`Queue`] |
//! | pass items and nothing else | [`SimpleQueue`] |
//! | get the last item, or the smallest, first | [`LifoQueue`], [`PriorityQueue`] |
//! | hand over items without storing them | [`Channel`], gevent's name for a rendezvous |
//! | have ends that disconnect, like the channels of std and crossbeam | [`ramie::channel`](crate::channel) |
//! | reach another thread | [`ramie::shared`](crate::shared) |
//!
//! **Fairness.** A call that can be served at once is served ahead of the waiters. Waiters are
//! served in order of arrival. A waiter keeps its place if another caller was faster.
//!
//! **Letting other greenlets run.** Only a call that has to wait does, except that the non-blocking
//! and timed forms of [`Channel`] always do.
//!
//! **A kill or a timeout during a wait.** An item that was waiting to be put is not in the queue.
//! No item that a getter was waiting for is lost, and no other waiter loses its place.

mod bounded;
mod error;
mod order;
mod rendezvous;
mod simple;

pub use self::bounded::{Iter, LifoQueue, PriorityQueue, Queue};
pub use self::error::{NoTaskLeft, ShutDown, TryGetError, TryPutError};
pub use self::order::{Fifo, Lifo, Order, Smallest};
pub use self::rendezvous::Channel;
pub use self::simple::SimpleQueue;
