//! TCP streams and listeners.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use ramie_hub::{Io, LinkId, Waitable};
use socket2::SockRef;

/// The backlog that std asks for.
const BACKLOG: i32 = 128;

/// A TCP connection whose operations wait without blocking the thread: `std::net::TcpStream`'s counterpart.
///
/// Reading and writing also work through `&TcpStream`, so two greenlets may share one in an `Rc`, one reading and
/// one writing. Any number may wait for either direction.
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
    io: Io<mio::net::TcpStream>,
    read_timeout: Cell<Option<Duration>>,
    write_timeout: Cell<Option<Duration>>,
}

impl TcpStream {
    fn from_mio(stream: mio::net::TcpStream) -> io::Result<Self> {
        Ok(TcpStream { io: Io::new(stream)?, read_timeout: Cell::new(None), write_timeout: Cell::new(None) })
    }

    /// Connects to the first of the addresses that answers. Lets others run while it waits.
    ///
    /// A host name is resolved by std, which blocks the thread.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` when there is no address at all.
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

    fn connect_one(address: &SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let stream = Self::from_mio(mio::net::TcpStream::connect(*address)?)?;
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            stream.io.wait_writable(left)?;
            // Being writable is a hint: the connection may have failed, or not be made yet.
            if let Some(error) = stream.io.get_ref().take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Ok(_) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes over a connection from std. It is put into non-blocking mode.
    ///
    /// # Errors
    ///
    /// When the system refuses that mode.
    pub fn from_std(stream: net::TcpStream) -> io::Result<TcpStream> {
        stream.set_nonblocking(true)?;
        Self::from_mio(mio::net::TcpStream::from_std(stream))
    }

    /// Gives the connection to std, in blocking mode.
    ///
    /// # Errors
    ///
    /// When the system refuses that mode.
    pub fn into_std(self) -> io::Result<net::TcpStream> {
        let stream: net::TcpStream = self.io.into_inner().into();
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// A second handle of the same connection, with limits of its own.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        let clone = SockRef::from(self.io.get_ref()).try_clone()?;
        let clone = Self::from_mio(mio::net::TcpStream::from_std(clone.into()))?;
        clone.read_timeout.set(self.read_timeout.get());
        clone.write_timeout.set(self.write_timeout.get());
        Ok(clone)
    }

    /// The other side's address.
    ///
    /// # Errors
    ///
    /// `NotConnected` when there is no other side.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// This side's address.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// Ends one direction or both. Greenlets that wait for it see the end of the stream.
    ///
    /// # Errors
    ///
    /// `NotConnected` when there is no other side.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// Ends the connection for everybody who shares it: greenlets that wait on it get `EBADF` in a later turn, and so
    /// does every operation from now on. Does not let others run.
    ///
    /// The descriptor itself is given back when the last owner drops the stream.
    pub fn close(&self) {
        self.io.close();
        // It may not be connected, or not any more; then there is nothing to end.
        let _ = self.io.get_ref().shutdown(Shutdown::Both);
    }

    /// Receives without consuming: the next read gets the same bytes.
    ///
    /// # Errors
    ///
    /// As [`read`](Read::read).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.read_with(self.read_timeout.get(), |stream| stream.peek(buffer))
    }

    /// Sets how long a read may wait. `None` is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a time of zero, as with std.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout.set(check_timeout(timeout)?);
        Ok(())
    }

    /// Sets how long a write may wait. `None` is for ever.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a time of zero, as with std.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout.set(check_timeout(timeout)?);
        Ok(())
    }

    /// How long a read may wait.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout.get()
    }

    /// How long a write may wait.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.write_timeout.get()
    }

    /// Sends small pieces at once instead of gathering them.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get_ref().set_nodelay(nodelay)
    }

    /// Whether small pieces are sent at once.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get_ref().nodelay()
    }

    /// Sets the time to live of packets.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// The time to live of packets.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets how long a drop waits for unsent data; `Some(ZERO)` resets the connection instead.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.io.get_ref()).set_linger(linger)
    }

    /// How long a drop waits for unsent data.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.io.get_ref()).linger()
    }

    /// The error that the socket has in store, which is cleared.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get_ref().take_error()
    }

    /// Waits until something can be read, or the stream has ended.
    ///
    /// # Errors
    ///
    /// `TimedOut` by the read timeout; `EBADF` when it was closed.
    pub fn wait_readable(&self) -> io::Result<()> {
        self.io.wait_readable(self.read_timeout.get())
    }

    /// Waits until something can be written.
    ///
    /// # Errors
    ///
    /// `TimedOut` by the write timeout; `EBADF` when it was closed.
    pub fn wait_writable(&self) -> io::Result<()> {
        self.io.wait_writable(self.write_timeout.get())
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        self.io.read_into(self.read_timeout.get(), wanted, |mut stream| stream.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        self.io.read_into(self.read_timeout.get(), wanted, |mut stream| stream.read_vectored(buffers))
    }
}

