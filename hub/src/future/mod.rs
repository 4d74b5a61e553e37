//! Futures in greenlets: driving a future by a greenlet that waits, the waker of that wait, and a
//! future for the hub's timers.

pub(crate) mod block_on;
pub(crate) mod sleep;
mod wake_state;
mod waker;
