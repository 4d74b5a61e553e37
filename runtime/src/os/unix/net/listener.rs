//! Unix sockets that take connections.

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use super::stream::UnixStream;
use crate::io::handle::Handle;
use crate::net::socket::{listener, options, socket};

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
    /// Binds to a path, where nothing may be yet.
    ///
    /// # Errors
    ///
    /// The system's own; `AddrInUse` when something is there.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        Self::from_std(net::UnixListener::bind(path)?)
    }

    /// Binds to an address.
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        Self::from_std(net::UnixListener::bind_addr(address)?)
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
