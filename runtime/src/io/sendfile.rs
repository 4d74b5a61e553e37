//! Sending what is in a file without reading it.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use ramie_pool::blocking;

use crate::net::Duplex;

/// The most that is sent by one job: a socket whose other side is quick might keep a thread, and a kill, waiting for long.
const PIECE: u64 = 1 << 20;
/// How much is read at a time where the system cannot send by itself.
const BLOCK: u64 = 1 << 18;

/// Sends a part of a file to a stream, and returns how many bytes that were: `count`, or fewer if the file ends before. The file's
/// own position is neither used nor moved.
///
/// `offset` says where the part begins, and is moved on by every byte that has been sent, so that it is known how far this
/// came, whatever ended it: call it again with the same `offset`, and it goes on from there.
///
/// On Linux it is the system call of that name, in which the data passes by the process. Where there is none, or not for such a
/// file, the data is read and written by way of a buffer. In either case the file is read on a thread of the [global
/// pool](crate::ThreadPool::global), so that a slow disk keeps nobody else waiting, and only the greenlet waits when the stream has no
/// room. Lets others run.
///
/// Others that write to the same stream meanwhile get in between.
///
/// # Errors
///
/// The system's own: those of writing to the stream, and those of reading the file. `TimedOut` when the stream has had no
/// room for as long as its write timeout says; `WouldBlock` when it is in [non-blocking mode](crate::net::TcpStream::set_nonblocking)
/// and has no room; `EBADF` when it was closed.
///
/// # Cancellation
///
/// A kill or a timeout ends the wait for room at once, and what the thread sends at that moment, a megabyte at most, is waited
/// for. `offset` is right in both cases.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use ramie::fs::File;
/// use ramie::io::sendfile;
/// use ramie::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = ramie::spawn(move || {
///     let (stream, _) = listener.accept()?;
///     let mut offset = 9; // where the name of the package begins, say
///     sendfile(&stream, &File::open("Cargo.toml")?, &mut offset, 1 << 20)?;
///     std::io::Result::Ok(offset)
/// });
/// let mut text = String::new();
/// TcpStream::connect(address)?.read_to_string(&mut text)?;
/// assert_eq!(text, std::fs::read_to_string("Cargo.toml")?[9..]);
/// assert_eq!(server.take().unwrap()?, 9 + text.len() as u64);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sendfile<S: Duplex>(stream: &S, file: &impl AsFd, offset: &mut u64, count: u64) -> io::Result<u64>
where
    for<'a> &'a S: Write,
{
    let (file, start) = (file.as_fd(), *offset);
    let sent = |offset: u64| offset - start;
    while sent(*offset) < count {
        let piece = (count - sent(*offset)).min(PIECE);
        match stream.write_elsewhere(|socket| blocking(|| system::send(socket, file, offset, piece)))? {
            Piece::Sent => {}
            Piece::End => break,
            Piece::Refused => {
                return by_hand(stream, file, offset, count - sent(*offset)).map(|()| sent(*offset));
            }
        }
    }
    Ok(sent(*offset))
}

/// What came of an attempt to send.
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "nothing is attempted where it cannot succeed")
)]
enum Piece {
    Sent,
    End,
    /// The system cannot send by itself, at least not from this file.
    Refused,
}

/// Reads on a thread of the pool, and writes as everybody does.
fn by_hand<S>(stream: &S, file: BorrowedFd<'_>, offset: &mut u64, count: u64) -> io::Result<()>
where
    for<'a> &'a S: Write,
{
    let end = offset.saturating_add(count);
    let mut buffer = Vec::new();
    while *offset < end {
        buffer.resize((end - *offset).min(BLOCK) as usize, 0);
        let read =
            blocking(|| rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut buffer[..], *offset)))?;
        let mut left = &buffer[..read];
        if left.is_empty() {
            return Ok(());
        }
        while !left.is_empty() {
            // Not `write_all`: every byte counts.
            let written = match { stream }.write(left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *offset += written as u64;
            left = &left[written..];
        }
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::io;
    use std::os::fd::BorrowedFd;

    use rustix::fs::sendfile;
    use rustix::io::{Errno, retry_on_intr};

    use super::Piece;

    /// Runs on a thread of the pool. The offset is moved here, since the result of a call that was killed goes nowhere.
    pub(super) fn send(
        socket: BorrowedFd<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: u64,
    ) -> io::Result<Piece> {
        match retry_on_intr(|| sendfile(socket, file, Some(&mut *offset), count as usize)) {
            Ok(0) => Ok(Piece::End),
            Ok(_) => Ok(Piece::Sent),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::OVERFLOW) => Ok(Piece::Refused),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::io;
    use std::os::fd::BorrowedFd;

    use super::Piece;

    pub(super) fn send(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: &mut u64, _: u64) -> io::Result<Piece> {
        Ok(Piece::Refused)
    }
}
