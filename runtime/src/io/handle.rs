//! The common implementation of sockets and the ends of pipes.
//!
//! A [`Handle`] is a source that its clones share, with timeouts of its own. The macros give the
//! types around it their public methods and traits. A generic type is passed as `@`, its parameters
//! in brackets, and the type.

use std::io;
use std::rc::Rc;
#[cfg(unix)]
use std::time::Instant;

#[cfg(unix)]
use ramie_hub::LinkId;
use ramie_hub::{Io, Source};

use super::limits::Limits;

/// A shared source, and the timeouts of this handle.
#[derive(Debug)]
pub(crate) struct Handle<S: Source> {
    io: Rc<Io<S>>,
    limits: Limits,
}

impl<S: Source> Handle<S> {
    /// Creates a handle for a source in non-blocking mode.
    pub(crate) fn new(source: S) -> io::Result<Self> {
        Ok(Handle { io: Rc::new(Io::new(source)?), limits: Limits::default() })
    }

    /// Creates another handle, with a copy of the timeouts.
    pub(crate) fn share(&self) -> Self {
        Handle { io: self.io.clone(), limits: self.limits.clone() }
    }

    /// Returns `true` if both are handles of one source.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.io, &other.io)
    }

    pub(crate) fn io(&self) -> &Io<S> {
        &self.io
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn get_ref(&self) -> &S {
        self.io.get_ref()
    }

    /// Returns the source of a handle that was never shared.
    #[cfg(unix)]
    pub(crate) fn get_mut(&mut self) -> (&mut Io<S>, &Limits) {
        (Rc::get_mut(&mut self.io).expect("the handle must have no clones"), &self.limits)
    }

    /// Returns the source if its descriptor has not been released.
    pub(crate) fn get_open(&self) -> io::Result<&S> {
        match self.io.is_released() {
            #[cfg(unix)]
            true => Err(rustix::io::Errno::BADF.into()),
            #[cfg(not(unix))]
            true => Err(io::ErrorKind::NotConnected.into()),
            false => Ok(self.get_ref()),
        }
    }

    /// Returns the source, for blocking use, if there are no other handles.
    pub(crate) fn into_inner(self) -> io::Result<S> {
        self.get_open()?;
        let busy = "the descriptor has other handles, which would block the thread";
        match Rc::into_inner(self.io) {
            Some(io) => Ok(io.into_inner()),
            None => Err(io::Error::new(io::ErrorKind::ResourceBusy, busy)),
        }
    }

    pub(crate) fn read_with<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.limits.read_with(&self.io, op)
    }

    pub(crate) fn read_into(
        &self,
        wanted: usize,
        op: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.limits.read_into(&self.io, wanted, op)
    }

    pub(crate) fn write_with<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.limits.write_with(&self.io, op)
    }

    /// Repeats `ask` after each wait for readability until it returns an answer. Returns `None` at
    /// the deadline. Lets other greenlets run while it waits.
    #[cfg(unix)]
    pub(crate) fn ask_until<T>(
        &self,
        deadline: Option<Instant>,
        mut ask: impl FnMut() -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        loop {
            if let Some(answer) = ask()? {
                return Ok(Some(answer));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.io.wait_readable(left) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return ask(),
                other => other?,
            }
        }
    }

    /// Links to readability, for sources for which only `ready` can tell if they are readable.
    #[cfg(unix)]
    pub(crate) fn link_ready(&self, ready: impl Fn() -> bool, f: Box<dyn FnOnce()>) -> LinkId {
        // Reports the known state: otherwise a source that was never polled counts as worth an
        // attempt.
        let _ = self.io.try_read_with(|_| match ready() {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        });
        self.io.link_readable(f)
    }

    /// Runs a writing operation that lets other greenlets run, like
    /// [`write_with`](Handle::write_with). Readiness that is reported during the operation does not
    /// prove that the next attempt would succeed, so after a `WouldBlock` the system is polled
    /// again.
    #[cfg(unix)]
    pub(crate) fn write_elsewhere<R>(&self, mut op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        while !self.io.is_closed() {
            match op(self.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.limits.nonblocking() => {
                    self.io.wait_writable(self.limits.write())?;
                }
                // The error of the system for a socket that was closed during the operation depends
                // on the moment of the close.
                Err(_) if self.io.is_closed() => break,
                done => return done,
            }
        }
        Err(rustix::io::Errno::BADF.into())
    }
}

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
macro_rules! shared {
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
                self.handle.limits().set_nonblocking(nonblocking);
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
                self.handle.limits().set_read(timeout)
            }

            /// Returns the read timeout.
            ///
            /// # Errors
            ///
            /// Returns no error; the `Result` is for compatibility with std.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.handle.limits().read())
            }

            /// Waits until the descriptor is readable or the peer has ended the stream.
            ///
            /// # Errors
            ///
            /// Returns `TimedOut` after the read timeout, and `EBADF` if the descriptor was closed.
            pub fn wait_readable(&self) -> std::io::Result<()> {
                self.handle.io().wait_readable(self.handle.limits().read())
            }
        }

        crate::io::handle::waitable!($(@[$($generics)*])? $type);
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
                self.handle.limits().set_write(timeout)
            }

            /// Returns the write timeout.
            ///
            /// # Errors
            ///
            /// Returns no error; the `Result` is for compatibility with std.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.handle.limits().write())
            }

            /// Waits until the descriptor is writable.
            ///
            /// # Errors
            ///
            /// Returns `TimedOut` after the write timeout, and `EBADF` if the descriptor was
            /// closed.
            pub fn wait_writable(&self) -> std::io::Result<()> {
                self.handle.io().wait_writable(self.handle.limits().write())
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

#[cfg(unix)]
pub(crate) use {close, release};
pub(crate) use {handle, read, readable, shared, waitable, writable, write};
