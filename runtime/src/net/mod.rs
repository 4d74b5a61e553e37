//! TCP and UDP with std's names. Every operation that has to wait lets other greenlets run.
//!
//! An operation is attempted first, and waits only if it would block. Data that is already
//! available is therefore read without letting other greenlets run, except once in about 128 such
//! operations, and if the loop has not polled for 5 ms. Unix sockets are in `ramie::os::unix::net`,
//! as in std.
//!
//! Host names are resolved by the system's resolver on a thread of the [global
//! pool](crate::ThreadPool::global), while other greenlets run: see [`ToSocketAddrs`].
//!
//! # Handles
//!
//! `try_clone` shares the descriptor instead of duplicating it, and is cheap. Each clone has its
//! own timeouts and its own non-blocking mode. Reads, writes and timeouts all work on `&self`, so
//! greenlets may also share one handle in an `Rc`. `close` closes the socket for all its handles:
//! greenlets that wait on it get `EBADF`.
//!
//! A socket belongs to the hub of its thread. `detach` and [`Detached::attach`] move it to another
//! thread, and [`Bound`](crate::hub::Bound) passes it through code that requires `Send`.
//!
//! # Options
//!
//! Options that have no method here can be set with [socket2](https://docs.rs/socket2). Its
//! `SockRef` works on every type with a descriptor:
//!
//! ```
//! use ramie::net::TcpListener;
//! use socket2::SockRef;
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! SockRef::from(&listener).set_recv_buffer_size(1 << 20)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A socket that needs an option before it is bound or connected must be created as a
//! `socket2::Socket`, converted to the type of std with `into()`, and passed to `from_std`.
//! `from_std` does not connect: a `connect` of socket2 blocks the thread.

pub(crate) mod addr;
pub(crate) mod detached;
mod resolve;
pub(crate) mod socket;
pub(crate) mod split;
pub(crate) mod tcp;
mod udp;

pub use self::detached::Detached;
pub use self::resolve::ToSocketAddrs;
pub use self::split::{Duplex, OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use self::tcp::{Incoming, TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use std::net::{Shutdown, SocketAddr};
