//! What sockets and the ends of pipes have in common, written once.
//!
//! A [`Handle`] is a source that its clones share, with limits of its own. The macros give the types around it their
//! public methods and traits; a generic type has `@` and its parameters in brackets in front.

use std::io;
use std::rc::Rc;
#[cfg(unix)]
use std::time::Instant;

#[cfg(unix)]
use ramie_hub::LinkId;
use ramie_hub::{Io, Source};

use super::limits::Limits;

/// A shared source, and the limits of this handle.
#[derive(Debug)]
pub(crate) struct Handle<S: Source> {
    io: Rc<Io<S>>,
    limits: Limits,
}

impl<S: Source> Handle<S> {
    /// Takes a source that is in non-blocking mode.
    pub(crate) fn new(source: S) -> io::Result<Self> {
        Ok(Handle { io: Rc::new(Io::new(source)?), limits: Limits::default() })
    }

    /// A second handle, with the same limits for now.
    pub(crate) fn share(&self) -> Self {
        Handle { io: self.io.clone(), limits: self.limits.clone() }
    }

    /// Whether both are handles of one source.
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

    /// The source, for a handle that was never shared.
    #[cfg(unix)]
    pub(crate) fn get_mut(&mut self) -> (&mut Io<S>, &Limits) {
        (Rc::get_mut(&mut self.io).expect("this handle is the only one"), &self.limits)
    }

    /// The source, if its descriptor is still what it was.
    pub(crate) fn get_open(&self) -> io::Result<&S> {
        match self.io.is_released() {
            #[cfg(unix)]
            true => Err(rustix::io::Errno::BADF.into()),
            #[cfg(not(unix))]
            true => Err(io::ErrorKind::NotConnected.into()),
            false => Ok(self.get_ref()),
        }
    }

    /// The source itself, for blocking use, which its other handles must not get to see.
    pub(crate) fn into_inner(self) -> io::Result<S> {
        self.get_open()?;
        let busy = "a clone is in use, and would block the thread from now on";
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

    /// Asks until there is an answer, which the source's being readable announces; `None` when the time was over first. Lets
    /// others run while it waits.
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

    /// Links to the source's being readable where only `ready` knows whether it is.
    #[cfg(unix)]
    pub(crate) fn link_ready(&self, ready: impl Fn() -> bool, f: Box<dyn FnOnce()>) -> LinkId {
        // Says what is known to be so: otherwise a source that was never polled counts as worth an attempt.
        let _ = self.io.try_read_with(|_| match ready() {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        });
        self.io.link_readable(f)
    }

    /// Like [`write_with`](Handle::write_with), for an operation that lets others run. What is reported meanwhile says nothing
    /// about the attempt, so when that would have blocked the system is asked anew.
    #[cfg(unix)]
    pub(crate) fn write_elsewhere<R>(&self, mut op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        while !self.io.is_closed() {
            match op(self.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.limits.nonblocking() => {
                    self.io.wait_writable(self.limits.write())?;
                }
                // What the system says of a socket that was closed meanwhile depends on when that was.
                Err(_) if self.io.is_closed() => break,
                done => return done,
            }
        }
        Err(rustix::io::Errno::BADF.into())
    }
}

/// What every handle can do.
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

/// What a handle can do that may be shared.
macro_rules! shared {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// A second handle of the same descriptor, which is shared and not duplicated; the limits of the new handle
            /// are its own. The descriptor is closed when the last handle is dropped.
            ///
            /// # Errors
            ///
            /// None here; `Result` is std's signature.
            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(Self { handle: self.handle.share() })
            }

            /// Whether operations through this handle wait: with `true` one that would wait fails with `WouldBlock`
            /// instead. Unlike with std, clones are not affected, and neither is the descriptor's own mode.
            ///
            /// # Errors
            ///
            /// None here; `Result` is std's signature.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.handle.limits().set_nonblocking(nonblocking);
                Ok(())
            }
        }
    };
}

/// What a handle that can be read from can do.
macro_rules! readable {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// Sets how long a read, or whatever else waits for something to arrive, may wait. `None` is for ever.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for a time of zero, as with std.
            pub fn set_read_timeout(&self, timeout: Option<std::time::Duration>) -> std::io::Result<()> {
                self.handle.limits().set_read(timeout)
            }

            /// How long a read may wait.
            ///
            /// # Errors
            ///
            /// None here; `Result` is std's signature.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.handle.limits().read())
            }

            /// Waits until something can be read, or the other side has ended.
            ///
            /// # Errors
            ///
            /// `TimedOut` by the read timeout; `EBADF` when it was closed.
            pub fn wait_readable(&self) -> std::io::Result<()> {
                self.handle.io().wait_readable(self.handle.limits().read())
            }
        }

        crate::io::handle::waitable!($(@[$($generics)*])? $type);
    };
}

/// `Waitable`: a part in `wait`, `iwait` and `select!`.
macro_rules! waitable {
    ($(@[$($generics:tt)*])? $type:ty) => {
        /// Ready when something may have arrived.
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

/// What a handle that can be written to can do.
macro_rules! writable {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// Sets how long a write may wait. `None` is for ever.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for a time of zero, as with std.
            pub fn set_write_timeout(&self, timeout: Option<std::time::Duration>) -> std::io::Result<()> {
                self.handle.limits().set_write(timeout)
            }

            /// How long a write may wait.
            ///
            /// # Errors
            ///
            /// None here; `Result` is std's signature.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.handle.limits().write())
            }

            /// Waits until something can be written.
            ///
            /// # Errors
            ///
            /// `TimedOut` by the write timeout; `EBADF` when it was closed.
            pub fn wait_writable(&self) -> std::io::Result<()> {
                self.handle.io().wait_writable(self.handle.limits().write())
            }
        }
    };
}

/// The end of what may not own its descriptor.
#[cfg(unix)]
macro_rules! close {
    ($(@[$($generics:tt)*])? $type:ty) => {
        impl $(<$($generics)*>)? $type {
            /// Ends it for everybody who shares it: greenlets that wait on it get `EBADF` in a later turn, and so does every
            /// operation from now on. Does not let others run.
            ///
            /// What is inside may have borrowed its descriptor from others, so that stays open until what is inside is
            /// dropped, with the last handle of this.
            pub fn close(&self) {
                self.handle.io().close();
            }
        }
    };
}

/// The end of what owns its descriptor.
#[cfg(unix)]
macro_rules! release {
    ($type:ty) => {
        impl $type {
            /// Closes it for every handle: greenlets that wait on it get `EBADF` in a later turn, and so does every operation
            /// from now on. The other side sees the end. Does not let others run.
            ///
            /// The number of the descriptor stays taken until the last handle is dropped. Who reads from the bare descriptor,
            /// or waits for it, finds a stream that has ended.
            pub fn close(&self) {
                self.handle.io().release();
            }
        }
    };
}

/// `Read` for the value and for a reference to it, by the type's own `receive` and `receive_vectored`.
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

/// `Write` for the value and for a reference to it. Nothing is buffered, so there is nothing to flush.
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
