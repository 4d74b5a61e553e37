//! Waits for a registered source, and the guards held during a wait.

use std::io;
#[cfg(unix)]
use std::os::fd::RawFd;

use crate::error::TimedOut;
use crate::reactor::poller::{Direction, SourceId};
use crate::scheduler::current;
use crate::scheduler::{Core, IoWaiter};
use crate::task::WakeReason;
use crate::wait::guard::TimerGuard;

/// A registration among the waiters of a slot, removed when the wait is over.
pub(super) struct Place {
    id: SourceId,
    direction: Direction,
    key: u64,
}

impl Place {
    pub(super) fn take(core: &Core, id: SourceId, direction: Direction, waiter: IoWaiter) -> Self {
        let key = core.new_number();
        core.with_slot(id, |slot| slot.add_waiter(direction, key, waiter));
        core.add_refs(1);
        Place { id, direction, key }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(core) = current::try_core() {
            core.with_slot(self.id, |slot| slot.remove_waiter(self.direction, self.key));
            core.add_refs(-1);
        }
    }
}

/// Waits until a slot is ready in this direction.
pub(super) fn wait_for_slot(
    core: &Core,
    id: SourceId,
    direction: Direction,
    deadline: Option<u64>,
) -> io::Result<()> {
    if core.with_slot(id, |slot| slot.ready(direction)) == Some(true) {
        return Ok(());
    }
    let token = core.token();
    let place = Place::take(core, id, direction, IoWaiter::Greenlet(token));
    let timer = TimerGuard::limit(core, token, deadline);
    match core.park_with(
        (timer, place),
        token,
        if direction == Direction::Read { "reading" } else { "writing" },
    ) {
        WakeReason::Woken => Ok(()),
        WakeReason::TimedOut => Err(TimedOut.into()),
        WakeReason::Closed => Err(closed_error()),
    }
}

/// A guard that removes the registration of a descriptor after its last user.
#[cfg(unix)]
pub(super) struct Hold(pub(super) RawFd);

#[cfg(unix)]
impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(core) = current::try_core() {
            core.reactor().release(self.0);
        }
    }
}

/// Returns the error of an operation on a closed source.
#[cfg(unix)]
pub(super) fn closed_error() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

/// Returns the error of an operation on a closed source.
#[cfg(not(unix))]
pub(super) fn closed_error() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "closed in another greenlet")
}
