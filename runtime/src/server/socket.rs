//! What a server asks of its socket.

use std::io;
use std::net::SocketAddr;

use crate::net::{TcpListener, TcpStream, UdpSocket};

/// A socket that a server can be made of. [`Listener`] and [`DatagramSocket`] say what arrives there.
pub trait Socket: 'static {
    /// Its addresses, and those of its peers.
    type Address: 'static;

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// The system's own.
    fn local_addr(&self) -> io::Result<Self::Address>;

    /// Waits until something may have arrived. May return although there is nothing.
    ///
    /// # Errors
    ///
    /// `EBADF` when it was closed; the system's own.
    fn wait_readable(&self) -> io::Result<()>;

    /// Ends it for everybody: the system refuses who connects from now on.
    fn close(&self);
}

/// A socket that takes connections.
pub trait Listener: Socket {
    /// What a connection is.
    type Stream: 'static;

    /// Takes the next connection if one is there. Must not let others run.
    ///
    /// # Errors
    ///
    /// The system's own.
    fn try_accept(&self) -> io::Result<Option<(Self::Stream, Self::Address)>>;
}

/// A socket that sends and receives datagrams.
pub trait DatagramSocket: Socket {
    /// Receives a datagram if one is there, and says who sent it. Must not let others run.
    ///
    /// # Errors
    ///
    /// The system's own.
    fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Self::Address)>>;

    /// Sends a datagram. Lets others run while there is no room.
    ///
    /// # Errors
    ///
    /// The system's own.
    fn send_to(&self, data: &[u8], peer: &Self::Address) -> io::Result<usize>;
}

/// What the sockets of this crate have by the same names.
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
