//! Unix sockets with std's names: streams, listeners and datagrams. Every operation that has to
//! wait lets other greenlets run.
//!
//! Handles and options work as in [`ramie::net`](crate::net). Addresses are those of std, which
//! include abstract names on Linux:
//!
//! ```
//! # #[cfg(target_os = "linux")] fn main() -> std::io::Result<()> {
//! use std::os::linux::net::SocketAddrExt;
//! use ramie::os::unix::net::{SocketAddr, UnixListener, UnixStream};
//!
//! let name = format!("ramie-example-{}", std::process::id());
//! let address = SocketAddr::from_abstract_name(name.as_bytes())?;
//! let listener = UnixListener::bind_addr(&address)?;
//! let _near = UnixStream::connect_addr(&address)?;
//! let (_far, _) = listener.accept()?;
//! # Ok(()) }
//! # #[cfg(not(target_os = "linux"))] fn main() {}
//! ```

mod backoff;
mod datagram;
mod listener;
mod stream;

pub use self::datagram::UnixDatagram;
pub use self::listener::{Incoming, UnixListener};
pub use self::stream::UnixStream;
pub use std::os::unix::net::SocketAddr;
