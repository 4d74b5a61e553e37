//! The base of all servers: starting, stopping and limits.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::Limit;
use ramie_hub::{
    AnyGreenlet, Builder, Event, JoinOptions, getcurrent, joinall_with, killall_nowait, yield_now,
};
use ramie_pool::{Group, Pool};

use super::accept_loop::{Acceptor, Take, Work};
use super::handlers::HandlerPool;
use super::socket::Socket;

/// The defaults of gevent.
const MAX_ACCEPT: usize = 100;
const MIN_DELAY: Duration = Duration::from_millis(10);
const MAX_DELAY: Duration = Duration::from_secs(1);
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// The limit of the wait for handlers that a stop has killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// The operations of every server: gevent's `BaseServer`. [`StreamServer`](super::StreamServer) and
/// [`DatagramServer`](super::DatagramServer) dereference to it. Clones are the same server.
///
/// # Handlers
///
/// Each handler is a greenlet. Handlers start in the order in which their connections or datagrams
/// arrived. An `Err` or a panic of a handler is the failure of its greenlet: it is reported like
/// any other, and the server continues. The number of handlers is not limited, unless [a limit is
/// set](BaseServer::set_limit). While the limit is reached nothing is accepted: connections stay in
/// the backlog of the listener, and datagrams in the socket's buffer.
///
/// # Errors while accepting
///
/// An error about one peer, such as a connection that is reset before it is accepted, is ignored.
/// Any other error, such as a lack of descriptors, is reported to the hub's error handler as
/// [`ErrorContext::Server`](crate::hub::ErrorContext::Server) and followed by a pause. The first
/// pause lasts 10 milliseconds, each further one is twice as long as the one before, and none is
/// longer than a second. The server continues when the error no longer occurs. If the socket itself
/// has become unusable, the server is closed and the error is reported.
///
/// # Lifetime
///
/// While a server is started, its accept loop waits for the socket: `Hub::join` does not return,
/// and a wait of the main greenlet does not end with a `LoopExit`. When the last handle of a server
/// is dropped, the server stops accepting; its handlers continue.
pub struct BaseServer<S: Socket> {
    inner: Rc<Inner<S>>,
}

struct Inner<S: Socket> {
    kind: &'static str,
    site: &'static Location<'static>,
    work: Rc<Work<S>>,
    place: RefCell<HandlerPool>,
    stop_timeout: Cell<Duration>,
    accept_loop: RefCell<Option<Acceptor>>,
    /// The number of times the server was stopped or closed.
    stops: Cell<usize>,
    /// Cleared by `stop_accepting`, and set by the next start or stop.
    decided: Event,
}

impl<S: Socket> BaseServer<S> {
    pub(super) fn new(
        kind: &'static str,
        site: &'static Location<'static>,
        socket: S,
        take: Take<S>,
    ) -> Self {
        let work = Work {
            socket,
            take,
            closed: Cell::new(false),
            max_accept: Cell::new(MAX_ACCEPT),
            min_delay: Cell::new(MIN_DELAY),
            max_delay: Cell::new(MAX_DELAY),
        };
        let group = Group::with_builder(Builder::new().spawn_site(site));
        BaseServer {
            inner: Rc::new(Inner {
                kind,
                site,
                work: Rc::new(work),
                place: RefCell::new(HandlerPool { group, pool: None }),
                stop_timeout: Cell::new(STOP_TIMEOUT),
                accept_loop: RefCell::new(None),
                stops: Cell::new(0),
                decided: Event::new(),
            }),
        }
    }

    // --- settings --------------------------------------------------------------------------------

    /// Limits the number of handlers that run at the same time: gevent's `spawn=limit`. Takes
    /// effect at the next start.
    pub fn set_limit(&self, limit: usize) {
        self.set_pool(Pool::with_builder(Some(limit), Builder::new().spawn_site(self.inner.site)));
    }

