//! What all sockets have in common beside what [`handle`](crate::io::handle) gives every handle.

/// Errors and conversions: for a type around a [`Handle`](crate::io::handle::Handle), its counterpart in std, and
/// how the latter, in non-blocking mode, becomes what the handle holds.
macro_rules! socket {
    ($type:ty, $std:ty, $wrap:expr) => {
        crate::io::handle::handle!($type);
        crate::io::handle::shared!($type);

        impl $type {
            /// Takes over a socket from std. It is put into non-blocking mode.
            ///
            /// # Errors
            ///
            /// When the system refuses that mode.
            pub fn from_std(socket: $std) -> std::io::Result<Self> {
                socket.set_nonblocking(true)?;
                Ok(Self { handle: crate::io::handle::Handle::new($wrap(socket))? })
            }

            /// Gives the socket to std, in blocking mode.
            ///
            /// # Errors
            ///
            /// `ResourceBusy` while there are clones, which would block the thread from then on; `EBADF` when it was closed and
            /// nothing is left of it; when the system refuses that mode. This handle is gone then.
            pub fn into_std(self) -> std::io::Result<$std> {
                let socket: $std = self.handle.into_inner()?.into();
                socket.set_nonblocking(false)?;
                Ok(socket)
            }

            /// The error that the socket has in store, which is cleared.
            ///
            /// # Errors
            ///
            /// The system's own.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.handle.get_open()?.take_error()
            }
        }

        impl TryFrom<$std> for $type {
            type Error = std::io::Error;

            fn try_from(socket: $std) -> std::io::Result<Self> {
                Self::from_std(socket)
            }
        }

        impl TryFrom<$type> for $std {
            type Error = std::io::Error;

            fn try_from(socket: $type) -> std::io::Result<Self> {
                socket.into_std()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsSocket for $type {
            fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
                self.handle.get_ref().as_socket()
            }
        }

        #[cfg(windows)]
        impl std::os::windows::io::AsRawSocket for $type {
            fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
                self.handle.get_ref().as_raw_socket()
            }
        }
    };
}

/// Closing what is known by its address, which others may have from then on.
macro_rules! release {
    ($type:ty) => {
        impl $type {
            /// Closes the socket for every handle: greenlets that wait on it get `EBADF` in a later turn, and so does every
            /// operation from now on. Its address is free for others, and peers are refused. Does not let others run.
            ///
            /// The number of the descriptor stays taken until the last handle is dropped. Who reads from the bare descriptor,
            /// or waits for it, finds a stream that has ended.
            pub fn close(&self) {
                #[cfg(unix)]
                self.handle.io().release();
                #[cfg(not(unix))]
                self.handle.io().close();
                if !self.handle.io().is_released() {
                    // As much as can be done while it is open. It may not have that: then there is nothing to end.
                    let _ = socket2::SockRef::from(self.handle.get_ref()).shutdown(std::net::Shutdown::Both);
                }
            }
        }
    };
}

