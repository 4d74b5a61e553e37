//! The socket traits of servers.

use std::io;
use std::net::SocketAddr;

use crate::net::{TcpListener, TcpStream, UdpSocket};

/// A socket that a server can use. [`Listener`] and [`DatagramSocket`] define the operations on it.
pub trait Socket: 'static {
    /// The type of local and peer addresses.
    type Address: 'static;

    /// Returns the local address.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn local_addr(&self) -> io::Result<Self::Address>;

    /// Waits until a connection or a datagram may be available. May return although none is.
    ///
    /// # Errors
    ///
    /// Returns `EBADF` if the socket was closed, or another error of the system.
    fn wait_readable(&self) -> io::Result<()>;

    /// Closes the socket for all its handles: the system refuses further connections.
    fn close(&self);
}

/// A socket that accepts connections.
pub trait Listener: Socket {
    /// The type of connections.
    type Stream: 'static;

    /// Accepts the next connection if one is available. Must not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn try_accept(&self) -> io::Result<Option<(Self::Stream, Self::Address)>>;
}

/// A socket that sends and receives datagrams.
pub trait DatagramSocket: Socket {
    /// Receives a datagram and its sender's address if one is available. Must not let other
    /// greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Self::Address)>>;

    /// Sends a datagram. Lets other greenlets run while there is no room.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    fn send_to(&self, data: &[u8], peer: &Self::Address) -> io::Result<usize>;
}

/// Forwards to the methods of the same names that the sockets of this crate have.
macro_rules! socket {
    ($type:ty, $address:ty) => {
        impl Socket for $type {
            type Address = $address;

            fn local_addr(&self) -> io::Result<$address> {
                self.local_addr()
            }

            fn wait_readable(&self) -> io::Result<()> {
                self.wait_readable()
            }

            fn close(&self) {
                self.close();
            }
        }
    };
}

macro_rules! listener {
    ($type:ty, $stream:ty, $address:ty) => {
        socket!($type, $address);

        impl Listener for $type {
            type Stream = $stream;

            fn try_accept(&self) -> io::Result<Option<($stream, $address)>> {
                self.try_accept()
            }
        }
    };
}

macro_rules! datagrams {
    ($type:ty, $address:ty, $send:expr) => {
        socket!($type, $address);

        impl DatagramSocket for $type {
            fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, $address)>> {
                self.try_recv_from(buffer)
            }

            fn send_to(&self, data: &[u8], peer: &$address) -> io::Result<usize> {
                $send(self, data, peer)
            }
        }
    };
}

listener!(TcpListener, TcpStream, SocketAddr);
datagrams!(UdpSocket, SocketAddr, |socket: &UdpSocket, data, peer: &SocketAddr| socket.send_to(data, *peer));

#[cfg(unix)]
mod unix {
    use super::{DatagramSocket, Listener, Socket, io};
    use crate::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

    listener!(UnixListener, UnixStream, SocketAddr);
    datagrams!(UnixDatagram, SocketAddr, UnixDatagram::send_to_addr);
}
