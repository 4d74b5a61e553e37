//! What all servers have in common: starting, stopping, and the limits.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::{
    AnyGreenlet, Builder, Event, JoinOptions, getcurrent, joinall_with, killall_nowait, yield_now,
};
use ramie_pool::{Group, Pool};

use super::acceptor::{Acceptor, Take, Work};
use super::place::Place;
use super::socket::Socket;

/// gevent's defaults.
const MAX_ACCEPT: usize = 100;
const MIN_DELAY: Duration = Duration::from_millis(10);
const MAX_DELAY: Duration = Duration::from_secs(1);
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a stop waits for the handlers that it has killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// What every server can do: gevent's `BaseServer`. [`StreamServer`](super::StreamServer) and
/// [`DatagramServer`](super::DatagramServer) dereference to it; clones are the same server.
///
/// # Handlers
///
/// Each handler is a greenlet, and they begin in the order in which their connections or datagrams came. Its `Err`, or its
/// panic, is the failure of that greenlet: it is reported as any other, and the server goes on. A server has no limit on its
/// handlers, unless [one is set](BaseServer::set_limit). While that is reached nothing is taken: peers stay in the system's
/// backlog, whose length is the listener's, and datagrams in the socket's buffer.
///
/// # Errors of taking
///
/// An error about one peer, who has gone before its turn, is passed over. Any other, such as the want of a descriptor, is
/// reported to the hub's error handler as [`ErrorContext::Server`](crate::ErrorContext::Server), and followed by a pause, the
/// first of 10 milliseconds, each twice as long as the one before, none longer than a second; the server goes on when
/// there is a descriptor again. If the socket itself is of no use any more the server is closed, and the error reported.
///
/// # What keeps it running
///
/// The greenlet that takes waits for the socket, so `Hub::join` does not return, and main may wait for anything, while a
/// server is started. A server whose last handle is dropped stops taking; its handlers go on.
pub struct BaseServer<S: Socket> {
    inner: Rc<Inner<S>>,
}

