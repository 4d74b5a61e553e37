//! Sockets on their way to another thread.

use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd as Descriptor};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket, OwnedSocket as Descriptor};

use crate::io::handle::Settings;

/// A socket that belongs to no hub and may be sent to another thread. Made by `detach` of each
/// socket, such as [`TcpStream::detach`](crate::net::TcpStream::detach).
///
/// The descriptor stays in non-blocking mode, so the whole trip makes no system call except the one
/// that ends the registration with the first hub. Data that has arrived is not lost. Dropping it
/// closes the socket.
///
/// # Examples
///
/// A thread accepts, and the greenlets of another thread answer:
///
/// ```
/// use std::io::{Read, Write};
/// use std::thread;
/// use ramie::net::{Detached, TcpListener, TcpStream};
/// use ramie::shared::channel;
///
/// let (sender, accepted) = channel::bounded::<Detached<TcpStream>>(16);
/// let worker = thread::spawn(move || {
///     for stream in accepted {
///         ramie::spawn(move || stream.attach()?.write_all(b"hello"));
///     }
/// });
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut client = TcpStream::connect(listener.local_addr()?)?;
/// let (stream, _peer) = listener.accept()?;
/// sender.send(stream.detach()?).unwrap();
/// let mut text = String::new();
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// drop(sender);
/// worker.join().unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Detached<T> {
    descriptor: Descriptor,
    settings: Settings,
    attach: fn(Descriptor, Settings) -> io::Result<T>,
}

impl<T> Detached<T> {
    pub(crate) fn new(
        descriptor: impl Into<Descriptor>,
        settings: Settings,
        attach: fn(Descriptor, Settings) -> io::Result<T>,
    ) -> Self {
        Detached { descriptor: descriptor.into(), settings, attach }
    }

    /// Converts this to a socket of this thread, with the timeouts that the detached handle had.
    /// Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the error of the registration, on systems that must register a socket at its
    /// creation; the socket is closed then. Returns no error on Unix.
    pub fn attach(self) -> io::Result<T> {
        (self.attach)(self.descriptor, self.settings)
    }
}

impl<T> fmt::Debug for Detached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl<T> AsFd for Detached<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(windows)]
impl<T> AsSocket for Detached<T> {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.descriptor.as_socket()
    }
}
