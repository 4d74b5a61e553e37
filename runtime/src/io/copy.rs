//! Copying both ways between two streams.

use std::io::{self, Read, Write};
use std::panic::Location;

use ramie_hub::{Builder, Greenlet, iwait};

use crate::net::Duplex;

/// Copies from each of two streams to the other until both have ended, and returns how many bytes went from `a` to `b` and
/// from `b` to `a`: tokio's function of that name.
///
/// When one stream ends, the other one is told so, and can still send: that is what a half-closed connection needs. Each
/// direction is a greenlet of its own. The streams stay open; drop them when it returns.
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
pub fn copy_bidirectional<A: Duplex, B: Duplex>(a: &A, b: &B) -> io::Result<(u64, u64)>
where
    for<'a> &'a A: Read + Write,
    for<'b> &'b B: Read + Write,
{
    let site = Location::caller();
    let there = one_way(a, b, site);
    let back = one_way(b, a, site);
    there.scope(|_| {
        back.scope(|_| {
            let mut copied = [0; 2];
            for ended in iwait(&[&there, &back]) {
                let towards_a = std::ptr::eq(*ended, &raw const back);
                // A failure is a kill from outside, or a stack that could not be had.
                match ended.take().unwrap_or_else(|failure| Err(io::Error::other(failure.to_string()))) {
                    Ok(bytes) => copied[usize::from(towards_a)] = bytes,
                    Err(error) => {
                        there.kill();
                        back.kill();
                        return Err(error);
                    }
                }
            }
            Ok((copied[0], copied[1]))
        })
    })
}

fn one_way<A: Duplex, B: Duplex>(
    from: &A,
    to: &B,
    site: &'static Location<'static>,
) -> Greenlet<io::Result<u64>>
where
    for<'a> &'a A: Read,
    for<'b> &'b B: Write,
{
    let (from, to) = (from.share(), to.share());
    Builder::new().spawn_site(site).spawn(move || {
        let bytes = io::copy(&mut &from, &mut &to)?;
        match to.end_writing() {
            // It has gone by itself: there is nobody to tell.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(bytes),
            other => other.map(|()| bytes),
        }
    })
}
