//! Futures in greenlets: driving a future by a greenlet that waits, and the waker of that wait.

pub(crate) mod block_on;
mod wake_state;
mod waker;
