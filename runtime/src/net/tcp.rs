//! TCP streams and listeners.

use std::io::{self, IoSliceMut, Read};
use std::net::{self, SocketAddr};
use std::time::Duration;

use ramie_hub::Limit;
use ramie_hub::with_timeout;
use socket2::SockRef;

use super::addr::{first, first_of};
use super::resolve::ToSocketAddrs;
use super::socket::{listener, options, socket, stream};
use crate::io::handle::{Handle, check_timeout};

/// The default maximum of connections that wait to be accepted. The system may allow fewer: Linux
/// allows `net.core.somaxconn`, which is 4096 by default. The backlog of std is 128: a burst of
/// clients overflows it, and some of them wait for a second or forever.
pub(crate) const BACKLOG: u32 = 4096;

/// A TCP connection with operations that wait without blocking the thread: the counterpart of
/// `std::net::TcpStream`.
///
/// Reading and writing also work through `&TcpStream`, so two greenlets may share a stream in an
/// `Rc`, or hold [clones](TcpStream::try_clone) or [halves](TcpStream::into_split), one reading and
/// one writing. Any number of greenlets may wait for either direction.
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
/// use ramie::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// ramie::spawn(move || listener.accept().unwrap().0.write_all(b"hello"));
/// let mut text = String::new();
/// TcpStream::connect(address)?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpStream {
    handle: Handle<mio::net::TcpStream>,
}

socket!(TcpStream, net::TcpStream, mio::net::TcpStream::from_std);
stream!(TcpStream);

impl TcpStream {
    fn from_mio(stream: mio::net::TcpStream) -> io::Result<Self> {
        Ok(TcpStream { handle: Handle::new(stream)? })
    }

    /// Connects to the first address that accepts. Lets other greenlets run while it waits.
    ///
    /// # Errors
    ///
    /// Returns the error of the last address, and `InvalidInput` if there is no address.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout closes the socket that is being connected.
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        first_of(address, |address| Self::connect_one(&address, None))
    }

    /// Connects to the first address that accepts. All addresses share one limit.
    ///
    /// Each address gets an equal share of the remaining time, so that an address that never
    /// answers leaves time for the others. Resolving a host name counts.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` for a timeout of zero (as std does), `TimedOut` at the limit, or if
    /// the last address does not answer within its share. Returns the errors of
    /// [`connect`](TcpStream::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let closed = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    /// let addresses = [closed, listener.local_addr()?];
    /// let stream = TcpStream::connect_timeout(&addresses[..], Duration::from_secs(5))?;
    /// assert_eq!(stream.peer_addr()?, addresses[1]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_timeout(address: impl ToSocketAddrs, timeout: impl Into<Limit>) -> io::Result<TcpStream> {
        let limit = timeout.into();
        if let Limit::After(after) = limit {
            check_timeout(Some(after))?;
        }
        let limit = limit.fixed();
        let addresses: Vec<_> = with_timeout(limit, || address.to_socket_addrs())??.collect();
        let mut shares = (1..=u32::try_from(addresses.len()).unwrap_or(u32::MAX)).rev();
        first(addresses, |address| {
            let share = shares.next().unwrap_or(1);
            Self::connect_one(&address, limit.duration().map(|left| left / share))
        })
    }

    fn connect_one(address: &SocketAddr, limit: impl Into<Limit>) -> io::Result<TcpStream> {
        let limit = limit.into().fixed();
        let stream = Self::from_mio(mio::net::TcpStream::connect(*address)?)?;
        loop {
            stream.handle.io().wait_writable(limit)?;
            // Writability is a hint: the connection may have failed, or may not be established yet.
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Ok(_) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives without consuming: the next read gets the same bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`read`](Read::read).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_with(|stream| stream.peek(buffer))
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.read_into(buffer.len(), |mut stream| stream.read(buffer))
    }

    fn receive_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.handle.read_into(wanted, |mut stream| stream.read_vectored(buffers))
    }

    /// Sets how long a drop waits for unsent data (`SO_LINGER`). `Some(ZERO)` resets the connection
    /// instead.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.handle.get_ref()).set_linger(linger)
    }

    /// Returns how long a drop waits for unsent data.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.handle.get_ref()).linger()
    }
}

options! { TcpStream:
    /// Returns the address of the peer, or `NotConnected` if there is none.
    peer_addr() -> SocketAddr;
    /// Returns the local address.
    local_addr() -> SocketAddr;
    /// Sets `TCP_NODELAY`: small segments are sent at once instead of being merged.
    set_nodelay(nodelay: bool) -> ();
    /// Returns `true` if small segments are sent at once.
    nodelay() -> bool;
    /// Sets the time to live of packets.
    set_ttl(ttl: u32) -> ();
    /// Returns the time to live of packets.
    ttl() -> u32;
}

/// A TCP socket that accepts connections: the counterpart of `std::net::TcpListener`.
///
/// Any number of greenlets may accept on one listener.
///
/// # Examples
///
/// ```
/// use ramie::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let client = ramie::spawn({
///     let address = listener.local_addr()?;
///     move || TcpStream::connect(address).unwrap().local_addr().unwrap()
/// });
/// let (_stream, peer) = listener.accept()?;
/// assert_eq!(peer, client.get().unwrap());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpListener {
    handle: Handle<mio::net::TcpListener>,
}

socket!(TcpListener, net::TcpListener, mio::net::TcpListener::from_std);
listener!(TcpListener, TcpStream, SocketAddr, Incoming, TcpStream::from_mio);

impl TcpListener {
    /// Binds to the first usable address, with a backlog of 4096, or as much as the system allows.
    ///
    /// As with std, the address can be reused at once on Unix. Lets other greenlets run if a name
    /// has to be resolved.
    ///
    /// # Errors
    ///
    /// Returns the error of the last address, and `InvalidInput` if there is no address.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        Self::bind_with_backlog(address, BACKLOG)
    }

    /// Binds like [`bind`](TcpListener::bind), with a limit on the connections that wait to be
    /// accepted: gevent's `backlog`. The system may round the limit, or allow fewer.
    ///
    /// If there are more connections, the system leaves it to the clients to try again.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`bind`](TcpListener::bind).
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind_with_backlog("127.0.0.1:0", 16)?;
    /// let _client = TcpStream::connect(listener.local_addr()?)?; // waits in the backlog
    /// let (_stream, _peer) = listener.accept()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_with_backlog(address: impl ToSocketAddrs, backlog: u32) -> io::Result<TcpListener> {
        Self::from_std(first_of(address, |address| bind_one(address, backlog))?)
    }
}

options! { TcpListener:
    /// Returns the local address.
    local_addr() -> SocketAddr;
    /// Sets the time to live of packets.
    set_ttl(ttl: u32) -> ();
    /// Returns the time to live of packets.
    ttl() -> u32;
}

fn bind_one(address: SocketAddr, backlog: u32) -> io::Result<net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}
