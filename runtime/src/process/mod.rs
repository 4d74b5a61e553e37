//! Child processes with waits that do not block the thread: the counterpart of `std::process`, and
//! gevent's `subprocess`.
//!
//! ```
//! use ramie::process::Command;
//!
//! let output = Command::new("echo").arg("hello").output()?; // lets other greenlets run
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
//! | `gevent.wait([popen])` | [`wait`](fn@crate::wait), [`iwait`](crate::iwait): a child is a waitable object |
//! | `TimeoutExpired` | [`TimeoutExpired`], inside an `io::Error` of kind `TimedOut` |
//! | `returncode < 0` | std's `ExitStatusExt::signal` |
//!
//! # What becomes of a child
//!
//! * A call that owns its child from start to exit ([`Command::output`], [`Command::status`],
//!   [`Child::communicate`] and their variants) leaves no child behind: after a timeout, or when
//!   its greenlet is killed, the child is first killed and reaped. Grandchildren are not killed.
//!   They may keep the pipes open, which are not waited for then.
//! * A dropped [`Child`] continues to run, as in std; with [`Command::kill_on_drop`] it is killed.
//!   In both cases it is reaped after its exit: a thread of this crate, started for the first such
//!   child, waits for it.
//!
//! # Exit notification
//!
//! The hub polls a descriptor that reports the exit: a pidfd on Linux since 5.3; on other systems a
//! socket pair, with a thread that waits for this one child. `SIGCHLD` is not used, and children of
//! other libraries are not touched. Each child uses one descriptor from its start, and one for each
//! pipe.
//!
//! Starting a child blocks the thread until the new program runs or has failed to start. This
//! usually takes less than a millisecond, and longer if the file has to be read from a slow disk.
//! If that is too long:
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
//! Available on Unix only.

mod child;
mod command;
mod communicate;
mod exit;
mod orphans;

pub use self::child::{Child, ChildHandle, ChildStderr, ChildStdin, ChildStdout};
pub use self::command::Command;
pub use self::communicate::TimeoutExpired;
/// The types of std.
pub use std::process::{ExitStatus, Output, Stdio};
