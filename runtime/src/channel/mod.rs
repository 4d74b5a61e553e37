//! Channels between greenlets of one thread, with ends that disconnect, like std's `mpsc` and
//! crossbeam's channels.
//!
//! Both ends may be cloned. When the last [`Receiver`] is dropped, sending fails and gives the
//! message back. When the last [`Sender`] is dropped, receiving fails after all sent messages are
//! received. Messages need not be `Send`; [`ramie::shared`](crate::shared) has channels for other
//! threads.
//!
//! The rules of fairness, and the effect of a kill or a timeout, are those of
//! [`ramie::queue`](crate::queue).
//!
//! # Examples
//!
//! ```
//! use ramie::{channel, spawn};
//!
//! let (sender, receiver) = channel::bounded(10);
//! for i in 0..3 {
//!     let sender = sender.clone();
//!     spawn(move || sender.send(i).unwrap());
//! }
//! drop(sender);
//! assert_eq!(receiver.iter().sum::<i32>(), 3);
//! ```

pub(crate) mod attempt;
pub(crate) mod ends;
mod error;
mod local;

pub use self::error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
pub use self::local::{IntoIter, Iter, Receiver, Sender, TryIter, bounded, unbounded};
