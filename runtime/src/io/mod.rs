//! I/O on any descriptor: pipes, standard input and output, polling, and wrappers for other
//! descriptors.
//!
//! | descriptor | use | while it waits |
//! |---|---|---|
//! | a socket | [`ramie::net`](crate::net), `ramie::os::unix::net` | other greenlets run |
//! | a new pipe | [`pipe`] | other greenlets run |
//! | a terminal, inherited pipes, standard input and output | [`stdin`], [`stdout`], [`stderr`], [`Polled`] | other greenlets run |
//! | the pipes of a child process | [`process`](crate::process) | other greenlets run |
//! | any other that the program opened: devices, sockets of other libraries | [`Cooperative`] | other greenlets run |
//! | one that another library owns and reads | [`wait_read`], [`wait_write`], [`poll`](fn@poll) | other greenlets run |
//! | a regular file | [`ramie::fs`](crate::fs) | other greenlets run, because a thread of the pool reads it; all of the above never wait for a file, and a read blocks the thread until the disk answers |
//!
//! [`copy_bidirectional`] connects two streams, including TLS streams. For one direction, std's own
//! `io::copy` works on everything here, and `sendfile` sends a file to a socket. The traits are
//! std's `Read`, `Write` and `BufRead`.
//!
//! `close` ends the operations of every handle, including those that wait, and closes the file or
//! socket: the peer of a pipe or a connection sees the end, and an address becomes available. The
//! number of the descriptor stays in use until the last handle is dropped, and refers to a stream
//! that has ended. The bare descriptor may therefore be borrowed until then, and a greenlet that
//! waits for it, in `wait_read` or [`poll`](fn@poll), is woken. For a [`Cooperative`] or a
//! [`Polled`], which may not own its descriptor, `close` ends only the operations.
//!
//! Windows has only [`copy_bidirectional`], [`ShutdownWrite`] and [`ReadWriteRef`].

pub(crate) mod by_ref;
#[cfg(unix)]
mod cooperative;
mod copy;
pub(crate) mod handle;
pub(crate) mod macros;
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

pub use ramie_hub::ReadWriteRef;
#[cfg(unix)]
pub use ramie_hub::{wait_any_fd, wait_read, wait_readwrite, wait_write};

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
