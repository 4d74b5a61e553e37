//! UDP sockets.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::addr::{first_of, one_of};
use super::resolve::ToSocketAddrs;
use super::socket::{options, release, socket};
use crate::io::handle::{Handle, readable, writable};

/// A UDP socket whose operations wait without blocking the thread: `std::net::UdpSocket`'s counterpart.
///
/// Any number of greenlets may wait to receive on one socket; each datagram goes to one of them. A datagram that is longer
/// than the buffer is cut off at its end on Unix and is an error on Windows, as the system has it; an empty datagram is
/// received as 0 bytes and is no end of anything.
///
/// On a [connected](UdpSocket::connect) socket, an answer of the other host that nobody listens there is an error of a later
/// call, `ConnectionRefused`; the socket works on after that.
///
/// # Cancellation
///
/// A kill or a timeout while it waits has received nothing and sent nothing: a datagram goes whole or not at all.
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
    /// Binds to the first of the addresses that can be had. Lets others run if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` when there is no address at all.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        Self::from_std(first_of(address, net::UdpSocket::bind)?)
    }

    /// Sets whom [`send`](UdpSocket::send) sends to and, at the same time, from whom alone is received: the first of the
    /// addresses that can be. Lets others run if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` when there is no address at all.
    pub fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        first_of(address, |address| self.handle.get_open()?.connect(address))
    }

    /// Receives a datagram and says who sent it. Lets others run if it waits.
    ///
    /// # Errors
    ///
    /// `TimedOut` by the read timeout; `EBADF` when the socket was closed; the system's own.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.handle.read_with(|socket| socket.recv_from(buffer))
    }

    /// Receives a datagram if one is there, and says who sent it. Does not let others run.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](UdpSocket::recv_from), without the timeout.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr)>> {
        self.handle.io().try_read_with(|socket| socket.recv_from(buffer))
    }

    /// Receives a datagram of whom the socket is connected to.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](UdpSocket::recv_from); `ConnectionRefused` when an earlier datagram found nobody.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|socket| socket.recv(buffer))
    }

    /// Like [`recv_from`](UdpSocket::recv_from), and leaves the datagram there.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](UdpSocket::recv_from).
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.handle.read_with(|socket| socket.peek_from(buffer))
    }

    /// Like [`recv`](UdpSocket::recv), and leaves the datagram there.
    ///
    /// # Errors
    ///
    /// As [`recv`](UdpSocket::recv).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|socket| socket.peek(buffer))
    }

    /// Sends a datagram to the first of the addresses; as with std, no other one is tried. Lets others run if it waits for
    /// room or a name has to be looked up.
    ///
    /// # Errors
    ///
    /// `TimedOut` by the write timeout; `EBADF` when the socket was closed; the system's own, such as `EMSGSIZE` for a
    /// datagram that is too long.
    pub fn send_to(&self, data: &[u8], address: impl ToSocketAddrs) -> io::Result<usize> {
        let address = one_of(address)?;
        self.handle.write_with(|socket| socket.send_to(data, address))
    }

    /// Sends a datagram to whom the socket is connected to.
    ///
    /// # Errors
    ///
    /// As [`send_to`](UdpSocket::send_to); `ConnectionRefused` when an earlier datagram found nobody.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        self.handle.write_with(|socket| socket.send(data))
    }
}

options! { UdpSocket:
    /// The address it is connected to; `NotConnected` when it is not.
    peer_addr() -> SocketAddr;
    /// The address it is bound to.
    local_addr() -> SocketAddr;
    /// Allows sending to a broadcast address.
    set_broadcast(on: bool) -> ();
    /// Whether sending to a broadcast address is allowed.
    broadcast() -> bool;
    /// Sets the time to live of packets.
    set_ttl(ttl: u32) -> ();
    /// The time to live of packets.
    ttl() -> u32;
    /// Says whether this host gets the IPv4 multicast datagrams that it sends.
    set_multicast_loop_v4(on: bool) -> ();
    /// Whether this host gets the IPv4 multicast datagrams that it sends.
    multicast_loop_v4() -> bool;
    /// Sets the time to live of IPv4 multicast packets, which is 1 by default: they stay in the local network.
    set_multicast_ttl_v4(ttl: u32) -> ();
    /// The time to live of IPv4 multicast packets.
    multicast_ttl_v4() -> u32;
    /// Says whether this host gets the IPv6 multicast datagrams that it sends.
    set_multicast_loop_v6(on: bool) -> ();
    /// Whether this host gets the IPv6 multicast datagrams that it sends.
    multicast_loop_v6() -> bool;
    /// Joins a group on the interface with that address; an address of zeros leaves the choice to the system.
    join_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Joins a group on the interface with that index; 0 leaves the choice to the system.
    join_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
    /// Leaves a group that was [joined](UdpSocket::join_multicast_v4).
    leave_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Leaves a group that was [joined](UdpSocket::join_multicast_v6).
    leave_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
}
