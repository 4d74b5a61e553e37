//! The registered sources of a hub, behind calls that hold no borrow when they return.

use std::cell::RefCell;
use std::io;
#[cfg(unix)]
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

#[cfg(unix)]
use mio::Interest;
use mio::Waker;

#[cfg(unix)]
use super::fd_table::FdTable;
use super::poller::{Direction, Poller, Slot, SourceId};
#[cfg(unix)]
use super::registration;

/// The poll, its sources with waiters of type `W`, and the table of descriptors.
pub(crate) struct Reactor<W> {
    poller: RefCell<Poller<W>>,
    #[cfg(unix)]
    fds: FdTable,
}

impl<W> Reactor<W> {
    pub(crate) fn new() -> io::Result<(Self, Waker)> {
        let (poller, waker) = Poller::new()?;
        let reactor = Reactor {
            poller: RefCell::new(poller),
            #[cfg(unix)]
            fds: FdTable::default(),
        };
        Ok((reactor, waker))
    }

    /// Returns the number of registered sources.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.poller.borrow().len()
    }

    /// Waits for events; see [`Poller::poll`].
    #[inline(always)]
    pub(crate) fn poll(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.poller.borrow_mut().poll(timeout)
    }

    /// Returns `true` if the system may have more events than the last poll has returned.
    pub(crate) fn has_more(&self) -> bool {
        self.poller.borrow().is_full()
    }

    /// Passes each waiter of the sources that have become ready to `f`, which must not use the
    /// reactor.
    #[inline(always)]
    pub(crate) fn each_ready(&self, mut f: impl FnMut(SourceId, Direction, u64, &W)) {
        for (id, direction, waiters) in self.poller.borrow_mut().take_ready() {
            for (key, waiter) in waiters {
                f(id, direction, *key, waiter);
            }
        }
    }

    /// Runs `f`, which must not use the reactor or drop a user value, on a source's slot. Returns
    /// `None` if the source is not registered any more.
    #[inline]
    pub(crate) fn with_slot<R>(&self, id: SourceId, f: impl FnOnce(&mut Slot<W>) -> R) -> Option<R> {
        self.poller.borrow_mut().slot(id).map(f)
    }

    /// Closes the poll. Returns the waiters, which are user values.
    pub(crate) fn close(&self) -> Vec<Slot<W>> {
        self.poller.borrow_mut().close()
    }
}

#[cfg(unix)]
impl<W> Reactor<W> {
    /// Returns the number of the poll's descriptor.
    pub(crate) fn raw_fd(&self) -> io::Result<RawFd> {
        self.poller.borrow().raw_fd()
    }

    /// Returns the descriptor of the poll, which stays open from now on until the process ends.
    pub(crate) fn borrow_fd(&self) -> io::Result<BorrowedFd<'static>> {
        self.poller.borrow_mut().borrow_fd()
    }

    /// Registers a descriptor; see [`registration::register`].
    pub(crate) fn register(&self, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Option<SourceId>> {
        registration::register(&self.poller, fd, interest)
    }

    /// Removes a descriptor that was registered on behalf of `fd`.
    pub(crate) fn deregister(&self, id: SourceId, fd: RawFd) {
        registration::deregister(&self.poller, id, fd);
    }

    /// Makes the system check a registered descriptor again; see [`registration::rearm`].
    pub(crate) fn rearm(&self, id: SourceId, fd: RawFd, interest: Interest) -> io::Result<()> {
        registration::rearm(&self.poller, id, fd, interest)
    }

    /// Registers a descriptor that is watched by its number; see [`FdTable::acquire`].
    pub(crate) fn acquire(&self, fd: BorrowedFd<'_>) -> io::Result<Option<SourceId>> {
        self.fds.acquire(&self.poller, fd)
    }

    /// Puts another file at the number of a watched descriptor; see [`FdTable::replace`].
    pub(crate) fn replace(
        &self,
        fd: BorrowedFd<'_>,
        replace: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.fds.replace(&self.poller, fd, replace)
    }

    /// Releases a descriptor that [`acquire`](Reactor::acquire) has returned.
    pub(crate) fn release(&self, fd: RawFd) {
        self.fds.release(&self.poller, fd);
    }

    /// Makes the system report a watched descriptor again if it is still ready.
    pub(crate) fn rearm_watched(&self, fd: RawFd) {
        self.fds.rearm(&self.poller, fd);
    }
}

#[cfg(not(unix))]
impl<W> Reactor<W> {
    /// Registers a source of mio.
    pub(crate) fn register<S: mio::event::Source>(
        &self,
        source: &mut S,
        interest: mio::Interest,
    ) -> io::Result<SourceId> {
        let mut poller = self.poller.borrow_mut();
        poller.register(|registry, token, interest| registry.register(source, token, interest), interest)
    }

    /// Removes the slot of a source. The system removes the source when the source is dropped.
    pub(crate) fn deregister(&self, id: SourceId) {
        // Bound first: the waiters are dropped after the borrow has ended.
        let slot = self.poller.borrow_mut().deregister(id, |_| Ok(()));
        drop(slot);
    }
}
