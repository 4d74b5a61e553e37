//! The macros that give the types around a [`Handle`](super::handle::Handle) their public methods
//! and traits. A generic type is passed as `@`, its parameters in brackets, and the type.

/// Implements the methods of every handle.
macro_rules! handle {
    ($(@[$($generics:tt)*])? $type:ty) => {
        #[cfg(unix)]
        impl $(<$($generics)*>)? std::os::fd::AsFd for $type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(self.handle.get_ref())
            }
        }

        #[cfg(unix)]
        impl $(<$($generics)*>)? std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(self))
            }
        }
    };
}

/// Implements the methods of handles that may be shared.
macro_rules! clone_and_nonblocking {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// Creates another handle of the same descriptor, which is shared and not duplicated.
            /// The new handle has its own timeouts. The descriptor is closed when the last handle
            /// is dropped.
            ///
            /// # Errors
            ///
            /// Returns no error; the `Result` is for compatibility with std.
            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(Self { handle: self.handle.share() })
            }

            /// Sets whether operations through this handle return `WouldBlock` instead of waiting.
            /// Unlike with std, clones and the mode of the descriptor itself are not affected.
            ///
            /// # Errors
            ///
            /// Returns no error; the `Result` is for compatibility with std.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.handle.set_nonblocking(nonblocking);
                Ok(())
            }
        }
    };
}

/// Implements the methods of readable handles.
macro_rules! readable {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// Sets the timeout of a read and of any other operation that waits for input. `None`
            /// means no limit.
            ///
            /// # Errors
            ///
            /// Returns `InvalidInput` for a timeout of zero, as std does.
            pub fn set_read_timeout(&self, timeout: Option<std::time::Duration>) -> std::io::Result<()> {
                self.handle.set_read_timeout(timeout)
            }

            /// Returns the read timeout.
            ///
            /// # Errors
            ///
            /// Returns no error; the `Result` is for compatibility with std.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.handle.read_timeout())
            }

            /// Waits until the descriptor is readable or the peer has ended the stream. Lets other
            /// greenlets run if it waits.
            ///
            /// # Errors
            ///
            /// Returns `TimedOut` after the read timeout, and `EBADF` if the descriptor was closed.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout leaves the descriptor as it is.
            pub fn wait_readable(&self) -> std::io::Result<()> {
                self.handle.io().wait_readable(self.handle.read_timeout())
            }

            /// Returns ready if an attempt to read may succeed or reports an error; otherwise `cx`
            /// is woken when that is so. For executors on this thread that let the hub run while a
            /// future is pending.
            ///
            /// Attempts must be made through a handle in non-blocking mode (`set_nonblocking`), such
            /// as a clone: an attempt that fails with `WouldBlock` makes the next poll pending. The
            /// waker of the last poll, by any handle, is the one that is woken; reading and writing
            /// have one waker each. Does not let other greenlets run.
            ///
            /// # Errors
            ///
            /// Returns `EBADF` if the descriptor was closed, also during the wait.
            ///
            /// # Cancellation
            ///
            /// The last waker is kept until it is woken or the descriptor is closed.
            pub fn poll_readable(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.handle.io().poll_readable(cx)
            }
        }

        crate::io::macros::waitable!($(@[$($generics)*])? $type);
    };
}

/// Implements `Waitable`, for `wait`, `iwait` and `select!`.
macro_rules! waitable {
    ($(@[$($generics:tt)*])? $type:ty) => {
        /// Ready when input may be available.
        impl $(<$($generics)*>)? ramie_hub::Waitable for $type {
            fn is_ready(&self) -> bool {
                self.handle.io().maybe_readable()
            }

            fn rawlink(&self, f: Box<dyn FnOnce()>) -> ramie_hub::LinkId {
                self.handle.io().link_readable(f)
            }

            fn unlink(&self, id: ramie_hub::LinkId) {
                self.handle.io().unlink_readable(id);
            }
        }
    };
}

/// Implements the methods of writable handles.
macro_rules! writable {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// Sets the timeout of a write. `None` means no limit.
            ///
            /// # Errors
            ///
            /// Returns `InvalidInput` for a timeout of zero, as std does.
            pub fn set_write_timeout(&self, timeout: Option<std::time::Duration>) -> std::io::Result<()> {
                self.handle.set_write_timeout(timeout)
            }

            /// Returns the write timeout.
            ///
            /// # Errors
            ///
            /// Returns no error; the `Result` is for compatibility with std.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.handle.write_timeout())
            }

            /// Waits until the descriptor is writable. Lets other greenlets run if it waits.
            ///
            /// # Errors
            ///
            /// Returns `TimedOut` after the write timeout, and `EBADF` if the descriptor was
            /// closed.
            ///
            /// # Cancellation
            ///
            /// A kill or a timeout leaves the descriptor as it is.
            pub fn wait_writable(&self) -> std::io::Result<()> {
                self.handle.io().wait_writable(self.handle.write_timeout())
            }

            /// Returns ready if an attempt to write may succeed or reports an error; otherwise `cx`
            /// is woken when that is so. For executors on this thread that let the hub run while a
            /// future is pending.
            ///
            /// Attempts must be made through a handle in non-blocking mode (`set_nonblocking`), such
            /// as a clone: an attempt that fails with `WouldBlock` makes the next poll pending. The
            /// waker of the last poll, by any handle, is the one that is woken; reading and writing
            /// have one waker each. Does not let other greenlets run.
            ///
            /// # Errors
            ///
            /// Returns `EBADF` if the descriptor was closed, also during the wait.
            ///
            /// # Cancellation
            ///
            /// The last waker is kept until it is woken or the descriptor is closed.
            pub fn poll_writable(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.handle.io().poll_writable(cx)
            }
        }
    };
}