/// Taking connections: for a listener, what it takes, the address that comes with it, the iterator over both, and how what
/// the system gave becomes a stream.
macro_rules! listener {
    ($listener:ident, $stream:ident, $address:ty, $incoming:ident, $wrap:expr) => {
        crate::io::handle::waitable!($listener);
        crate::net::socket::release!($listener);

        impl $listener {
            /// Takes the next connection, waiting for one if none is there. Lets others run while it waits.
            ///
            /// # Errors
            ///
            /// The system's own, of which those about the one connection or about missing descriptors pass; `EBADF` when the
            /// listener was closed.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout takes no connection.
            pub fn accept(&self) -> std::io::Result<($stream, $address)> {
                let (stream, peer) = self.handle.read_with(|listener| listener.accept())?;
                Ok(($wrap(stream)?, peer))
            }

            /// Takes the next connection, waiting at most that long.
            ///
            /// # Errors
            ///
            /// `TimedOut` when the time is over first, and as [`accept`](Self::accept).
            pub fn accept_timeout(
                &self,
                timeout: std::time::Duration,
            ) -> std::io::Result<($stream, $address)> {
                let (stream, peer) =
                    self.handle.io().read_with(Some(timeout), |listener| listener.accept())?;
                Ok(($wrap(stream)?, peer))
            }

            /// Takes the next connection if one is there. Does not let others run.
            ///
            /// # Errors
            ///
            /// As [`accept`](Self::accept).
            pub fn try_accept(&self) -> std::io::Result<Option<($stream, $address)>> {
                match self.handle.io().try_read_with(|listener| listener.accept())? {
                    Some((stream, peer)) => Ok(Some(($wrap(stream)?, peer))),
                    None => Ok(None),
                }
            }

            /// Waits until a connection may be there.
            ///
            /// # Errors
            ///
            /// `EBADF` when the listener was closed.
            pub fn wait_readable(&self) -> std::io::Result<()> {
                self.handle.io().wait_readable(None)
            }

            /// Iterates over connections, for ever.
            pub fn incoming(&self) -> $incoming<'_> {
                $incoming { listener: self }
            }
        }

        /// An endless iterator over connections. Made by `incoming`.
        #[derive(Debug)]
        pub struct $incoming<'a> {
            listener: &'a $listener,
        }

        impl Iterator for $incoming<'_> {
            type Item = std::io::Result<$stream>;

            fn next(&mut self) -> Option<Self::Item> {
                Some(self.listener.accept().map(|(stream, _)| stream))
            }
        }
    };
}

/// The two directions of a stream, beside `receive` and `receive_vectored`.
macro_rules! stream {
    ($type:ident) => {
        crate::io::handle::readable!($type);
        crate::io::handle::writable!($type);
        crate::io::handle::read!($type);
        crate::io::handle::write!($type);
        crate::io::by_ref::by_ref!($type);

        impl $type {
            /// Ends the socket for everybody who shares it: greenlets that wait on it get `EBADF` in a later turn, and so
            /// does every operation from now on. The other side sees the end. Does not let others run.
            ///
            /// The descriptor itself is given back when the last handle is dropped.
            pub fn close(&self) {
                self.handle.io().close();
                // It may not be connected, or not any more, or not have that: then there is nothing to end.
                let _ = socket2::SockRef::from(self.handle.get_ref()).shutdown(std::net::Shutdown::Both);
            }

            /// Ends one direction or both. Greenlets that wait for it see the end of the stream.
            ///
            /// # Errors
            ///
            /// `NotConnected` when there is no other side; `EBADF` when it was closed.
            pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
                // It never waits, and is refused like everything else once the socket is closed.
                self.handle.io().try_write_with(|stream| stream.shutdown(how)).map(drop)
            }

            /// The reading and the writing half, for two owners, as tokio's of that name.
            ///
            /// Two greenlets can as well share the stream in an `Rc`, as everything works on `&self`. What halves add is that
            /// the writing half says so to the other side when it is dropped.
            pub fn into_split(self) -> (crate::net::OwnedReadHalf<$type>, crate::net::OwnedWriteHalf<$type>) {
                crate::net::split::split(self)
            }
        }

        /// By [`shutdown`](Self::shutdown) of the writing direction.
        impl crate::io::ShutdownWrite for $type {
            fn shutdown_write(&self) -> std::io::Result<()> {
                self.shutdown(std::net::Shutdown::Write)
            }
        }

        impl crate::net::split::Duplex for $type {
            fn share(&self) -> Self {
                Self { handle: self.handle.share() }
            }

            fn is_same(&self, other: &Self) -> bool {
                self.handle.is_same(&other.handle)
            }

            #[cfg(unix)]
            fn write_elsewhere<R>(
                &self,
                mut op: impl FnMut(std::os::fd::BorrowedFd<'_>) -> std::io::Result<R>,
            ) -> std::io::Result<R> {
                self.handle.write_elsewhere(|stream| op(std::os::fd::AsFd::as_fd(stream)))
            }
        }
    };
}

/// Calls that only ask the system for something: each does not wait, and has the system's own errors.
macro_rules! options {
    ($type:ty: $($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*) -> $gives:ty;)*) => {
        impl $type {$(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// The system's own.
            pub fn $name(&self $(, $argument: $kind)*) -> std::io::Result<$gives> {
                self.handle.get_open()?.$name($($argument),*)
            }
        )*}
    };
}

pub(crate) use {listener, options, release, socket, stream};
