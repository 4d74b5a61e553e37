//! Macros for the methods that all sockets have in addition to those of every
//! [`handle`](crate::io::handle).

/// Implements errors and conversions. The arguments are a type around a
/// [`Handle`](crate::io::handle::Handle), its counterpart in std, and a conversion from that
/// counterpart, in non-blocking mode, to the source in the handle.
macro_rules! socket {
    ($type:ty, $std:ty, $wrap:expr) => {
        crate::io::macros::handle!($type);
        crate::io::macros::clone_and_nonblocking!($type);

        impl $type {
            /// Converts a socket of std. The socket is put into non-blocking mode.
            ///
            /// # Errors
            ///
            /// Returns the error of the system if it cannot set the mode.
            pub fn from_std(socket: $std) -> std::io::Result<Self> {
                socket.set_nonblocking(true)?;
                Ok(Self { handle: crate::io::handle::Handle::new($wrap(socket))? })
            }

            /// Converts the socket to one of std, in blocking mode.
            ///
            /// # Errors
            ///
            /// Returns `ResourceBusy` if there are clones, because they would block the thread from
            /// then on. Returns `EBADF` if the socket was closed and its descriptor released, and
            /// the error of the system if it cannot set the mode. This handle is dropped in all
            /// cases.
            pub fn into_std(self) -> std::io::Result<$std> {
                let socket: $std = self.handle.into_inner()?.into();
                socket.set_nonblocking(false)?;
                Ok(socket)
            }

            /// Returns and clears the pending error of the socket (`SO_ERROR`).
            ///
            /// # Errors
            ///
            /// Returns the error of the system.
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

/// Implements `close` for sockets that own an address, which a close makes available to others.
macro_rules! release {
    ($type:ty) => {
        impl $type {
            /// Closes the socket for all its handles: greenlets that wait on it get `EBADF` in a
            /// later iteration of the loop, and every later operation fails with `EBADF`. Its
            /// address becomes available, and peers are refused. Does not let other greenlets run.
            ///
            /// The number of the descriptor stays in use until the last handle is dropped. A read
            /// from the bare descriptor, or a wait for it, finds a stream that has ended.
            pub fn close(&self) {
                #[cfg(unix)]
                self.handle.io().release();
                #[cfg(not(unix))]
                self.handle.io().close();
                if !self.handle.io().is_released() {
                    // The descriptor is still open, so the socket is at least shut down. A socket
                    // that does not support this has nothing to shut down.
                    let _ = socket2::SockRef::from(self.handle.get_ref()).shutdown(std::net::Shutdown::Both);
                }
            }
        }
    };
}

/// Implements accepting. The arguments are a listener, the stream and address types, the iterator
/// over both, and a conversion from the system's result to the stream.
macro_rules! listener {
    ($listener:ident, $stream:ident, $address:ty, $incoming:ident, $wrap:expr) => {
        crate::io::macros::waitable!($listener);
        crate::net::socket::release!($listener);

        impl $listener {
            /// Accepts the next connection, waiting for one if there is none. Lets other greenlets
            /// run while it waits.
            ///
            /// # Errors
            ///
            /// Returns the error of the system. Errors about one connection, and a lack of
            /// descriptors, are temporary. Returns `EBADF` if the listener was closed.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout accepts no connection.
            pub fn accept(&self) -> std::io::Result<($stream, $address)> {
                let (stream, peer) = self.handle.read_with(|listener| listener.accept())?;
                Ok(($wrap(stream)?, peer))
            }

            /// Accepts the next connection, waiting at most `timeout`.
            ///
            /// # Errors
            ///
            /// Returns `TimedOut` after the timeout, and the errors of [`accept`](Self::accept).
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout accepts no connection.
            pub fn accept_timeout(
                &self,
                timeout: impl Into<ramie_hub::Limit>,
            ) -> std::io::Result<($stream, $address)> {
                let (stream, peer) = self.handle.io().read_with(timeout, |listener| listener.accept())?;
                Ok(($wrap(stream)?, peer))
            }

            /// Accepts the next connection if there is one. Does not let other greenlets run.
            ///
            /// # Errors
            ///
            /// Returns the errors of [`accept`](Self::accept).
            pub fn try_accept(&self) -> std::io::Result<Option<($stream, $address)>> {
                match self.handle.io().try_read_with(|listener| listener.accept())? {
                    Some((stream, peer)) => Ok(Some(($wrap(stream)?, peer))),
                    None => Ok(None),
                }
            }

            /// Waits until a connection may be available. Lets other greenlets run if it waits.
            ///
            /// # Errors
            ///
            /// Returns `EBADF` if the listener was closed.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout accepts no connection.
            pub fn wait_readable(&self) -> std::io::Result<()> {
                self.handle.io().wait_readable(None)
            }

            /// Returns ready if a connection may be available or an attempt reports an error;
            /// otherwise `cx` is woken when that is so. For executors on this thread that let the
            /// hub run while a future is pending.
            ///
            /// Attempts are made by [`try_accept`](Self::try_accept): one that finds no connection
            /// makes the next poll pending. The waker of the last poll is the one that is woken.
            /// Does not let other greenlets run.
            ///
            /// # Errors
            ///
            /// Returns `EBADF` if the listener was closed, also during the wait.
            ///
            /// # Cancellation
            ///
            /// The last waker is kept until it is woken or the listener is closed.
            pub fn poll_readable(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.handle.io().poll_readable(cx)
            }

            /// Iterates over connections without end.
            pub fn incoming(&self) -> $incoming<'_> {
                $incoming { listener: self }
            }
        }

        /// An endless iterator over connections. Returned by `incoming`.
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

/// Implements reading and writing for a stream that has `receive` and `receive_vectored`.
macro_rules! stream {
    ($type:ident) => {
        crate::io::macros::readable!($type);
        crate::io::macros::writable!($type);
        crate::io::macros::read!($type);
        crate::io::macros::write!($type);
        #[cfg(feature = "futures")]
        crate::io::macros::async_read!($type);
        #[cfg(feature = "futures")]
        crate::io::macros::async_write!($type);
        crate::io::by_ref::by_ref!($type);

        impl $type {
            /// Closes the socket for all its handles: greenlets that wait on it get `EBADF` in a
            /// later iteration of the loop, and every later operation fails with `EBADF`. The peer
            /// sees the end of the stream. Does not let other greenlets run.
            ///
            /// The descriptor itself is released when the last handle is dropped.
            pub fn close(&self) {
                self.handle.io().close();
                // A socket that is not connected, or no longer, or cannot be, has nothing to shut
                // down.
                let _ = socket2::SockRef::from(self.handle.get_ref()).shutdown(std::net::Shutdown::Both);
            }

            /// Shuts down one direction or both. Greenlets that wait for it see the end of the
            /// stream.
            ///
            /// # Errors
            ///
            /// Returns `NotConnected` if there is no peer, and `EBADF` if the socket was closed.
            pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
                // Never waits. Fails like every other operation after the socket was closed.
                self.handle.io().try_write_with(|stream| stream.shutdown(how)).map(drop)
            }

            /// Splits the stream into a reading and a writing half with separate owners, like
            /// tokio's method of the same name.
            ///
            /// Two greenlets can also share the stream in an `Rc`, because everything works on
            /// `&self`. In addition, the writing half shuts down its direction when it is dropped.
            pub fn into_split(self) -> (crate::net::OwnedReadHalf<$type>, crate::net::OwnedWriteHalf<$type>) {
                crate::net::split::split(self)
            }
        }

        /// Shuts down the writing direction; see [`shutdown`](Self::shutdown).
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

/// Implements methods that make one system call, never wait, and return the error of the system.
macro_rules! options {
    ($type:ty: $($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*) -> $gives:ty;)*) => {
        impl $type {$(
            $(#[$doc])*
            ///
            /// # Errors
            ///
            /// Returns the error of the system.
            pub fn $name(&self $(, $argument: $kind)*) -> std::io::Result<$gives> {
                self.handle.get_open()?.$name($($argument),*)
            }
        )*}
    };
}

pub(crate) use {listener, options, release, socket, stream};