    /// Runs handlers in a pool, which may be shared with other servers and other work: gevent's
    /// `spawn=pool`. The pool limits all of them together, and its builder makes their greenlets.
    /// Takes effect at the next start.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::server::StreamServer;
    /// use ramie::{Builder, Pool};
    ///
    /// let server = StreamServer::bind("127.0.0.1:0", |_stream, _peer| {})?;
    /// // No limit, and small stacks.
    /// server.set_pool(Pool::with_builder(None, Builder::new().stack_size(64 * 1024)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_pool(&self, pool: Pool) {
        let old = self.inner.place.borrow_mut().pool.replace(pool);
        drop(old);
    }

    /// Sets how many connections or datagrams are accepted in a row before other greenlets run. The
    /// default is 100.
    ///
    /// # Panics
    ///
    /// Panics if `max_accept` is 0.
    pub fn set_max_accept(&self, max_accept: usize) {
        assert!(max_accept > 0, "max_accept must be at least 1");
        self.inner.work.max_accept.set(max_accept);
    }

    /// Sets the durations of the first and the longest pause after an error. The defaults are 10
    /// milliseconds and a second.
    pub fn set_delays(&self, min_delay: Duration, max_delay: Duration) {
        self.inner.work.min_delay.set(min_delay);
        self.inner.work.max_delay.set(max_delay);
    }

    /// Sets how long [`stop`](BaseServer::stop) waits for handlers before it kills them. The
    /// default is a second.
    pub fn set_stop_timeout(&self, timeout: Duration) {
        self.inner.stop_timeout.set(timeout);
    }

    // --- state -----------------------------------------------------------------------------------

    /// Returns `true` if the server accepts, or would if its limit were not reached.
    pub fn started(&self) -> bool {
        self.inner.accept_loop.borrow().as_ref().is_some_and(Acceptor::running)
    }

    /// Returns `true` if the server was closed, by [`close`](BaseServer::close) or by an error of
    /// its socket.
    pub fn closed(&self) -> bool {
        self.inner.work.closed.get()
    }

    /// Returns the socket.
    pub fn socket(&self) -> &S {
        &self.inner.work.socket
    }

    /// Returns the local address of the socket.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn address(&self) -> io::Result<S::Address> {
        self.socket().local_addr()
    }

    /// Returns the running handlers as a group.
    pub fn handlers(&self) -> Group {
        self.inner.place.borrow().group.clone()
    }

    // --- starting and stopping -------------------------------------------------------------------

    /// Starts to accept. Does nothing if the server is started. Does not let other greenlets run.
    ///
    /// Connections that are already in the backlog are accepted too.
    ///
    /// # Errors
    ///
    /// Returns `NotConnected` if the server was closed.
    pub fn start(&self) -> io::Result<()> {
        if self.closed() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the server is closed"));
        }
        if !self.started() {
            let place = self.inner.place.borrow().clone();
            let accept_loop = Acceptor::start(self.inner.kind, self.inner.work.clone(), place);
            let old = self.inner.accept_loop.borrow_mut().replace(accept_loop);
            drop(old);
            self.inner.decided.set();
        }
        Ok(())
    }

    /// Stops accepting, without waiting for handlers. Handlers continue, and connections wait in
    /// the backlog until the next [`start`](BaseServer::start). Does not let other greenlets run.
    pub fn stop_accepting(&self) {
        self.inner.stop_accepting();
        self.inner.decided.clear();
    }

    /// Stops accepting, waits for the handlers for the [configured
    /// time](BaseServer::set_stop_timeout), and kills the remaining ones; see
    /// [`stop_timeout`](BaseServer::stop_timeout).
    pub fn stop(&self) -> bool {
        self.stop_timeout(self.inner.stop_timeout.get())
    }

    /// Stops accepting, waits at most `timeout` for the handlers, and kills the remaining ones.
    /// Returns `true` if no handler is left.
    ///
    /// The call then waits for the killed handlers, but no longer than a second: a handler that
    /// still runs after that is left alone. A handler may call this method; it is neither waited
    /// for nor killed. Lets other greenlets run if there are handlers.
    ///
    /// The listener stays open, so that the server can be [started](BaseServer::start) again. Until
    /// then the system accepts connections into the backlog; [`close`](BaseServer::close) makes it
    /// refuse them.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller does not affect the handlers. The server has stopped
    /// accepting.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::net::TcpStream;
    /// use ramie::server::StreamServer;
    /// use ramie::sleep;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0", |_stream, _peer| sleep(Duration::from_secs(60)))?;
    /// server.start()?;
    /// let _client = TcpStream::connect(server.address()?)?;
    /// sleep(Duration::from_millis(1));
    /// assert_eq!(server.handlers().len(), 1);
    /// assert!(server.stop_timeout(Duration::from_millis(1)), "the handler was killed");
    /// assert!(!server.started() && server.handlers().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stop_timeout(&self, timeout: impl Into<Limit>) -> bool {
        self.inner.end();
        let me = getcurrent();
        let mut handlers = self.handlers().greenlets();
        handlers.retain(|handler| *handler != me);
        if !ended(&handlers, timeout) {
            handlers.retain(|handler| !handler.ready());
            killall_nowait(&handlers);
            ended(&handlers, KILL_TIMEOUT);
        }
        if self.handlers().iter().any(|handler| handler.ready()) {
            // Handlers leave the group in an iteration of the loop that is already queued.
            yield_now();
        }
        handlers.iter().all(|handler| handler.ready())
    }

    /// Closes the socket, also for its other handles: connections in the backlog are reset, and
    /// later ones are refused. Handlers continue. The server cannot be started again. Does not let
    /// other greenlets run.
    pub fn close(&self) {
        self.inner.end();
        self.inner.work.close();
    }

    /// Starts the server if necessary, waits until it is stopped, and [stops](BaseServer::stop) it
    /// however the wait ends.
    ///
    /// [`stop_accepting`](BaseServer::stop_accepting) does not end this call, which then waits for
    /// the next start or stop.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start`](BaseServer::start), and the error that made the socket
    /// unusable.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller first stops the server and its handlers.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::server::StreamServer;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0", |_stream, _peer| {})?;
    /// let later = server.clone();
    /// ramie::spawn(move || later.stop());
    /// server.serve_forever()?;
    /// assert!(!server.started());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve_forever(&self) -> io::Result<()> {
        struct Stop<'a, S: Socket>(&'a BaseServer<S>);

        impl<S: Socket> Drop for Stop<'_, S> {
            fn drop(&mut self) {
                self.0.stop();
            }
        }

        self.start()?;
        let stop = Stop(self);
        let stops = self.inner.stops.get();
        let mut accept_loop = self.inner.accept_loop.borrow().clone();
        while let Some(taking) = &accept_loop {
            taking.join();
            if !taking.stopped() || self.closed() || self.inner.stops.get() != stops {
                break;
            }
            self.inner.decided.wait();
            accept_loop = self.inner.accept_loop.borrow().clone();
        }
        drop(stop);
        accept_loop.and_then(|accept_loop| accept_loop.error()).map_or(Ok(()), Err)
    }
}

