//! Copying both ways between two streams.

use std::io::{self, ErrorKind, Read, Write};
use std::panic::Location;

use ramie_hub::{Builder, ScopedGreenlet, iwait, scope};

/// A stream whose writing direction ends by itself, so that the other one can go on: what
/// [`copy_bidirectional`] asks of its streams beside reading and writing.
///
/// Sockets say so by `shutdown(2)`, and a [`TlsStream`](crate::tls::TlsStream) by a `close_notify`. A type around one of them
/// hands it on:
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
    /// Sends what was written and is kept back, and tells the other side that nothing more will come. Lets others run if it
    /// waits.
    ///
    /// # Errors
    ///
    /// The stream's own.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// Copies from each of two streams to the other until both have ended, and returns how many bytes went from `a` to `b` and
/// from `b` to `a`: tokio's function of that name.
///
/// When one stream ends, the other one is told so, and can still send: that is what a half-closed connection needs. Each
/// direction is a greenlet of its own. The streams stay open; drop them when it returns. Either may be one of
/// [TLS](crate::tls).
///
/// # Errors
///
/// The first error in either direction, upon which the other direction is given up too. What was read and not yet written
/// is lost then.
///
/// # Cancellation
///
/// A kill or a timeout ends both directions first. What was read and not yet written is lost; the streams stay open.
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
///     stream.read_to_string(&mut question).unwrap(); // ends although the client waits for the answer
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

/// How a direction has ended. A failure is a kill from outside, or a stack that could not be had.
fn end_of(direction: ScopedGreenlet<'_, io::Result<u64>>) -> io::Result<u64> {
    direction.join().unwrap_or_else(|failure| Err(io::Error::other(failure.to_string())))
}

fn one_way<A, B: ShutdownWrite>(from: &A, to: &B) -> io::Result<u64>
where
    for<'a> &'a A: Read,
    for<'b> &'b B: Write,
{
    let bytes = io::copy(&mut { from }, &mut { to })?;
    match to.shutdown_write() {
        // It has gone by itself: there is nobody to tell.
        Err(error) if is_gone(&error) => Ok(bytes),
        other => other.map(|()| bytes),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotConnected | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