/// Implements `close` for types that may not own their descriptor.
#[cfg(unix)]
macro_rules! close {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// Closes it for all its handles: greenlets that wait on it get `EBADF` in a later
            /// iteration of the loop, and every later operation fails with `EBADF`. Does not let
            /// other greenlets run.
            ///
            /// The inner value may have borrowed its descriptor. The descriptor therefore stays
            /// open until the inner value is dropped, with the last handle.
            pub fn close(&self) {
                self.handle.io().close();
            }
        }
    };
}

/// Implements `close` for types that own their descriptor.
#[cfg(unix)]
macro_rules! release {
    ($type:ty) => {
        impl $type {
            /// Closes it for all its handles: greenlets that wait on it get `EBADF` in a later
            /// iteration of the loop, and every later operation fails with `EBADF`. The peer sees
            /// the end of the stream. Does not let other greenlets run.
            ///
            /// The number of the descriptor stays in use until the last handle is dropped. A read
            /// from the bare descriptor, or a wait for it, finds a stream that has ended.
            pub fn close(&self) {
                self.handle.io().release();
            }
        }
    };
}

/// Implements `Read` for the type and for references to it, by the type's own `receive` and
/// `receive_vectored`.
macro_rules! read {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? std::io::Read for &$type {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.receive(buffer)
            }

            fn read_vectored(&mut self, buffers: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                self.receive_vectored(buffers)
            }
        }

        impl $(<$($generics)*>)? std::io::Read for $type {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.receive(buffer)
            }

            fn read_vectored(&mut self, buffers: &mut [std::io::IoSliceMut<'_>]) -> std::io::Result<usize> {
                self.receive_vectored(buffers)
            }
        }
    };
}

/// Implements `Write` for the type and for references to it. Nothing is buffered, so there is
/// nothing to flush.
macro_rules! write {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? std::io::Write for &$type {
            fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
                self.handle.write_with(|mut source| std::io::Write::write(&mut source, data))
            }

            fn write_vectored(&mut self, data: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                self.handle.write_with(|mut source| std::io::Write::write_vectored(&mut source, data))
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl $(<$($generics)*>)? std::io::Write for $type {
            fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
                (&*self).write(data)
            }

            fn write_vectored(&mut self, data: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&*self).write_vectored(data)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

/// Implements `AsyncRead` for a type and for references to it.
#[cfg(feature = "futures")]
macro_rules! async_read {
    ($type:ty) => {
        crate::io::macros::async_read!(@[] $type);
        crate::io::macros::async_read!(@['a] &'a $type);
    };
    (@[$($generics:tt)*] $type:ty) => {
        /// For executors on this thread that let the hub run while a future is pending. The
        /// timeouts and the non-blocking mode of the handle have no effect. The last poll of a
        /// direction, by any handle, is the one that is woken.
        impl<$($generics)*> futures_io::AsyncRead for $type {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buffer: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let read = |mut source: &_| std::io::Read::read(&mut source, buffer);
                self.handle.io().poll_read_with(cx, read)
            }

            fn poll_read_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let read = |mut source: &_| std::io::Read::read_vectored(&mut source, buffers);
                self.handle.io().poll_read_with(cx, read)
            }
        }
    };
}

/// Implements `AsyncWrite` for a type with `shutdown`, and for references to it. Nothing is
/// buffered, so there is nothing to flush.
#[cfg(feature = "futures")]
macro_rules! async_write {
    ($type:ty) => {
        crate::io::macros::async_write!(@[] $type);
        crate::io::macros::async_write!(@['a] &'a $type);
    };
    (@[$($generics:tt)*] $type:ty) => {
        /// For executors on this thread that let the hub run while a future is pending. The
        /// timeouts and the non-blocking mode of the handle have no effect. The last poll of a
        /// direction, by any handle, is the one that is woken. `poll_close` shuts down the writing
        /// direction.
        impl<$($generics)*> futures_io::AsyncWrite for $type {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                data: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let write = |mut source: &_| std::io::Write::write(&mut source, data);
                self.handle.io().poll_write_with(cx, write)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                data: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let write = |mut source: &_| std::io::Write::write_vectored(&mut source, data);
                self.handle.io().poll_write_with(cx, write)
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(self.shutdown(std::net::Shutdown::Write))
            }
        }
    };
}

#[cfg(feature = "futures")]
pub(crate) use {async_read, async_write};
pub(crate) use {clone_and_nonblocking, handle, read, readable, waitable, writable, write};
#[cfg(unix)]
pub(crate) use {close, release};
