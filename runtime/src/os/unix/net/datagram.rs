//! Unix datagram sockets.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use super::patience::keep_trying;
use crate::io::handle::{Handle, readable, writable};
use crate::net::socket::{options, release, socket};

/// A Unix datagram socket: `std::os::unix::net::UnixDatagram`'s counterpart.
///
/// Nothing gets lost: who sends to a socket whose queue is full waits. Datagrams that are longer than the buffer are cut off at
/// their end; an empty one is received as 0 bytes.
///
/// # Cancellation
///
/// A kill or a timeout while it waits has received nothing and sent nothing: a datagram goes whole or not at all.
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
    /// Binds to a path, where nothing may be yet.
    ///
    /// # Errors
    ///
    /// The system's own; `AddrInUse` when something is there.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        Self::from_std(net::UnixDatagram::bind(path)?)
    }

    /// Binds to an address.
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixDatagram::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        Self::from_std(net::UnixDatagram::bind_addr(address)?)
    }

    /// A socket without an address: one that sends only, or is connected later.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left.
    pub fn unbound() -> io::Result<UnixDatagram> {
        Self::from_std(net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// Sets whom [`send`](UnixDatagram::send) sends to, and from whom alone is received. Does not wait.
    ///
    /// # Errors
    ///
    /// The system's own: `NotFound` when nothing is there.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.handle.get_open()?.connect(path)
    }

    /// Receives a datagram and says who sent it. Lets others run if it waits.
    ///
    /// # Errors
    ///
    /// `TimedOut` by the read timeout; `EBADF` when the socket was closed; the system's own.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive_with(
            |socket| socket.recv_from(buffer),
            || {
                // Nobody's address, as std has it here; there is no other way to make one.
                Ok((0, net::UnixDatagram::unbound()?.local_addr()?))
            },
        )
    }

    /// Receives a datagram if one is there, and says who sent it. Does not let others run.
    ///
    /// # Errors
    ///
    /// `NotConnected` when receiving was shut down; as [`recv_from`](UnixDatagram::recv_from), without the timeout.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        let received = self.handle.io().try_read_with(|socket| socket.recv_from(buffer))?;
        if received.is_none() && is_shut(self.handle.get_ref())? {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "receiving was shut down"));
        }
        Ok(received)
    }

    /// Receives a datagram.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](UnixDatagram::recv_from).
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

    /// Sends a datagram to the socket at `path`. Lets others run while there is no room.
    ///
    /// When it is the other one's queue that is full, the system gives no notice of its end to somebody who is not connected:
    /// then the attempt is repeated, at first after a millisecond and later every 16. A connected socket is told.
    ///
    /// # Errors
    ///
    /// `TimedOut` by the write timeout; `EBADF` when the socket was closed; the system's own, such as `EMSGSIZE` for a
    /// datagram that is too long.
    pub fn send_to(&self, data: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_with(|socket| socket.send_to(data, path.as_ref()))
    }

    /// Sends a datagram to the socket at an address; see [`send_to`](UnixDatagram::send_to).
    ///
    /// # Errors
    ///
    /// As [`send_to`](UnixDatagram::send_to).
    pub fn send_to_addr(&self, data: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.send_with(|socket| socket.send_to_addr(data, address))
    }

    fn send_with(&self, op: impl Fn(&net::UnixDatagram) -> io::Result<usize>) -> io::Result<usize> {
        let (io, limits) = (self.handle.io(), self.handle.limits());
        if limits.nonblocking() {
            return self.handle.write_with(op);
        }
        // The budget of operations that need not wait is spent here, and nothing is waited for.
        let attempt = || {
            io.write_with(None, |socket| match op(socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                other => other.map(Some),
            })
        };
        if let Some(sent) = attempt()? {
            return Ok(sent);
        }
        keep_trying(limits.write(), |left| {
            // It may be our own buffer that is full: that the system tells.
            io.wait_writable(left)?;
            attempt()
        })
    }

    /// Sends a datagram to whom the socket is connected to. Lets others run while there is no room.
    ///
    /// # Errors
    ///
    /// As [`send_to`](UnixDatagram::send_to); `ConnectionRefused` when the other socket is gone.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.handle.write_with(|socket| socket.send(data))
    }
}

options! { UnixDatagram:
    /// Sets whom `send` sends to by an address; see [`connect`](UnixDatagram::connect).
    connect_addr(address: &SocketAddr) -> ();
    /// The address it is connected to; `NotConnected` when it is not.
    peer_addr() -> SocketAddr;
    /// The address it is bound to.
    local_addr() -> SocketAddr;
    /// Ends one direction or both. Greenlets that wait to receive get 0 bytes, and those that wait to send `BrokenPipe`.
    shutdown(how: Shutdown) -> ();
}

/// Whether receiving was shut down. Linux says so to those who ask, but would have those who receive wait for ever.
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
