//! What greenlets of any hub, and threads without a hub, wait for together.
//!
//! The same names as one floor up, for state that several threads share: a [`WaitQueue`] holds a state under a lock, and
//! in two lines those who wait for it to change; [`Waits`] says how many of each line could go on. `ramie::shared` is
//! made of it.
//!
//! # The protocol
//!
//! 1. State and lines are looked at and changed under one lock. Whoever cannot go on enters a line in the same locked
//!    section in which it saw so: there is no moment between the look and the entry in which a change could be missed.
//! 2. Whoever unlocks first *settles*: while a line has more who could go on than were told and have not come back, its
//!    head is taken out and counted as told. They are woken once the lock is free.
//! 3. Whoever is told comes back and looks again, whatever came of its wait: in time or not, served or not, killed, or
//!    its hub ended. Then it counts as told no longer, and the settling of that very section tells the next in line if
//!    somebody still could go on. So a wake that is not used is handed on.
//! 4. Each who waits is in a line, or told, or neither, and says itself when that changes. A wake that a hub refuses
//!    because it has ended needs no answer: the end of a hub takes back whoever of its greenlets still waits.
//!
//! How a wake travels: to a greenlet as the token of its wait through its hub's inbox (straight into the queue of the
//! hub if that is the waker's own), to a thread without a hub as an unpark. Waiting never makes a hub.

mod link;
mod wait_list;
mod wait_queue;
mod waiter;

pub use self::wait_queue::{Locked, Turn, WaitQueue, Waits};
