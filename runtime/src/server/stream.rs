//! Stream servers.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;

use ramie_hub::fallible;

use super::base::BaseServer;
use super::handlers::{HandlerPool, Outcome};
use super::socket::Listener;
use crate::net::{TcpListener, TcpStream, ToSocketAddrs};

/// A server that runs a handler in a new greenlet for each connection: gevent's `StreamServer`.
/// Clones are the same server.
///
/// Starting, stopping and limits are methods of [`BaseServer`], to which this type dereferences.
/// The handler owns the connection: it is closed when the handler drops it, by returning, by an
/// error, a panic or a kill.
///
/// # Examples
///
/// A handler that ends the service notifies the owner of the server:
///
/// ```
/// use std::io::{self, BufRead, BufReader, Write};
/// use std::rc::Rc;
/// use ramie::net::TcpStream;
/// use ramie::server::StreamServer;
/// use ramie::sync::Event;
///
/// let stop = Rc::new(Event::new());
/// let stopper = stop.clone();
/// let server = StreamServer::bind("127.0.0.1:0", move |stream: TcpStream, _peer| {
///     for line in BufReader::new(stream).lines() {
///         if line? == "stop" {
///             stopper.set();
///         }
///     }
///     Ok::<(), io::Error>(())
/// })?;
/// server.start()?;
/// TcpStream::connect(server.address()?)?.write_all(b"stop\n")?;
/// stop.wait();
/// server.stop();
/// # Ok::<(), io::Error>(())
/// ```
pub struct StreamServer<L: Listener = TcpListener> {
    base: BaseServer<L>,
}

impl StreamServer<TcpListener> {
    /// Binds to the first usable address and returns a server that must be
    /// [started](BaseServer::start). Lets other greenlets run if a name has to be resolved.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpListener::bind`].
    #[track_caller]
    pub fn bind<R: Outcome>(
        address: impl ToSocketAddrs,
        handle: impl Fn(TcpStream, SocketAddr) -> R + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        Ok(Self::new(listener, handle))
    }

    /// Binds like [`bind`](StreamServer::bind), with a backlog: gevent's
    /// `StreamServer(address, backlog=...)`. See [`TcpListener::bind_with_backlog`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`TcpListener::bind`].
    #[track_caller]
    pub fn bind_with_backlog<R: Outcome>(
        address: impl ToSocketAddrs,
        backlog: u32,
        handle: impl Fn(TcpStream, SocketAddr) -> R + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind_with_backlog(address, backlog)?;
        Ok(Self::new(listener, handle))
    }
}

impl<L: Listener> StreamServer<L> {
    /// Creates a server for a listener. The server must be [started](BaseServer::start).
    ///
    /// Other handles of the listener remain usable: a connection goes to the first that accepts it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)] fn main() -> std::io::Result<()> {
    /// use std::io::Read;
    /// use ramie::os::unix::net::{UnixListener, UnixStream};
    /// use ramie::server::StreamServer;
    ///
    /// let path = std::env::temp_dir().join(format!("ramie-server-{}", std::process::id()));
    /// let server = StreamServer::new(UnixListener::bind(&path)?, |mut stream, _peer| {
    ///     std::io::Write::write_all(&mut stream, b"hello")
    /// });
    /// server.start()?;
    /// let mut text = String::new();
    /// UnixStream::connect(&path)?.read_to_string(&mut text)?;
    /// std::fs::remove_file(&path)?;
    /// assert_eq!(text, "hello");
    /// # Ok(()) }
    /// # #[cfg(not(unix))] fn main() {}
    /// ```
    #[track_caller]
    pub fn new<R: Outcome>(listener: L, handle: impl Fn(L::Stream, L::Address) -> R + 'static) -> Self {
        let handle = Rc::new(handle);
        Self::with_body(listener, move |place, stream, peer| {
            let handle = handle.clone();
            place.spawn(fallible(move || handle(stream, peer).into_result()));
        })
    }

    /// Creates a TLS server. The handler gets a stream after its handshake, which runs in the
    /// handler's greenlet, so that a slow peer delays no other connection. See
    /// [`ramie::tls`](crate::tls).
    ///
    /// A handshake that fails, or takes longer than the [acceptor](crate::tls::Acceptor) allows,
    /// ends only its own connection. It is a failure of the handler's greenlet, an
    /// [`AcceptError`](crate::tls::AcceptError), which is passed to the hub's error handler. The
    /// default report ignores it, because any peer can cause it.
    ///
    /// A handshake counts as a handler for the [limit](BaseServer::set_limit), if there is one.
    ///
    /// The end of a TLS stream must be announced: a handler that writes must call
    /// [`shutdown`](crate::tls::TlsStream::shutdown) before it returns, or the peer must assume
    /// that the data is truncated.
    ///
    /// # Examples
    ///
    /// See [`ramie::tls`](crate::tls).
    #[cfg(feature = "tls")]
    #[track_caller]
    pub fn tls<R: Outcome>(
        listener: L,
        accept_loop: impl Into<crate::tls::Acceptor>,
        handle: impl Fn(crate::tls::TlsStream<L::Stream>, L::Address) -> R + 'static,
    ) -> Self
    where
        L::Stream: io::Read + io::Write,
    {
        use ramie_hub::{Exception, get_hub};

        use crate::tls::AcceptError;

        get_hub().not_error::<AcceptError>();
        let both = Rc::new((accept_loop.into(), handle));
        Self::with_body(listener, move |place, stream, peer| {
            let both = both.clone();
            place.spawn(fallible(move || {
                let (accept_loop, handle) = &*both;
                let stream =
                    accept_loop.accept(stream).map_err(|error| Exception::new(AcceptError(error)))?;
                handle(stream, peer).into_result().map_err(Exception::new)
            }));
        })
    }

    #[track_caller]
    fn with_body(listener: L, serve: impl Fn(&HandlerPool, L::Stream, L::Address) + 'static) -> Self {
        let take = move |listener: &L, place: &HandlerPool| {
            let taken = listener.try_accept()?;
            Ok(taken.map(|(stream, peer)| serve(place, stream, peer)).is_some())
        };
        StreamServer { base: BaseServer::new("StreamServer", Location::caller(), listener, Box::new(take)) }
    }
}

impl<L: Listener> Deref for StreamServer<L> {
    type Target = BaseServer<L>;

    fn deref(&self) -> &BaseServer<L> {
        &self.base
    }
}

impl<L: Listener> Clone for StreamServer<L> {
    fn clone(&self) -> Self {
        StreamServer { base: self.base.clone() }
    }
}

impl<L: Listener> fmt::Debug for StreamServer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}
