//! Copying in both directions between two streams.

use std::io::{self, ErrorKind, Read, Write};
use std::panic::Location;

use ramie_hub::{Builder, ScopedGreenlet, iwait, scope};

/// A stream with a writing direction that can be shut down separately. [`copy_bidirectional`]
/// requires it of its streams, in addition to reading and writing.
///
/// Sockets use `shutdown(2)`, and a [`TlsStream`](crate::tls::TlsStream) sends a `close_notify`. A
/// type around one of them forwards the call:
///
/// ```
/// use std::io;
/// use ramie::io::ShutdownWrite;
/// use ramie::net::TcpStream;
///
/// struct Counted {
///     stream: TcpStream,
/// }
///
/// impl ShutdownWrite for Counted {
///     fn shutdown_write(&self) -> io::Result<()> {
///         self.stream.shutdown_write()
///     }
/// }
/// ```
pub trait ShutdownWrite {
    /// Sends buffered data and shuts down the writing direction. Lets other greenlets run if it
    /// waits.
    ///
    /// # Errors
    ///
    /// Returns the error of the stream.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// Copies from each of two streams to the other until both have ended. Returns the number of bytes
/// copied from `a` to `b` and from `b` to `a`: tokio's function of the same name.
///
/// When one stream ends, the writing direction of the other one is shut down, and the other one can
/// still send: this supports half-closed connections. Each direction is a greenlet. The streams
/// stay open; the caller drops them. Either stream may be a [TLS](crate::tls) stream.
///
/// # Errors
///
/// Returns the first error in either direction. The other direction is cancelled then, and data
/// that was read and not yet written is lost.
///
/// # Cancellation
///
/// A kill or a timeout first ends both directions. Data that was read and not yet written is lost;
/// the streams stay open.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::Shutdown;
/// use ramie::net::{TcpListener, TcpStream};
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let target = server.local_addr()?;
/// ramie::spawn(move || {
///     let (mut stream, _) = server.accept().unwrap();
///     let mut question = String::new();
///     stream.read_to_string(&mut question).unwrap(); // ends before the client closes
///     stream.write_all(question.to_uppercase().as_bytes()).unwrap();
/// });
/// let proxy = TcpListener::bind("127.0.0.1:0")?;
/// let address = proxy.local_addr()?;
/// let copied = ramie::spawn(move || {
///     let (near, _) = proxy.accept().unwrap();
///     ramie::io::copy_bidirectional(&near, &TcpStream::connect(target).unwrap()).unwrap()
/// });
/// let mut client = TcpStream::connect(address)?;
/// client.write_all(b"hello")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert_eq!(answer, "HELLO");
/// assert_eq!(copied.get().unwrap(), (5, 5));
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn copy_bidirectional<A: ShutdownWrite, B: ShutdownWrite>(a: &A, b: &B) -> io::Result<(u64, u64)>
where
    for<'a> &'a A: Read + Write,
    for<'b> &'b B: Read + Write,
{
    let site = Location::caller();
    scope(|s| {
        let there = Builder::new().spawn_site(site).spawn_scoped(s, || one_way(a, b));
        let back = Builder::new().spawn_site(site).spawn_scoped(s, || one_way(b, a));
        let back_is_first =
            iwait(&[&there, &back]).next().is_some_and(|ended| std::ptr::eq(*ended, &raw const back));
        let (first, other) = if back_is_first { (back, there) } else { (there, back) };
        let first = match end_of(first) {
            Ok(bytes) => bytes,
            Err(error) => {
                other.kill();
                let _ = other.join();
                return Err(error);
            }
        };
        let other = end_of(other)?;
        Ok(if back_is_first { (other, first) } else { (first, other) })
    })
}

/// Returns the result of a direction. A greenlet fails here only by a kill from outside, or if no
/// stack could be allocated.
fn end_of(direction: ScopedGreenlet<'_, io::Result<u64>>) -> io::Result<u64> {
    direction.join()?
}

fn one_way<A, B: ShutdownWrite>(from: &A, to: &B) -> io::Result<u64>
where
    for<'a> &'a A: Read,
    for<'b> &'b B: Write,
{
    let bytes = io::copy(&mut { from }, &mut { to })?;
    match to.shutdown_write() {
        // The destination is closed already, so there is nothing to shut down.
        Err(error) if is_gone(&error) => Ok(bytes),
        other => other.map(|()| bytes),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotConnected | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
