//! Closing what a source has opened, while the source is still there.
#![expect(unsafe_code, reason = "replaces a descriptor that is reached through a shared reference")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::{fs, net};

use crate::scheduler::current;

/// A source that owns the descriptor it lends, so that an [`Io`](super::Io) may [release](super::Io::release) it.
///
/// # Safety
///
/// `as_fd` lends one and the same descriptor as long as the value lives, and the value owns it: nothing else closes it
/// or counts on what is open there. What the value does with the descriptor is sound whatever kind of file it is.
#[doc(hidden)]
pub unsafe trait OwnsFd: AsFd {}

macro_rules! owns {
    ($($type:ty),*) => {$(
        // SAFETY: it holds its descriptor in an `OwnedFd` of its own from the beginning to the drop, and does nothing with it
        // but to pass it to the system.
        unsafe impl OwnsFd for $type {}
    )*};
}

owns!(OwnedFd, fs::File, net::UdpSocket, net::TcpListener, net::TcpStream);
owns!(UnixStream, std::os::unix::net::UnixListener, std::os::unix::net::UnixDatagram);
owns!(mio::net::UdpSocket, mio::net::TcpListener, mio::net::TcpStream);

/// Closes what is open at a source's descriptor, and puts a stream there whose other side has ended.
///
/// The number stays valid until the source is dropped. That is what those count on who have borrowed it: `close(2)` through a
/// shared reference would leave them a number that the system gives to the next file, and so let them read or write what
/// belongs to others. As it is, they find a stream that has ended: reading gets 0 bytes, writing `EPIPE`, and `poll`
/// says at once that the other side is gone. A system call of another thread that is under way keeps the old file
/// until it returns.
///
/// The file itself, an end of a pipe or a socket with its address, is closed by this, unless it has other descriptors.
pub(super) fn release<S: OwnsFd>(source: &S) -> io::Result<()> {
    let (end, other_side) = UnixStream::pair()?;
    // A child that another thread is just starting may have the other side for a moment longer.
    end.shutdown(net::Shutdown::Both)?;
    drop(other_side);
    let number = source.as_fd().as_raw_fd();
    match current::try_core() {
        Some(core) => core.fds.replace(&core.poller, source.as_fd(), || put(&end, number)),
        None => put(&end, number),
    }
}

/// Makes `number` a descriptor of what is open at `end`.
fn put(end: &UnixStream, number: RawFd) -> io::Result<()> {
    loop {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: `dup3` takes numbers only, and closes what is open at the second one. That is owned by a source which is
        // borrowed by `release` meanwhile, and by nothing else (`OwnsFd`).
        let done = unsafe { libc::dup3(end.as_raw_fd(), number, libc::O_CLOEXEC) };
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        // SAFETY: `dup2` takes numbers only, and closes what is open at the second one. That is owned by a source which is
        // borrowed by `release` meanwhile, and by nothing else (`OwnsFd`).
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
    // SAFETY: `fcntl` with `F_SETFD` takes numbers only, and changes a flag of a descriptor that the source owns.
    unsafe {
        libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
    }
    Ok(())
}
