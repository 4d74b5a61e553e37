//! Timeouts and the non-blocking mode of one handle.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use ramie_hub::{Io, Source};

/// The timeouts of a handle's reads and writes, and its non-blocking mode.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    read: Cell<Option<Duration>>,
    write: Cell<Option<Duration>>,
    nonblocking: Cell<bool>,
}

impl Limits {
    pub(crate) fn read(&self) -> Option<Duration> {
        self.read.get()
    }

    pub(crate) fn write(&self) -> Option<Duration> {
        self.write.get()
    }

    pub(crate) fn nonblocking(&self) -> bool {
        self.nonblocking.get()
    }

    pub(crate) fn set_read(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.read.set(check_timeout(timeout)?);
        Ok(())
    }

    pub(crate) fn set_write(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.write.set(check_timeout(timeout)?);
        Ok(())
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.set(nonblocking);
    }

    pub(crate) fn read_with<S: Source, R>(
        &self,
        io: &Io<S>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        match self.nonblocking() {
            true => io.try_read_with(op)?.ok_or_else(would_block),
            false => io.read_with(self.read(), op),
        }
    }

    /// Reads from a source on which a short read means that no data is left.
    pub(crate) fn read_into<S: Source>(
        &self,
        io: &Io<S>,
        wanted: usize,
        op: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self.nonblocking() {
            true => io.try_read_with(op)?.ok_or_else(would_block),
            false => io.read_into(self.read(), wanted, op),
        }
    }

    pub(crate) fn write_with<S: Source, R>(
        &self,
        io: &Io<S>,
        op: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        match self.nonblocking() {
            true => io.try_write_with(op)?.ok_or_else(would_block),
            false => io.write_with(self.write(), op),
        }
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
