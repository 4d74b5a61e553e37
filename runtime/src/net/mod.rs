//! TCP and UDP with std's names. Every operation that has to wait lets other greenlets run.
//!
//! An operation is tried first and waits only if it would block. So data that is already there is read while no other
//! greenlet runs, except once in about 128 such operations, and when the loop has not polled for 5 ms. Unix sockets are in
//! `ramie::os::unix::net`, where std has them.
//!
//! Host names are looked up by the system's resolver on a thread of the [global pool](crate::ThreadPool::global), while other
//! greenlets run: see [`ToSocketAddrs`].
//!
//! # Handles
//!
//! `try_clone` shares the descriptor instead of duplicating it, and costs next to nothing; the timeouts and the non-blocking
//! mode of a clone are its own. Reads, writes and limits all work on `&self`, so greenlets may as well share one handle in
//! an `Rc`. `close` ends a socket for everybody: whoever waits on it gets `EBADF` first.
//!
//! # Options
//!
//! What has no method here is set with [socket2](https://docs.rs/socket2), whose `SockRef` works on everything with a
//! descriptor:
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
//! A socket that needs an option before it is bound or connected is made with `socket2::Socket`, goes `into()` the type of
//! std, and from there through `from_std`. `from_std` does not connect: a socket2 `connect` blocks the thread.

pub(crate) mod addr;
mod resolve;
pub(crate) mod socket;
pub(crate) mod split;
pub(crate) mod tcp;
mod udp;

pub use self::resolve::ToSocketAddrs;
pub use self::split::{Duplex, OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use self::tcp::{Incoming, TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use std::net::{Shutdown, SocketAddr};
