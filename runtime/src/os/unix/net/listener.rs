//! Unix sockets that accept connections.

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::SockRef;

use super::stream::UnixStream;
use crate::io::handle::Handle;
use crate::net::socket::{listener, options, socket};
use crate::net::tcp::BACKLOG;

/// A Unix socket that accepts connections: the counterpart of `std::os::unix::net::UnixListener`.
///
/// Any number of greenlets may accept on one listener. As with std, the file at its path remains
/// after a drop.
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
    /// Binds to a path, which must not exist, with a backlog of 4096, or as much as the system
    /// allows.
    ///
    /// # Errors
    ///
    /// Returns `AddrInUse` if the path exists, or another error of the system.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        Self::bind_with_backlog(path, BACKLOG)
    }

    /// Binds to an address.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`bind`](UnixListener::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        Self::bind_addr_with_backlog(address, BACKLOG)
    }

    /// Binds to a path, with a limit on the connections that wait to be accepted; see
    /// [`TcpListener::bind_with_backlog`](crate::net::TcpListener::bind_with_backlog).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`bind`](UnixListener::bind).
    pub fn bind_with_backlog(path: impl AsRef<Path>, backlog: u32) -> io::Result<UnixListener> {
        Self::with_backlog(net::UnixListener::bind(path)?, backlog)
    }

    /// Binds to an address, with a limit on the connections that wait to be accepted; see
    /// [`bind_with_backlog`](UnixListener::bind_with_backlog).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`bind`](UnixListener::bind).
    pub fn bind_addr_with_backlog(address: &SocketAddr, backlog: u32) -> io::Result<UnixListener> {
        Self::with_backlog(net::UnixListener::bind_addr(address)?, backlog)
    }

    /// Calls `listen` again, which changes the backlog.
    fn with_backlog(listener: net::UnixListener, backlog: u32) -> io::Result<UnixListener> {
        SockRef::from(&listener).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Self::from_std(listener)
    }
}

options! { UnixListener:
    /// Returns the local address.
    local_addr() -> SocketAddr;
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
