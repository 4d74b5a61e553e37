//! TCP streams and listeners.

use std::io::{self, IoSliceMut, Read};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use ramie_hub::with_timeout;
use socket2::SockRef;

use super::addr::{first, first_of};
use super::resolve::ToSocketAddrs;
use super::socket::{listener, options, socket, stream};
use crate::io::handle::Handle;
use crate::io::limits::check_timeout;

/// How many connections may wait to be accepted, unless a listener is told otherwise. The system may allow fewer: Linux
/// `net.core.somaxconn`, which is 4096 by default. std asks for 128, with which a burst of clients is dropped, and some of them wait
/// for a second or for ever.
pub(crate) const BACKLOG: u32 = 4096;

/// A TCP connection whose operations wait without blocking the thread: `std::net::TcpStream`'s counterpart.
///
/// Reading and writing also work through `&TcpStream`, so two greenlets may share one in an `Rc`, or hold
/// [clones](TcpStream::try_clone) or [halves](TcpStream::into_split), one reading and one writing. Any number may wait for
/// either direction.
///
/// # Cancellation
///
/// A kill or a timeout inside a read has consumed nothing. Inside `write_all` a part of the data may have been sent.
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

    /// Connects to the first of the addresses that answers. Lets others run while it waits.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` when there is no address at all.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout closes the socket that was being connected.
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        first_of(address, |address| Self::connect_one(&address, None))
    }

    /// Connects to one address, waiting at most that long.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the time is over first; `InvalidInput` for a time of zero, as with std; the system's own.
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        Self::connect_one(address, check_timeout(Some(timeout))?)
    }

    /// Connects to the first of the addresses that answers, all of which have until `deadline` together.
    ///
    /// Each gets an equal share of the time that is left when it is its turn, so that an address which never answers
    /// leaves some for the others. Looking up a host name counts.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the deadline came first, or when the last address did not answer in its time; as
    /// [`connect`](TcpStream::connect).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use ramie::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    /// let addresses = [nobody, listener.local_addr()?];
    /// let stream = TcpStream::connect_deadline(&addresses[..], Instant::now() + Duration::from_secs(5))?;
    /// assert_eq!(stream.peer_addr()?, addresses[1]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_deadline(address: impl ToSocketAddrs, deadline: Instant) -> io::Result<TcpStream> {
        let left = deadline.saturating_duration_since(Instant::now());
        let addresses: Vec<_> = with_timeout(left, || address.to_socket_addrs())??.collect();
        let mut shares = (1..=u32::try_from(addresses.len()).unwrap_or(u32::MAX)).rev();
        first(addresses, |address| {
            let left = deadline.saturating_duration_since(Instant::now());
            Self::connect_one(&address, Some(left / shares.next().unwrap_or(1)))
        })
    }

    fn connect_one(address: &SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let stream = Self::from_mio(mio::net::TcpStream::connect(*address)?)?;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            stream.handle.io().wait_writable(left)?;
            // Being writable is a hint: the connection may have failed, or not be made yet.
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
    /// As [`read`](Read::read).
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

    /// Sets how long a drop waits for unsent data; `Some(ZERO)` resets the connection instead.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.handle.get_ref()).set_linger(linger)
    }

    /// How long a drop waits for unsent data.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.handle.get_ref()).linger()
    }
}

options! { TcpStream:
    /// The other side's address; `NotConnected` when there is no other side.
    peer_addr() -> SocketAddr;
    /// This side's address.
    local_addr() -> SocketAddr;
    /// Sends small pieces at once instead of gathering them.
    set_nodelay(nodelay: bool) -> ();
    /// Whether small pieces are sent at once.
    nodelay() -> bool;
    /// Sets the time to live of packets.
    set_ttl(ttl: u32) -> ();
    /// The time to live of packets.
    ttl() -> u32;
}

/// A TCP socket that takes connections: `std::net::TcpListener`'s counterpart.
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
    /// Binds to the first of the addresses that can be had, with a backlog of 4096, or as much as the system allows.
    ///
    /// As with std, the address may be reused at once on Unix. Lets others run if a name has to be looked up.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` when there is no address at all.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        Self::bind_with_backlog(address, BACKLOG)
    }

    /// Binds as [`bind`](TcpListener::bind) does, and has the system keep at most that many connections which have not been
    /// accepted: gevent's `backlog`. The system may round it, and allow fewer.
    ///
    /// When there are more, the system leaves clients to try again.
    ///
    /// # Errors
    ///
    /// As [`bind`](TcpListener::bind).
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
    /// The address it is bound to.
    local_addr() -> SocketAddr;
    /// Sets the time to live of packets.
    set_ttl(ttl: u32) -> ();
    /// The time to live of packets.
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
