//! UDP sockets.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::addr::{first_of, one_of};
use super::resolve::ToSocketAddrs;
use super::socket::{options, release, socket};
use crate::io::handle::Handle;
use crate::io::macros::{readable, writable};

/// A UDP socket with operations that wait without blocking the thread: the counterpart of
/// `std::net::UdpSocket`.
///
/// Any number of greenlets may wait to receive on one socket; each datagram goes to one of them. A
/// datagram that is longer than the buffer is truncated on Unix and is an error on Windows, as
/// defined by the system. An empty datagram is received as 0 bytes and does not mark an end.
///
/// On a [connected](UdpSocket::connect) socket, if the peer reports that no socket is bound to its
/// port, a later call fails with `ConnectionRefused`. The socket remains usable.
///
/// # Cancellation
///
/// A kill or a timeout during a wait receives nothing and sends nothing: a datagram is sent whole
/// or not at all.
///
/// # Examples
///
/// ```
/// use ramie::net::UdpSocket;
///
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// ramie::spawn(move || {
///     let mut buffer = [0; 1500];
///     let (length, peer) = server.recv_from(&mut buffer).unwrap();
///     server.send_to(&buffer[..length], peer).unwrap();
/// });
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(address)?;
/// client.send(b"hello")?;
/// let mut buffer = [0; 1500];
/// let length = client.recv(&mut buffer)?;
/// assert_eq!(&buffer[..length], b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    handle: Handle<mio::net::UdpSocket>,
}

socket!(UdpSocket, net::UdpSocket, mio::net::UdpSocket::from_std);
readable!(UdpSocket);
writable!(UdpSocket);
release!(UdpSocket);

impl UdpSocket {
    /// Binds to the first usable address. Lets other greenlets run if a name has to be resolved.
    ///
    /// # Errors
    ///
    /// Returns the error of the last address, and `InvalidInput` if there is no address.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        Self::from_std(first_of(address, net::UdpSocket::bind)?)
    }

    /// Sets the peer: [`send`](UdpSocket::send) sends to it, and only its datagrams are received.
    /// Uses the first usable address. Lets other greenlets run if a name has to be resolved.
    ///
    /// # Errors
    ///
    /// Returns the error of the last address, and `InvalidInput` if there is no address.
    pub fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        first_of(address, |address| self.handle.get_open()?.connect(address))
    }

    /// Receives a datagram. Returns its length and the address of its sender. Lets other greenlets
    /// run if it waits.
    ///
    /// # Errors
    ///
    /// Returns `TimedOut` after the read timeout, `EBADF` if the socket was closed, or the error of
    /// the system.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.handle.read_with(|socket| socket.recv_from(buffer))
    }

    /// Receives a datagram if there is one. Returns its length and the address of its sender. Does
    /// not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`recv_from`](UdpSocket::recv_from), except the timeout.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        self.handle.io().try_read_with(|socket| socket.recv_from(buffer))
    }

    /// Receives a datagram of the connected peer. Lets other greenlets run if it waits.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`recv_from`](UdpSocket::recv_from), and `ConnectionRefused` if no
    /// socket was bound for an earlier datagram.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|socket| socket.recv(buffer))
    }

    /// Receives like [`recv_from`](UdpSocket::recv_from), without consuming the datagram.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`recv_from`](UdpSocket::recv_from).
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.handle.read_with(|socket| socket.peek_from(buffer))
    }

    /// Receives like [`recv`](UdpSocket::recv), without consuming the datagram.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`recv`](UdpSocket::recv).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|socket| socket.peek(buffer))
    }

    /// Sends a datagram to the first of the addresses. As with std, no other address is tried. Lets
    /// other greenlets run if it waits for room or a name has to be resolved.
    ///
    /// # Errors
    ///
    /// Returns `TimedOut` after the write timeout, `EBADF` if the socket was closed, or the error
    /// of the system, such as `EMSGSIZE` for a datagram that is too long.
    pub fn send_to(&self, data: &[u8], address: impl ToSocketAddrs) -> io::Result<usize> {
        let address = one_of(address)?;
        self.handle.write_with(|socket| socket.send_to(data, address))
    }

    /// Sends a datagram to the connected peer. Lets other greenlets run if it waits for room.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send_to`](UdpSocket::send_to), and `ConnectionRefused` if no socket
    /// was bound for an earlier datagram.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.handle.write_with(|socket| socket.send(data))
    }
}

options! { UdpSocket:
    /// Returns the address of the connected peer, or `NotConnected` if there is none.
    peer_addr() -> SocketAddr;
    /// Returns the local address.
    local_addr() -> SocketAddr;
    /// Sets whether sending to a broadcast address is allowed.
    set_broadcast(on: bool) -> ();
    /// Returns `true` if sending to a broadcast address is allowed.
    broadcast() -> bool;
    /// Sets the time to live of packets.
    set_ttl(ttl: u32) -> ();
    /// Returns the time to live of packets.
    ttl() -> u32;
    /// Sets whether this host receives the IPv4 multicast datagrams that it sends.
    set_multicast_loop_v4(on: bool) -> ();
    /// Returns `true` if this host receives the IPv4 multicast datagrams that it sends.
    multicast_loop_v4() -> bool;
    /// Sets the time to live of IPv4 multicast packets. The default is 1: they stay in the local
    /// network.
    set_multicast_ttl_v4(ttl: u32) -> ();
    /// Returns the time to live of IPv4 multicast packets.
    multicast_ttl_v4() -> u32;
    /// Sets whether this host receives the IPv6 multicast datagrams that it sends.
    set_multicast_loop_v6(on: bool) -> ();
    /// Returns `true` if this host receives the IPv6 multicast datagrams that it sends.
    multicast_loop_v6() -> bool;
    /// Joins a multicast group on the interface with the given address. With the unspecified
    /// address, the system chooses the interface.
    join_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Joins a multicast group on the interface with the given index. With 0, the system chooses
    /// the interface.
    join_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
    /// Leaves a multicast group that was [joined](UdpSocket::join_multicast_v4).
    leave_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Leaves a multicast group that was [joined](UdpSocket::join_multicast_v6).
    leave_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
}
