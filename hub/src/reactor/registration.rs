//! Registers descriptors with the poller.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use mio::Interest;
use mio::unix::SourceFd;

use super::poller::{Direction, Poller, SourceId};

pub(crate) const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Registers a descriptor. Returns `None` when the system cannot poll it, such as the descriptor of
/// a regular file.
pub(super) fn register<W>(
    poller: &RefCell<Poller<W>>,
    fd: BorrowedFd<'_>,
    interest: Interest,
) -> io::Result<Option<SourceId>> {
    let add = |fd: RawFd| {
        poller.borrow_mut().register(
            |registry, token, interest| registry.register(&mut SourceFd(&fd), token, interest),
            interest,
        )
    };
    match add(fd.as_raw_fd()) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // This hub has already registered the same descriptor, and the system accepts it only
            // once.
            let duplicate = fd.try_clone_to_owned()?;
            let id = add(duplicate.as_raw_fd())?;
            if let Some(slot) = poller.borrow_mut().slot(id) {
                slot.set_duplicate(duplicate);
            }
            Ok(Some(id))
        }
        Err(error) => Err(error),
    }
}

/// Returns the descriptor that is registered on behalf of `fd`.
pub(super) fn registered<W>(poller: &RefCell<Poller<W>>, id: SourceId, fd: RawFd) -> RawFd {
    let mut poller = poller.borrow_mut();
    poller.slot(id).and_then(|slot| slot.duplicate()).unwrap_or(fd)
}

/// Removes a descriptor that was registered on behalf of `fd`.
pub(super) fn deregister<W>(poller: &RefCell<Poller<W>>, id: SourceId, fd: RawFd) {
    let fd = registered(poller, id, fd);
    let slot = poller.borrow_mut().deregister(id, |registry| registry.deregister(&mut SourceFd(&fd)));
    drop(slot);
}

/// Makes the system check a registered descriptor again: if it is ready already, there will be an
/// event.
pub(super) fn rearm<W>(
    poller: &RefCell<Poller<W>>,
    id: SourceId,
    fd: RawFd,
    interest: Interest,
) -> io::Result<()> {
    let fd = registered(poller, id, fd);
    let mut poller = poller.borrow_mut();
    poller.registry()?.reregister(&mut SourceFd(&fd), id.token(), interest)?;
    if let Some(slot) = poller.slot(id) {
        slot.would_block(Direction::Read);
        slot.would_block(Direction::Write);
    }
    Ok(())
}
