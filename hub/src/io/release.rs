//! Closing the file of a source while the source is still in use.
#![expect(unsafe_code, reason = "replaces a descriptor that is reached through a shared reference")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::{fs, net};

use crate::scheduler::current;

/// A source that owns the descriptor it lends, so that an [`Io`](super::Io) may
/// [release](super::Io::release) it.
///
/// # Safety
///
/// `as_fd` must lend the same descriptor as long as the value lives, and the value must own it: no
/// other code closes the descriptor or depends on the file that is open there. All uses of the
/// descriptor by the value must be sound for any kind of file.
#[doc(hidden)]
pub unsafe trait OwnsFd: AsFd {}

macro_rules! owns {
    ($($type:ty),*) => {$(
        // SAFETY: the type holds its descriptor in an `OwnedFd` of its own from its creation to its
        // drop, and only passes the descriptor to the system.
        unsafe impl OwnsFd for $type {}
    )*};
}

owns!(OwnedFd, fs::File, net::UdpSocket, net::TcpListener, net::TcpStream);
owns!(UnixStream, std::os::unix::net::UnixListener, std::os::unix::net::UnixDatagram);
owns!(mio::net::UdpSocket, mio::net::TcpListener, mio::net::TcpStream);

/// Closes the file at a source's descriptor, and puts an ended stream there.
///
/// The number stays valid until the source is dropped. Borrowers of the descriptor depend on that:
/// `close(2)` through a shared reference would leave them a number that the system reuses for the
/// next file, and so let them read or write an unrelated file. Instead, they find a stream that has
/// ended: reading returns 0 bytes, writing fails with `EPIPE`, and `poll` reports at once that the
/// other side is gone. A system call of another thread that is in progress keeps the old file until
/// it returns.
///
/// This closes the file itself, an end of a pipe or a socket with its address, unless it has other
/// descriptors.
pub(super) fn release<S: OwnsFd>(source: &S) -> io::Result<()> {
    let (end, other_side) = UnixStream::pair()?;
    // A child process that another thread is just starting may hold the other side for a moment
    // longer.
    end.shutdown(net::Shutdown::Both)?;
    drop(other_side);
    let number = source.as_fd().as_raw_fd();
    match current::try_core() {
        Some(core) => core.reactor().replace(source.as_fd(), || put(&end, number)),
        None => put(&end, number),
    }
}

/// Makes `number` a descriptor of the file that is open at `end`.
fn put(end: &UnixStream, number: RawFd) -> io::Result<()> {
    loop {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: `dup3` takes only numbers, and closes the file at the second one. That number is
        // owned by a source that `release` borrows during the call, and by nothing else (`OwnsFd`).
        let done = unsafe { libc::dup3(end.as_raw_fd(), number, libc::O_CLOEXEC) };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        // SAFETY: `dup2` takes only numbers, and closes the file at the second one. That number is
        // owned by a source that `release` borrows during the call, and by nothing else (`OwnsFd`).
        let done = unsafe { libc::dup2(end.as_raw_fd(), number) };
        if done >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    // SAFETY: `fcntl` with `F_SETFD` takes only numbers, and changes a flag of a descriptor that
    // the source owns.
    unsafe {
        libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
    }
    Ok(())
}
