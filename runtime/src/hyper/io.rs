//! hyper's `Read` and `Write` for streams with the traits of the futures crates.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

/// The maximum number of bytes that one poll reads.
const READ_MOST: usize = 64 << 10;

thread_local! {
    /// The buffer of the reads of this thread, empty while a read uses it.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream for a connection of hyper: a [`TcpStream`](crate::net::TcpStream), a `UnixStream`, or
/// another type with `AsyncRead` and `AsyncWrite` of the futures crates.
///
/// The traits of this crate's streams have two consequences. Timeouts and the non-blocking mode of
/// the stream have no effect, so limits are set by hyper or by
/// [`with_timeout`](fn@crate::with_timeout). The connection must be driven on the thread of the
/// stream, by [`block_on`](crate::block_on) or by [`RamieExecutor`](super::RamieExecutor).
///
/// A read goes through a buffer that all connections of the thread share, so a connection that waits
/// for input needs none.
///
/// # Cancellation
///
/// A read or write that is pending has consumed and written nothing. The stream is closed when the
/// connection is dropped, for example by a kill of the greenlet that drives it.
///
/// # Examples
///
/// ```
/// use hyper::client::conn::http1;
/// use hyper::{Request, StatusCode};
/// use http_body_util::Empty;
/// use ramie::hyper::RamieIo;
/// use ramie::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// ramie::spawn(move || {
///     let (mut stream, _) = listener.accept().unwrap();
///     stream.read(&mut [0; 1000]).unwrap();
///     stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
/// });
/// let (mut requests, connection) = ramie::block_on(http1::handshake(RamieIo::new(stream)))?;
/// ramie::spawn(move || ramie::block_on(connection));
/// let request = Request::get("/").body(Empty::<&[u8]>::new())?;
/// let response = ramie::block_on(requests.send_request(request))?;
/// assert_eq!(response.status(), StatusCode::NO_CONTENT);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RamieIo<S>(S);

impl<S> RamieIo<S> {
    /// Wraps a stream.
    pub fn new(stream: S) -> Self {
        RamieIo(stream)
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &S {
        &self.0
    }

    /// Returns the stream.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.0
    }

    /// Unwraps the stream.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S: AsyncRead + Unpin> Read for RamieIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // A cursor can be filled without unsafe code by a copy only.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.resize(READ_MOST, 0);
        let wanted = target.remaining().min(READ_MOST);
        let polled = Pin::new(&mut self.0).poll_read(cx, &mut buffer[..wanted]);
        if let Poll::Ready(Ok(read)) = polled {
            target.put_slice(&buffer[..read]);
        }
        // At the end of the thread there is no place for it.
        let _ = BUFFER.try_with(|place| place.set(buffer));
        polled.map_ok(drop)
    }
}

impl<S: AsyncWrite + Unpin> Write for RamieIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = ready!(Pin::new(&mut self.0).poll_close(cx));
        // The peer is gone: there is no direction left to shut down.
        Poll::Ready(ended.or_else(|error| match error.kind() {
            io::ErrorKind::NotConnected => Ok(()),
            _ => Err(error),
        }))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, data)
    }
}
