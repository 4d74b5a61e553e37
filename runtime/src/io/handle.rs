//! The common implementation of sockets and the ends of pipes.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use ramie_hub::{Io, Source};
#[cfg(unix)]
use ramie_hub::{Limit, LinkId};

/// A source that the clones of a handle share, with the timeouts and the non-blocking mode of this
/// handle alone.
#[derive(Debug)]
pub(crate) struct Handle<S: Source> {
    io: Rc<Io<S>>,
    read_timeout: Cell<Option<Duration>>,
    write_timeout: Cell<Option<Duration>>,
    nonblocking: Cell<bool>,
}

/// The settings of a handle, apart from its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    nonblocking: bool,
}

impl<S: Source> Handle<S> {
    /// Creates a handle for a source in non-blocking mode.
    pub(crate) fn new(source: S) -> io::Result<Self> {
        Ok(Handle {
            io: Rc::new(Io::new(source)?),
            read_timeout: Cell::default(),
            write_timeout: Cell::default(),
            nonblocking: Cell::default(),
        })
    }

    /// Creates a handle for a source in non-blocking mode, with the settings of an earlier handle.
    pub(crate) fn with_settings(source: S, settings: Settings) -> io::Result<Self> {
        let handle = Handle::new(source)?;
        handle.read_timeout.set(settings.read_timeout);
        handle.write_timeout.set(settings.write_timeout);
        handle.nonblocking.set(settings.nonblocking);
        Ok(handle)
    }

    /// Returns the settings of this handle.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            read_timeout: self.read_timeout.get(),
            write_timeout: self.write_timeout.get(),
            nonblocking: self.nonblocking.get(),
        }
    }

    /// Creates another handle, with a copy of the timeouts.
    pub(crate) fn share(&self) -> Self {
        Handle {
            io: self.io.clone(),
            read_timeout: self.read_timeout.clone(),
            write_timeout: self.write_timeout.clone(),
            nonblocking: self.nonblocking.clone(),
        }
    }

    /// Returns `true` if both are handles of one source.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.io, &other.io)
    }

    pub(crate) fn io(&self) -> &Io<S> {
        &self.io
    }

    pub(crate) fn get_ref(&self) -> &S {
        self.io.get_ref()
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        self.read_timeout.get()
    }

    pub(crate) fn write_timeout(&self) -> Option<Duration> {
        self.write_timeout.get()
    }

    #[cfg(unix)]
    pub(crate) fn nonblocking(&self) -> bool {
        self.nonblocking.get()
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout.set(check_timeout(timeout)?);
        Ok(())
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout.set(check_timeout(timeout)?);
        Ok(())
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.set(nonblocking);
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

    /// Returns the source, for use outside the hub, if there are no other handles.
    pub(crate) fn into_inner(self) -> io::Result<S> {
        self.get_open()?;
        let busy = "the descriptor has other handles, which would block the thread";
        match Rc::into_inner(self.io) {
            Some(io) => Ok(io.into_inner()),
            None => Err(io::Error::new(io::ErrorKind::ResourceBusy, busy)),
        }
    }

    pub(crate) fn read_with<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        match self.nonblocking.get() {
            true => self.io.try_read_with(op)?.ok_or_else(would_block),
            false => self.io.read_with(self.read_timeout(), op),
        }
    }

    /// Reads from a source on which a short read means that no data is left.
    pub(crate) fn read_into(
        &self,
        wanted: usize,
        op: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self.nonblocking.get() {
            true => self.io.try_read_with(op)?.ok_or_else(would_block),
            false => self.io.read_into(self.read_timeout(), wanted, op),
        }
    }

    pub(crate) fn write_with<R>(&self, op: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        match self.nonblocking.get() {
            true => self.io.try_write_with(op)?.ok_or_else(would_block),
            false => self.io.write_with(self.write_timeout(), op),
        }
    }

    /// Reads with exclusive access to the source of a handle that was never shared.
    #[cfg(unix)]
    pub(crate) fn read_mut_with<R>(&mut self, op: impl FnMut(&mut S) -> io::Result<R>) -> io::Result<R> {
        let timeout = self.read_timeout();
        self.own_io().read_mut_with(timeout, op)
    }

    /// Writes with exclusive access to the source of a handle that was never shared.
    #[cfg(unix)]
    pub(crate) fn write_mut_with<R>(&mut self, op: impl FnMut(&mut S) -> io::Result<R>) -> io::Result<R> {
        let timeout = self.write_timeout();
        self.own_io().write_mut_with(timeout, op)
    }

    #[cfg(unix)]
    fn own_io(&mut self) -> &mut Io<S> {
        Rc::get_mut(&mut self.io).expect("the handle must have no clones")
    }

    /// Repeats `ask` after each wait for readability until it returns an answer. Returns `None` at
    /// the limit. Lets other greenlets run while it waits.
    #[cfg(unix)]
    pub(crate) fn ask_until<T>(
        &self,
        limit: impl Into<Limit>,
        mut ask: impl FnMut() -> io::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        let limit = limit.into().fixed();
        loop {
            if let Some(answer) = ask()? {
                return Ok(Some(answer));
            }
            match self.io.wait_readable(limit) {
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.nonblocking.get() => {
                    self.io.wait_writable(self.write_timeout())?;
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

/// Rejects a timeout of zero, as std does. Some systems would take zero as no limit.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a zero timeout"));
    }
    Ok(timeout)
}

fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}
