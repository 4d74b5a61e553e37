//! Unix stream sockets.

use std::io::{self, IoSliceMut, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use super::backoff::retry_with_backoff;
use crate::io::handle::Handle;
use crate::net::socket::{options, socket, stream};

/// A Unix stream socket with operations that wait without blocking the thread: the counterpart of
/// `std::os::unix::net::UnixStream`.
///
/// Reading and writing also work through `&UnixStream`; see [`TcpStream`](crate::net::TcpStream).
///
/// # Cancellation
///
/// A kill or a timeout during a read consumes nothing. During `write_all`, a part of the data may
/// have been sent.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
/// use ramie::os::unix::net::UnixStream;
///
/// let (mut near, far) = UnixStream::pair()?;
/// ramie::spawn(move || std::io::copy(&mut &far, &mut &far));
/// near.write_all(b"hello")?;
/// near.shutdown(Shutdown::Write)?;
/// let mut text = String::new();
/// near.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UnixStream {
    handle: Handle<net::UnixStream>,
}

socket!(UnixStream, net::UnixStream, std::convert::identity);
stream!(UnixStream);

impl UnixStream {
    /// Connects to the listener at `path`. Lets other greenlets run while its backlog is full. The
    /// system does not notify of room in the backlog, so the attempt is repeated, first after a
    /// millisecond and later every 16.
    ///
    /// # Errors
    ///
    /// Returns the error of the system: `NotFound` if the path does not exist, `ConnectionRefused`
    /// if the listener was closed.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves no connection.
    pub fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        Self::connect_to(&SockAddr::unix(path)?)
    }

    /// Connects to the listener at an address; see [`connect`](UnixStream::connect).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`connect`](UnixStream::connect), and `InvalidInput` for an address
    /// without a name.
    pub fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        Self::connect_to(&name_of(address)?)
    }

    fn connect_to(address: &SockAddr) -> io::Result<UnixStream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        retry_with_backoff(None, |_| match socket.connect(address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other.map(Some),
        })?;
        Self::from_std(OwnedFd::from(socket).into())
    }

    /// Creates two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if no descriptor is left.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// Receives without consuming: the next read gets the same bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`read`](Read::read).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let flags = rustix::net::RecvFlags::PEEK;
        self.handle.read_with(|stream| Ok(rustix::net::recv(stream, &mut *buffer, flags)?.0))
    }

    // A short read does not mean that no data is left: it also ends after a message with
    // descriptors.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|mut stream| stream.read(buffer))
    }

    fn receive_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.handle.read_with(|mut stream| stream.read_vectored(buffers))
    }
}

options! { UnixStream:
    /// Returns the address of the peer, which has no name unless it is bound.
    peer_addr() -> SocketAddr;
    /// Returns the local address.
    local_addr() -> SocketAddr;
}

/// Converts an address of std to one of socket2.
fn name_of(address: &SocketAddr) -> io::Result<SockAddr> {
    if let Some(path) = address.as_pathname() {
        return SockAddr::unix(path);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        #[cfg(target_os = "android")]
        use std::os::android::net::SocketAddrExt;
        #[cfg(target_os = "linux")]
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;

        if let Some(name) = address.as_abstract_name() {
            // socket2 represents an abstract name as a path that begins with a zero byte.
            return SockAddr::unix(std::ffi::OsStr::from_bytes(&[b"\0", name].concat()));
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot connect to an address without a name"))
}
