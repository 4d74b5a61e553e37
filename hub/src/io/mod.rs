//! Waiting for sources of readiness: sockets, and any descriptor that the system can poll.

#[cfg(unix)]
mod fd_watch;
#[cfg(unix)]
mod release;
mod source;
mod wait;

#[cfg(unix)]
#[path = "fd.rs"]
mod system;
#[cfg(not(unix))]
#[path = "mio_source.rs"]
mod system;

#[cfg(unix)]
pub(crate) use self::fd_watch::FdWatch;
#[cfg(unix)]
pub use self::release::OwnsFd;
pub use self::source::Io;
pub use self::system::Source;
#[cfg(unix)]
pub use self::system::{wait_any_fd, wait_read, wait_readwrite, wait_write};
