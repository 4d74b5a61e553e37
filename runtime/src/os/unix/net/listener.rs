//! Unix sockets that take connections.

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::SockRef;

use super::stream::UnixStream;
use crate::io::handle::Handle;
use crate::net::socket::{listener, options, socket};
use crate::net::tcp::BACKLOG;

/// A Unix socket that takes connections: `std::os::unix::net::UnixListener`'s counterpart.
///
/// Any number of greenlets may accept on one listener. As with std, the file of its path stays when it is dropped.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use ramie::os::unix::net::{UnixListener, UnixStream};
///
/// let path = std::env::temp_dir().join(format!("ramie-listener-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// ramie::spawn(move || listener.accept().unwrap().0.write_all(b"hello"));
/// let mut text = String::new();
/// UnixStream::connect(&path)?.read_to_string(&mut text)?;
/// std::fs::remove_file(&path)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UnixListener {
    handle: Handle<net::UnixListener>,
}

socket!(UnixListener, net::UnixListener, std::convert::identity);
listener!(UnixListener, UnixStream, SocketAddr, Incoming, UnixStream::from_std);

impl UnixListener {
    /// Binds to a path, where nothing may be yet, with a backlog of 4096, or as much as the system allows.
    ///
    /// # Errors
    ///
    /// The system's own; `AddrInUse` when something is there.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        Self::bind_with_backlog(path, BACKLOG)
    }

    /// Binds to an address.
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        Self::bind_addr_with_backlog(address, BACKLOG)
    }

    /// Binds to a path, and has the system keep at most that many connections which have not been accepted; see
    /// [`TcpListener::bind_with_backlog`](crate::net::TcpListener::bind_with_backlog).
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn bind_with_backlog(path: impl AsRef<Path>, backlog: u32) -> io::Result<UnixListener> {
        Self::with_backlog(net::UnixListener::bind(path)?, backlog)
    }

    /// Binds to an address, with a backlog; see [`bind_with_backlog`](UnixListener::bind_with_backlog).
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn bind_addr_with_backlog(address: &SocketAddr, backlog: u32) -> io::Result<UnixListener> {
        Self::with_backlog(net::UnixListener::bind_addr(address)?, backlog)
    }

    /// Listens once more, which sets the backlog.
    fn with_backlog(listener: net::UnixListener, backlog: u32) -> io::Result<UnixListener> {
        SockRef::from(&listener).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Self::from_std(listener)
    }
}

options! { UnixListener:
    /// The address it is bound to.
    local_addr() -> SocketAddr;
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
