//! Sending the contents of a file without copying them through the process.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use ramie_pool::blocking;

use crate::net::Duplex;

/// The maximum that one job sends. Otherwise a fast receiver could occupy a thread, and delay a
/// kill, for a long time.
const PIECE: u64 = 1 << 20;
/// The block size where the system cannot send by itself.
const BLOCK: u64 = 1 << 18;

/// Sends a part of a file to a stream. Returns the number of bytes: `count`, or fewer if the file
/// ends before. The position of the file is neither used nor changed.
///
/// `offset` is the start of the part, and is advanced by every byte that is sent. It therefore
/// reports the progress however the call ends: another call with the same variable continues there.
///
/// On Linux this is the system call of the same name, which does not copy the data through the
/// process. On other systems, or for a file that does not support it, the data is read and written
/// through a buffer. In both cases the file is read on a thread of the [global
/// pool](crate::ThreadPool::global), so that a slow disk does not block other greenlets. Only the
/// greenlet waits when the stream has no room. Lets other greenlets run.
///
/// Data that other greenlets write to the same stream during the call may be sent in between.
///
/// # Errors
///
/// Returns the error of the system from writing to the stream or reading the file. Returns
/// `TimedOut` if the stream has no room until its write timeout, `WouldBlock` if it is in
/// [non-blocking mode](crate::net::TcpStream::set_nonblocking) and has no room, and `EBADF` if it
/// was closed.
///
/// # Cancellation
///
/// A kill or a timeout ends a wait for room at once. Data that the thread is sending at that
/// moment, at most a megabyte, is waited for. `offset` is correct in both cases.
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
///     let mut offset = 9; // the start of the package name, for example
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

/// The result of an attempt to send.
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "systems without sendfile make no attempt")
)]
enum Piece {
    Sent,
    End,
    /// The system cannot send from this file by itself.
    Refused,
}

/// Reads on a thread of the pool, and writes to the stream as usual.
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
            // Not `write_all`: every byte must be counted.
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

    /// Runs on a thread of the pool. The offset is advanced here, because the result of a killed
    /// call is dropped.
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
