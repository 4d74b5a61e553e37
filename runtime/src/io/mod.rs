//! Any descriptor: pipes, standard input and output, polling, and wrappers that make what is there cooperative.
//!
//! | what it is | use | while it waits |
//! |---|---|---|
//! | a socket | [`ramie::net`](crate::net), `ramie::os::unix::net` | others run |
//! | a new pipe | [`pipe`] | others run |
//! | a terminal, inherited pipes, standard input and output | [`stdin`], [`stdout`], [`stderr`], [`Polled`] | others run |
//! | the pipes of a child process | [`process`](crate::process) | others run |
//! | anything else that you opened: devices, sockets of other libraries | [`Cooperative`] | others run |
//! | somebody else's descriptor, to be read by somebody else | [`wait_read`](crate::wait_read), [`wait_write`](crate::wait_write), [`poll`](fn@poll) | others run |
//! | a regular file | [`ramie::fs`](crate::fs) | others run, as a thread of the pool reads it; any of the above does not wait, and reading blocks the thread for as long as the disk takes |
//!
//! Two streams, of TLS too, are joined by [`copy_bidirectional`]; for one direction there is std's own `io::copy`, which works on everything
//! here, and from a file to a socket `sendfile`. The traits are std's `Read`, `Write` and `BufRead`.
//!
//! `close` ends the operations of every handle, what waits in them, and the descriptor: the other side of a pipe or a
//! connection sees the end, an address is free for others. The number of the descriptor stays taken until the last handle is
//! dropped, by a stream that has ended: so the bare descriptor may be borrowed meanwhile, and who waits for it, in `wait_read`
//! or [`poll`](fn@poll), is told. Of a [`Cooperative`] or a [`Polled`], which may not own what is inside, only the operations end.
//!
//! On Windows there are [`copy_bidirectional`], [`ShutdownWrite`] and [`ReadWriteRef`] only.

pub(crate) mod by_ref;
#[cfg(unix)]
mod cooperative;
mod copy;
pub(crate) mod handle;
pub(crate) mod limits;
#[cfg(unix)]
mod pipe;
#[cfg(unix)]
mod poll;
#[cfg(unix)]
mod polled;
#[cfg(unix)]
mod sendfile;
#[cfg(unix)]
mod stdio;

pub use self::by_ref::ReadWriteRef;
#[cfg(unix)]
pub use self::cooperative::Cooperative;
pub use self::copy::{ShutdownWrite, copy_bidirectional};
#[cfg(unix)]
pub use self::pipe::{PipeReader, PipeWriter, pipe};
#[cfg(unix)]
pub use self::poll::{PollFd, poll};
#[cfg(unix)]
pub use self::polled::Polled;
#[cfg(unix)]
pub use self::sendfile::sendfile;
#[cfg(unix)]
pub use self::stdio::{Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock, stderr, stdin, stdout};
