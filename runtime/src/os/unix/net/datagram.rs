//! Unix datagram sockets.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use super::backoff::retry_with_backoff;
use crate::io::handle::Handle;
use crate::io::macros::{readable, writable};
use crate::net::socket::{options, release, socket};

/// A Unix datagram socket: the counterpart of `std::os::unix::net::UnixDatagram`.
///
/// No datagram is lost: a sender waits while the queue of the receiving socket is full. A datagram
/// that is longer than the buffer is truncated. An empty datagram is received as 0 bytes.
///
/// # Cancellation
///
/// A kill or a timeout during a wait receives nothing and sends nothing: a datagram is sent whole
/// or not at all.
///
/// # Examples
///
/// ```
/// use ramie::os::unix::net::UnixDatagram;
///
/// let (near, far) = UnixDatagram::pair()?;
/// ramie::spawn(move || far.send(b"hello"));
/// let mut buffer = [0; 100];
/// let length = near.recv(&mut buffer)?;
/// assert_eq!(&buffer[..length], b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    handle: Handle<net::UnixDatagram>,
}

socket!(UnixDatagram, net::UnixDatagram, std::convert::identity);
readable!(UnixDatagram);
writable!(UnixDatagram);
release!(UnixDatagram);

impl UnixDatagram {
    /// Binds to a path, which must not exist.
    ///
    /// # Errors
    ///
    /// Returns `AddrInUse` if the path exists, or another error of the system.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        Self::from_std(net::UnixDatagram::bind(path)?)
    }

    /// Binds to an address.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`bind`](UnixDatagram::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        Self::from_std(net::UnixDatagram::bind_addr(address)?)
    }

    /// Creates a socket without an address: to be used for sending only, or to be connected later.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if no descriptor is left.
    pub fn unbound() -> io::Result<UnixDatagram> {
        Self::from_std(net::UnixDatagram::unbound()?)
    }

    /// Creates two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if no descriptor is left.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// Sets the peer: [`send`](UnixDatagram::send) sends to it, and only its datagrams are
    /// received. Does not wait.
    ///
    /// # Errors
    ///
    /// Returns the error of the system: `NotFound` if the path does not exist.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.handle.get_open()?.connect(path)
    }

    /// Receives a datagram. Returns its length and the address of its sender. Lets other greenlets
    /// run if it waits.
    ///
    /// # Errors
    ///
    /// Returns `TimedOut` after the read timeout, `EBADF` if the socket was closed, or the error of
    /// the system.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_with(
            |socket| socket.recv_from(buffer),
            || {
                // std returns the unnamed address here, and there is no other way to make one.
                Ok((0, net::UnixDatagram::unbound()?.local_addr()?))
            },
        )
    }

    /// Receives a datagram if there is one. Returns its length and the address of its sender. Does
    /// not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns `NotConnected` if receiving was shut down, and the errors of
    /// [`recv_from`](UnixDatagram::recv_from), except the timeout.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let received = self.handle.io().try_read_with(|socket| socket.recv_from(buffer))?;
        if received.is_none() && is_shut(self.handle.get_ref())? {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "receiving was shut down"));
        }
        Ok(received)
    }

    /// Receives a datagram. Lets other greenlets run if it waits.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`recv_from`](UnixDatagram::recv_from).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive_with(|socket| socket.recv(buffer), || Ok(0))
    }

    fn receive_with<R>(
        &self,
        mut op: impl FnMut(&net::UnixDatagram) -> io::Result<R>,
        ended: impl Fn() -> io::Result<R>,
    ) -> io::Result<R> {
        self.handle.read_with(|socket| match op(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_shut(socket)? => ended(),
            other => other,
        })
    }

    /// Sends a datagram to the socket at `path`. Lets other greenlets run while there is no room.
    ///
    /// The system does not notify an unconnected sender when the queue of the receiving socket has
    /// room again. The attempt is therefore repeated, first after a millisecond and later every 16.
    /// A connected sender is notified.
    ///
    /// # Errors
    ///
    /// Returns `TimedOut` after the write timeout, `EBADF` if the socket was closed, or the error
    /// of the system, such as `EMSGSIZE` for a datagram that is too long.
    pub fn send_to(&self, data: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_with(|socket| socket.send_to(data, path.as_ref()))
    }

    /// Sends a datagram to the socket at an address; see [`send_to`](UnixDatagram::send_to).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send_to`](UnixDatagram::send_to).
    pub fn send_to_addr(&self, data: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.send_with(|socket| socket.send_to_addr(data, address))
    }

    fn send_with(&self, op: impl Fn(&net::UnixDatagram) -> io::Result<usize>) -> io::Result<usize> {
        if self.handle.nonblocking() {
            return self.handle.write_with(op);
        }
        let io = self.handle.io();
        // The operation counts towards the I/O budget, but does not wait.
        let attempt = || {
            io.write_with(None, |socket| match op(socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                other => other.map(Some),
            })
        };
        if let Some(sent) = attempt()? {
            return Ok(sent);
        }
        retry_with_backoff(self.handle.write_timeout(), |limit| {
            // This socket's own buffer may be full, and the system does notify of that.
            io.wait_writable(limit)?;
            attempt()
        })
    }

    /// Sends a datagram to the connected peer. Lets other greenlets run while there is no room.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send_to`](UnixDatagram::send_to), and `ConnectionRefused` if the
    /// peer was closed.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.handle.write_with(|socket| socket.send(data))
    }
}

options! { UnixDatagram:
    /// Sets the peer by an address; see [`connect`](UnixDatagram::connect).
    connect_addr(address: &SocketAddr) -> ();
    /// Returns the address of the connected peer, or `NotConnected` if there is none.
    peer_addr() -> SocketAddr;
    /// Returns the local address.
    local_addr() -> SocketAddr;
    /// Shuts down one direction or both. Greenlets that wait to receive get 0 bytes, and those that
    /// wait to send get `BrokenPipe`.
    shutdown(how: Shutdown) -> ();
}

/// Returns `true` if receiving was shut down. Linux reports this only through `poll`: a receive
/// would wait forever.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_shut(socket: &net::UnixDatagram) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(fds[0].revents().contains(PollFlags::RDHUP))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_shut(_socket: &net::UnixDatagram) -> io::Result<bool> {
    Ok(false)
}
