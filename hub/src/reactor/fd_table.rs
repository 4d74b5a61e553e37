//! Descriptors that are watched by their number, each registered once for all its users.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use mio::unix::SourceFd;

use super::poller::{Poller, SourceId};
use super::registration::{BOTH, deregister, rearm, register, registered};

/// A watched descriptor with several users, registered as long as any of them waits.
struct Shared {
    id: SourceId,
    users: usize,
}

/// The descriptors that are waited for by number.
#[derive(Default)]
pub(super) struct FdTable(RefCell<HashMap<RawFd, Shared>>);

impl FdTable {
    /// Registers a descriptor, or makes the system check it again. Returns `None` when it cannot be
    /// polled.
    pub(super) fn acquire<W>(
        &self,
        poller: &RefCell<Poller<W>>,
        fd: BorrowedFd<'_>,
    ) -> io::Result<Option<SourceId>> {
        let mut table = self.0.borrow_mut();
        if let Some(shared) = table.get_mut(&fd.as_raw_fd()) {
            rearm(poller, shared.id, fd.as_raw_fd(), BOTH)?;
            shared.users += 1;
            return Ok(Some(shared.id));
        }
        let Some(id) = register(poller, fd, BOTH)? else { return Ok(None) };
        table.insert(fd.as_raw_fd(), Shared { id, users: 1 });
        Ok(Some(id))
    }

    /// Runs `replace`, which puts another file at the number of `fd`, and then watches the new file
    /// on behalf of the waiters for that number.
    pub(super) fn replace<W>(
        &self,
        poller: &RefCell<Poller<W>>,
        fd: BorrowedFd<'_>,
        replace: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let number = fd.as_raw_fd();
        let table = self.0.borrow();
        let Some(id) = table.get(&number).map(|shared| shared.id) else { return replace() };
        let old = registered(poller, id, number);
        // An error means that the system has removed it already. A duplicate would keep the old
        // file open.
        let _ = poller.borrow().registry()?.deregister(&mut SourceFd(&old));
        let duplicate = poller.borrow_mut().slot(id).and_then(|slot| slot.take_duplicate());
        drop(duplicate);
        let replaced = replace();
        poller.borrow().registry()?.register(&mut SourceFd(&number), id.token(), BOTH)?;
        replaced
    }

    pub(super) fn release<W>(&self, poller: &RefCell<Poller<W>>, fd: RawFd) {
        let mut table = self.0.borrow_mut();
        let Some(shared) = table.get_mut(&fd) else { return };
        shared.users -= 1;
        if shared.users == 0 {
            if let Some(shared) = table.remove(&fd) {
                deregister(poller, shared.id, fd);
            }
        }
    }

    /// Makes the system report a descriptor again if it is still ready.
    pub(super) fn rearm<W>(&self, poller: &RefCell<Poller<W>>, fd: RawFd) {
        let table = self.0.borrow();
        if let Some(shared) = table.get(&fd) {
            // A descriptor that the system has removed reports nothing any more.
            let _ = rearm(poller, shared.id, fd, BOTH);
        }
    }
}