impl<S: Socket<Address = SocketAddr>> BaseServer<S> {
    /// Returns the IP address that the server is bound to.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn server_host(&self) -> io::Result<IpAddr> {
        Ok(self.address()?.ip())
    }

    /// Returns the port that the server is bound to.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn server_port(&self) -> io::Result<u16> {
        Ok(self.address()?.port())
    }
}

/// Waits at most `timeout` for greenlets. Returns `true` if all have ended.
fn ended(greenlets: &[AnyGreenlet], limit: impl Into<Limit>) -> bool {
    let options = JoinOptions { timeout: limit.into(), ..JoinOptions::default() };
    joinall_with(greenlets, options).is_ok_and(|ended| ended.len() == greenlets.len())
}

impl<S: Socket> Inner<S> {
    fn stop_accepting(&self) {
        let accept_loop = self.accept_loop.borrow().clone();
        accept_loop.inspect(Acceptor::stop);
    }

    fn end(&self) {
        self.stop_accepting();
        self.stops.set(self.stops.get() + 1);
        self.decided.set();
    }
}

impl<S: Socket> Drop for Inner<S> {
    fn drop(&mut self) {
        self.stop_accepting();
    }
}

impl<S: Socket> Clone for BaseServer<S> {
    fn clone(&self) -> Self {
        BaseServer { inner: self.inner.clone() }
    }
}

impl<S: Socket> fmt::Debug for BaseServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.inner.kind)
            .field("started", &self.started())
            .field("closed", &self.closed())
            .field("handlers", &self.handlers().len())
            .finish_non_exhaustive()
    }
}