struct Inner<S: Socket> {
    kind: &'static str,
    site: &'static Location<'static>,
    work: Rc<Work<S>>,
    place: RefCell<Place>,
    stop_timeout: Cell<Duration>,
    acceptor: RefCell<Option<Acceptor>>,
    /// How often it was stopped or closed.
    stops: Cell<usize>,
    /// Cleared while it was told to take nothing, and neither to start again nor to stop.
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
                place: RefCell::new(Place { group, pool: None }),
                stop_timeout: Cell::new(STOP_TIMEOUT),
                acceptor: RefCell::new(None),
                stops: Cell::new(0),
                decided: Event::new(),
            }),
        }
    }

    // --- what is set --------------------------------------------------------------------------------------------

    /// Lets no more than that many handlers run at once: gevent's `spawn=limit`. Counts from the next start on.
    pub fn set_limit(&self, limit: usize) {
        self.set_pool(Pool::with_builder(Some(limit), Builder::new().spawn_site(self.inner.site)));
    }

    /// Has handlers run in a pool, which may be shared with other servers and other work: gevent's `spawn=pool`. It limits
    /// them together, and its builder makes their greenlets. Counts from the next start on.
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

    /// How many connections or datagrams are taken before others get their turn, if so many are there: 100 by default.
    ///
    /// # Panics
    ///
    /// When it is 0.
    pub fn set_max_accept(&self, max_accept: usize) {
        assert!(max_accept > 0, "a server that takes nothing needs no start");
        self.inner.work.max_accept.set(max_accept);
    }

    /// How long the first pause after an error is, 10 milliseconds by default, and the longest one, a second by default.
    pub fn set_delays(&self, min_delay: Duration, max_delay: Duration) {
        self.inner.work.min_delay.set(min_delay);
        self.inner.work.max_delay.set(max_delay);
    }

    /// How long [`stop`](BaseServer::stop) waits for handlers before it kills them: a second by default.
    pub fn set_stop_timeout(&self, timeout: Duration) {
        self.inner.stop_timeout.set(timeout);
    }

    // --- what is asked ------------------------------------------------------------------------------------------

    /// Whether it takes what arrives, or would if its limit were not reached.
    pub fn started(&self) -> bool {
        self.inner.acceptor.borrow().as_ref().is_some_and(Acceptor::running)
    }

    /// Whether it was closed, by [`close`](BaseServer::close) or by an error of its socket.
    pub fn closed(&self) -> bool {
        self.inner.work.closed.get()
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.inner.work.socket
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn address(&self) -> io::Result<S::Address> {
        self.socket().local_addr()
    }

    /// The handlers that are running, as a group.
    pub fn handlers(&self) -> Group {
        self.inner.place.borrow().group.clone()
    }

    // --- starting and stopping ----------------------------------------------------------------------------------

    /// Begins to take what arrives; nothing happens if it does already. Does not let others run.
    ///
    /// Peers that have come before, in the backlog, are taken too.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the server was closed.
    pub fn start(&self) -> io::Result<()> {
        if self.closed() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the server was closed"));
        }
        if !self.started() {
            let place = self.inner.place.borrow().clone();
            let acceptor = Acceptor::start(self.inner.kind, self.inner.work.clone(), place);
            let old = self.inner.acceptor.borrow_mut().replace(acceptor);
            drop(old);
            self.inner.decided.set();
        }
        Ok(())
    }

    /// Takes nothing any more, and waits for nobody. Handlers go on, and peers wait in the backlog until the next
    /// [`start`](BaseServer::start). Does not let others run.
    pub fn stop_accepting(&self) {
        self.inner.stop_accepting();
        self.inner.decided.clear();
    }

    /// Stops taking, waits for the handlers for as long as [was set](BaseServer::set_stop_timeout), and kills those that are
    /// left; see [`stop_timeout`](BaseServer::stop_timeout).
    pub fn stop(&self) -> bool {
        self.stop_timeout(self.inner.stop_timeout.get())
    }

    /// Stops taking, waits at most that long for the handlers, and kills those that are left; says whether none runs any more.
    ///
    /// Those that have been killed are waited for too, but no longer than a second: one that goes on all the same is left
    /// alone. A handler may call this; it is neither waited for nor killed. Lets others run if there are handlers.
    ///
    /// The listener stays open, so that the server can be [started](BaseServer::start) again, and the system takes connections
    /// for it into the backlog meanwhile; [`close`](BaseServer::close) has them refused.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller leaves the handlers as they are; nothing is taken any more.
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
    pub fn stop_timeout(&self, timeout: Duration) -> bool {
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
            // They leave in a turn of their own, which has been queued.
            yield_now();
        }
        handlers.iter().all(|handler| handler.ready())
    }

    /// Closes the socket for everybody: peers in the backlog are reset, and later ones refused. Handlers go on. It cannot be
    /// started again. Does not let others run.
    pub fn close(&self) {
        self.inner.end();
        self.inner.work.close();
    }

    /// Starts if need be, waits until somebody stops it, and [stops](BaseServer::stop) on every way out.
    ///
    /// [`stop_accepting`](BaseServer::stop_accepting) is no stop: then it waits for what comes next.
    ///
    /// # Errors
    ///
    /// As [`start`](BaseServer::start); the error by which the socket came to its end.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout of the caller stops the server first, handlers and all.
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
        let mut acceptor = self.inner.acceptor.borrow().clone();
        while let Some(taking) = &acceptor {
            taking.join();
            if !taking.stopped() || self.closed() || self.inner.stops.get() != stops {
                break;
            }
            self.inner.decided.wait();
            acceptor = self.inner.acceptor.borrow().clone();
        }
        drop(stop);
        acceptor.and_then(|acceptor| acceptor.error()).map_or(Ok(()), Err)
    }
}

impl<S: Socket<Address = SocketAddr>> BaseServer<S> {
    /// The address of the interface that it is bound to.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn server_host(&self) -> io::Result<IpAddr> {
        Ok(self.address()?.ip())
    }

    /// The port that it is bound to.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn server_port(&self) -> io::Result<u16> {
        Ok(self.address()?.port())
    }
}

/// Waits at most that long for greenlets; says whether all have ended.
fn ended(greenlets: &[AnyGreenlet], timeout: Duration) -> bool {
    let options = JoinOptions { timeout: Some(timeout), ..JoinOptions::default() };
    joinall_with(greenlets, options).is_ok_and(|ended| ended.len() == greenlets.len())
}

impl<S: Socket> Inner<S> {
    fn stop_accepting(&self) {
        let acceptor = self.acceptor.borrow().clone();
        acceptor.inspect(Acceptor::stop);
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
