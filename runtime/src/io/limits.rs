//! What one handle's operations may wait for.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use ramie_hub::{Io, Source};

/// The limits of one handle: how long its reads and writes wait, and whether they wait at all.
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

    /// For sources of which a short read has taken all there was.
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

/// std refuses a limit of zero, which would mean "never" to some systems.
pub(crate) fn check_timeout(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a time of zero is no time to wait"));
    }
    Ok(timeout)
}

fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}
