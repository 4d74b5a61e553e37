//! Services with handlers that are greenlets.

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::service::Service;

use crate::hub::WaitFuture;
use crate::{AnyGreenlet, Failure, Greenlet, spawn};

/// Creates a service of hyper from a plain function, which runs in a greenlet of its own for each
/// request. hyper's `service_fn` is the same for a function that returns a future.
///
/// The function may wait: for locks, sockets, [`blocking`](crate::blocking), and for the body of the
/// request, by a [`BodyReader`](super::BodyReader). The connection is driven by another greenlet
/// meanwhile, which receives and sends bodies, and with HTTP/2 begins further requests. With
/// HTTP/1.1 the next request of a connection begins when the response of the last one was sent.
///
/// # Errors
///
/// An error of the function and a panic end the connection, with HTTP/2 the stream: the future that
/// drives the connection returns an error with this [source](std::error::Error::source). A panic is
/// reported as the failure of the greenlet, too.
///
/// # Cancellation
///
/// When the connection ends or is dropped, for example since the client is gone, the greenlet of
/// the handler is killed in a later turn.
///
/// # Examples
///
/// ```
/// use hyper::body::Incoming;
/// use hyper::server::conn::http1;
/// use hyper::{Request, Response};
/// use ramie::hyper::{RamieIo, RamieTimer, handler_fn};
/// use ramie::net::TcpStream;
/// use ramie::server::StreamServer;
/// use std::convert::Infallible;
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// fn slowly(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     ramie::sleep(Duration::from_millis(1));
///     Ok(Response::new(format!("you asked for {}", request.uri())))
/// }
///
/// let server = StreamServer::bind("127.0.0.1:0", |stream: TcpStream, _| {
///     let connection = http1::Builder::new()
///         .timer(RamieTimer)
///         .serve_connection(RamieIo::new(stream), handler_fn(slowly));
///     ramie::block_on(connection)
/// })?;
/// server.start()?;
///
/// let mut client = TcpStream::connect(server.address()?)?;
/// client.write_all(b"GET /tea HTTP/1.1\r\nconnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("you asked for /tea"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn handler_fn<F>(handler: F) -> HandlerService<F> {
    HandlerService { handler: Rc::new(handler) }
}

/// A service that runs a function in a greenlet for each request. Returned by [`handler_fn`].
pub struct HandlerService<F> {
    handler: Rc<F>,
}

impl<F> Clone for HandlerService<F> {
    fn clone(&self) -> Self {
        HandlerService { handler: self.handler.clone() }
    }
}

impl<F> fmt::Debug for HandlerService<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerService").finish_non_exhaustive()
    }
}

impl<F, Q, R, E> Service<Q> for HandlerService<F>
where
    F: Fn(Q) -> Result<R, E> + 'static,
    Q: 'static,
    R: 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    type Response = R;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = HandlerFuture<R, E>;

    fn call(&self, request: Q) -> HandlerFuture<R, E> {
        let handler = self.handler.clone();
        let greenlet = spawn(move || handler(request));
        HandlerFuture { kill: KillOnDrop(greenlet.as_any().clone()), outcome: greenlet.into_future() }
    }
}

/// The wait for a handler, which is killed when this is dropped before.
#[must_use = "futures do nothing unless polled"]
pub struct HandlerFuture<R: 'static, E: 'static> {
    outcome: Outcome<Result<R, E>>,
    #[expect(dead_code, reason = "its destructor has the effect")]
    kill: KillOnDrop,
}

type Outcome<T> = WaitFuture<Greenlet<T>, Result<T, Failure>>;

impl<R, E: Into<Box<dyn Error + Send + Sync>>> Future for HandlerFuture<R, E> {
    type Output = Result<R, Box<dyn Error + Send + Sync>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.outcome).poll(cx)) {
            Ok(answer) => answer.map_err(Into::into),
            Err(failure) => Err(failure.into()),
        })
    }
}

impl<R, E> fmt::Debug for HandlerFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerFuture").finish_non_exhaustive()
    }
}

/// Kills a greenlet that has not ended when it is dropped.
pub(super) struct KillOnDrop(pub(super) AnyGreenlet);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill_nowait();
    }
}
