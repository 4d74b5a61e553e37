//! Datagram servers.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;

use ramie_hub::fallible;

use super::base::BaseServer;
use super::handlers::{HandlerPool, Outcome};
use super::socket::DatagramSocket;
use crate::net::{ToSocketAddrs, UdpSocket};

/// The size of the receive buffer, larger than any UDP datagram.
const BUFFER_SIZE: usize = 65536;

/// A server that runs a handler in a new greenlet for each datagram: gevent's `DatagramServer`.
/// Clones are the same server.
///
/// Starting, stopping and limits are methods of [`BaseServer`], to which this type dereferences. A
/// datagram of 64 KiB or more, which a Unix socket may deliver, is truncated.
///
/// # Examples
///
/// ```
/// use ramie::net::UdpSocket;
/// use ramie::server::DatagramServer;
///
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// let reply = socket.try_clone()?;
/// let server = DatagramServer::new(socket, move |data, peer| {
///     reply.send_to(format!("received {} bytes", data.len()).as_bytes(), peer)
/// });
/// server.start()?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"hello", server.address()?)?;
/// let mut buffer = [0; 100];
/// let length = client.recv(&mut buffer)?;
/// assert_eq!(&buffer[..length], b"received 5 bytes");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DatagramServer<S: DatagramSocket = UdpSocket> {
    base: BaseServer<S>,
}

impl DatagramServer<UdpSocket> {
    /// Binds to the first usable address and returns a server that must be
    /// [started](BaseServer::start). Lets other greenlets run if a name has to be resolved.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`UdpSocket::bind`].
    #[track_caller]
    pub fn bind<R: Outcome>(
        address: impl ToSocketAddrs,
        handle: impl Fn(Vec<u8>, SocketAddr) -> R + 'static,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        Ok(Self::new(socket, handle))
    }
}

impl<S: DatagramSocket> DatagramServer<S> {
    /// Creates a server for a socket. The server must be [started](BaseServer::start).
    #[track_caller]
    pub fn new<R: Outcome>(socket: S, handle: impl Fn(Vec<u8>, S::Address) -> R + 'static) -> Self {
        let handle = Rc::new(handle);
        let buffer = Cell::new(Vec::new());
        let take = move |socket: &S, place: &HandlerPool| {
            let mut data = buffer.take();
            data.resize(BUFFER_SIZE, 0);
            let taken = socket
                .try_recv_from(&mut data)
                .map(|taken| taken.map(|(length, peer)| (data[..length].to_vec(), peer)));
            buffer.set(data);
            let Some((data, peer)) = taken? else { return Ok(false) };
            let handle = handle.clone();
            place.spawn(fallible(move || handle(data, peer).into_result()));
            Ok(true)
        };
        DatagramServer { base: BaseServer::new("DatagramServer", Location::caller(), socket, Box::new(take)) }
    }

    /// Sends a datagram from the server's socket. Lets other greenlets run while there is no room.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn sendto(&self, data: &[u8], peer: &S::Address) -> io::Result<usize> {
        self.socket().send_to(data, peer)
    }
}

impl<S: DatagramSocket> Deref for DatagramServer<S> {
    type Target = BaseServer<S>;

    fn deref(&self) -> &BaseServer<S> {
        &self.base
    }
}

impl<S: DatagramSocket> Clone for DatagramServer<S> {
    fn clone(&self) -> Self {
        DatagramServer { base: self.base.clone() }
    }
}

impl<S: DatagramSocket> fmt::Debug for DatagramServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}
