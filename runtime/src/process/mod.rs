//! Child processes that are waited for without blocking the thread: `std::process`'s counterpart, and gevent's `subprocess`.
//!
//! ```
//! use ramie::process::Command;
//!
//! let output = Command::new("echo").arg("hello").output()?; // other greenlets run meanwhile
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! | gevent, Python | here |
//! |---|---|
//! | `Popen(args, stdin=PIPE, ...)` | [`Command`] with std's methods, then [`spawn`](Command::spawn) |
//! | `run`, `check_output`, `call`, with `timeout=` | [`Command::output`], [`output_timeout`](Command::output_timeout), [`status`](Command::status), [`status_timeout`](Command::status_timeout) |
//! | `communicate(input, timeout)` | [`Child::communicate`], [`communicate_timeout`](Child::communicate_timeout) |
//! | `wait(timeout)`, `poll()` | [`Child::wait`], [`wait_timeout`](ChildHandle::wait_timeout), [`try_wait`](ChildHandle::try_wait) |
//! | `kill`, `terminate`, `send_signal` | the same, of [`ChildHandle`], to which a [`Child`] dereferences |
//! | `gevent.wait([popen])` | [`wait`](fn@crate::wait), [`iwait`](crate::iwait): a child is something to wait for |
//! | `TimeoutExpired` | [`TimeoutExpired`], inside an `io::Error` of kind `TimedOut` |
//! | `returncode < 0` | std's `ExitStatusExt::signal` |
//!
//! # What becomes of a child
//!
//! * A call that owns its child from start to end ([`Command::output`], [`Command::status`], [`Child::communicate`] and
//!   their kin) leaves none behind: when its time is over, or its greenlet is killed or timed out inside, the child is
//!   killed and reaped first. Grandchildren are not: they may keep the pipes open, which nobody waits for then.
//! * A [`Child`] that is dropped runs on, as with std; with [`Command::kill_on_drop`] it is killed. Either way, when it
//!   has ended nothing is left of it: a thread of this crate's, which is there from the first such child on, waits for
//!   it.
//!
//! # How it is waited for
//!
//! By a descriptor that says when the child has ended: a pidfd on Linux since 5.3, elsewhere a pipe that a thread holds
//! which waits for this one child. `SIGCHLD` is left alone, and so are children of others. From the start of a child on
//! that takes one descriptor, and one for each pipe.
//!
//! Starting a child blocks the thread until the new program runs or has failed to: mostly less than a millisecond, more
//! where the file has to come from a slow disk. Where that is too long:
//!
//! ```
//! use ramie::process::Child;
//!
//! let mut command = std::process::Command::new("true");
//! let mut child = Child::try_from(ramie::blocking(|| command.spawn())?)?;
//! assert!(child.wait()?.success());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Only on Unix.

mod child;
mod command;
mod communicate;
mod exit;
mod orphans;

pub use self::child::{Child, ChildHandle, ChildStderr, ChildStdin, ChildStdout};
pub use self::command::Command;
pub use self::communicate::TimeoutExpired;
/// std's own.
pub use std::process::{ExitStatus, Output, Stdio};