impl Write for &TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.io.write_with(self.write_timeout.get(), |mut stream| stream.write(data))
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.write_with(self.write_timeout.get(), |mut stream| stream.write_vectored(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TcpStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        (&*self).write(data)
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TryFrom<net::TcpStream> for TcpStream {
    type Error = io::Error;

    fn try_from(stream: net::TcpStream) -> io::Result<Self> {
        Self::from_std(stream)
    }
}

impl TryFrom<TcpStream> for net::TcpStream {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<Self> {
        stream.into_std()
    }
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
    io: Io<mio::net::TcpListener>,
}

impl TcpListener {
    /// Binds to the first of the addresses that can be had, with a backlog of 128.
    ///
    /// As with std, the address may be reused at once on Unix. A host name is resolved by std, which blocks.
    ///
    /// # Errors
    ///
    /// The last address's error; `InvalidInput` when there is no address at all.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        Self::from_std(first_of(address, bind_one)?)
    }

    /// Takes over a listener from std. It is put into non-blocking mode.
    ///
    /// # Errors
    ///
    /// When the system refuses that mode.
    pub fn from_std(listener: net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        Ok(TcpListener { io: Io::new(mio::net::TcpListener::from_std(listener))? })
    }

    /// Gives the listener to std, in blocking mode.
    ///
    /// # Errors
    ///
    /// When the system refuses that mode.
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        let socket: socket2::Socket = SockRef::from(self.io.get_ref()).try_clone()?;
        drop(self);
        socket.set_nonblocking(false)?;
        Ok(socket.into())
    }

    /// Takes the next connection, waiting for one if none is there. Lets others run while it waits.
    ///
    /// # Errors
    ///
    /// The system's own, of which those about the one connection or about missing descriptors pass; `EBADF` when the
    /// listener was closed.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout takes no connection.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_for(None)
    }

    /// Takes the next connection, waiting at most that long.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the time is over first, and as [`accept`](TcpListener::accept).
    pub fn accept_timeout(&self, timeout: Duration) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_for(Some(timeout))
    }

    fn accept_for(&self, timeout: Option<Duration>) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.io.read_with(timeout, |listener| listener.accept())?;
        Ok((TcpStream::from_mio(stream)?, peer))
    }

    /// Takes the next connection if one is there. Does not let others run.
    ///
    /// # Errors
    ///
    /// As [`accept`](TcpListener::accept).
    pub fn try_accept(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        match self.io.try_read_with(|listener| listener.accept())? {
            Some((stream, peer)) => Ok(Some((TcpStream::from_mio(stream)?, peer))),
            None => Ok(None),
        }
    }

    /// Iterates over connections, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// Ends it for everybody who shares it: greenlets in `accept` get `EBADF` in a later turn, and so does every later
    /// `accept`. On Linux peers are refused from now on, elsewhere when the last owner drops it.
    pub fn close(&self) {
        self.io.close();
        // Not every system lets a listener be shut down; there the drop does it.
        let _ = SockRef::from(self.io.get_ref()).shutdown(Shutdown::Both);
    }

    /// A second handle of the same listener.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        let clone = SockRef::from(self.io.get_ref()).try_clone()?;
        Ok(TcpListener { io: Io::new(mio::net::TcpListener::from_std(clone.into()))? })
    }

    /// Sets the time to live of packets.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// The time to live of packets.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// The error that the socket has in store, which is cleared.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get_ref().take_error()
    }
}

/// Ready when a connection may be there.
impl Waitable for TcpListener {
    fn is_ready(&self) -> bool {
        self.io.maybe_readable()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.io.link_readable(f)
    }

    fn unlink(&self, id: LinkId) {
        self.io.unlink_readable(id);
    }
}

/// Ready when something may be read.
impl Waitable for TcpStream {
    fn is_ready(&self) -> bool {
        self.io.maybe_readable()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.io.link_readable(f)
    }

    fn unlink(&self, id: LinkId) {
        self.io.unlink_readable(id);
    }
}

impl TryFrom<net::TcpListener> for TcpListener {
    type Error = io::Error;

    fn try_from(listener: net::TcpListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}

/// An endless iterator over connections. Made by [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

#[cfg(unix)]
mod unix {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

    use super::{TcpListener, TcpStream};

    impl AsFd for TcpStream {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.io.get_ref().as_fd()
        }
    }

    impl AsRawFd for TcpStream {
        fn as_raw_fd(&self) -> RawFd {
            self.io.get_ref().as_raw_fd()
        }
    }

    impl AsFd for TcpListener {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.io.get_ref().as_fd()
        }
    }

    impl AsRawFd for TcpListener {
        fn as_raw_fd(&self) -> RawFd {
            self.io.get_ref().as_raw_fd()
        }
    }
}

/// Tries one address after the other; the last one's error counts.
fn first_of<R>(address: impl ToSocketAddrs, mut f: impl FnMut(SocketAddr) -> io::Result<R>) -> io::Result<R> {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no pool of threads yet; the documentation says it"
    )]
    let addresses = address.to_socket_addrs()?;
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no address was given");
    for address in addresses {
        match f(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr) -> io::Result<net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// std refuses a limit of zero, which would mean "never" to some systems.
fn check_timeout(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a time of zero is no time to wait"));
    }
    Ok(timeout)
}
