//! Sources on Unix: any object with a descriptor, registered by its number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use mio::Interest;

use super::wait::{Hold, Place, wait_for_slot};
use crate::error::TimedOut;
use crate::reactor;
use crate::reactor::poller::{Direction, SourceId};
use crate::scheduler::current;
use crate::scheduler::{Core, IoWaiter};
use crate::task::WakeReason;
use crate::wait::guard::TimerGuard;
use crate::wait::limit::Limit;

/// The bound on the content of an [`Io`](super::Io): on Unix, any object that lends its descriptor.
pub trait Source: AsFd {}

impl<S: AsFd> Source for S {}

/// `true` if a read that returns less than requested has taken all available data, as with epoll
/// and kqueue.
pub(super) const SHORT_READ_DRAINS: bool = true;

/// The interest of an [`Io`](super::Io), which includes urgent data where the system can report it:
/// see [`Slot::drained`].
///
/// [`Slot::drained`]: crate::reactor::poller::Slot::drained
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = reactor::BOTH.add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = reactor::BOTH;

/// Registers nothing: a source is registered when a greenlet first has to wait.
pub(super) fn register_early<S: Source>(_source: &mut S) -> io::Result<Option<SourceId>> {
    Ok(None)
}

/// Registers a source. Returns `None` when the system cannot poll it, such as a regular file.
pub(super) fn register<S: Source>(core: &Core, source: &S) -> io::Result<Option<SourceId>> {
    core.reactor().register(source.as_fd(), INTEREST)
}

pub(super) fn deregister<S: Source>(core: &Core, id: SourceId, source: &S) {
    core.reactor().deregister(id, source.as_fd().as_raw_fd());
}

/// Makes the system check a registered source again: if it is ready already, there will be an
/// event.
pub(super) fn rearm<S: Source>(core: &Core, id: SourceId, source: &S) -> io::Result<()> {
    core.reactor().rearm(id, source.as_fd().as_raw_fd(), INTEREST)
}

fn wait_fd<F: AsFd + ?Sized>(fd: &F, direction: Direction, limit: Limit) -> io::Result<()> {
    let core = current::core();
    let fd = fd.as_fd();
    let Some(id) = core.reactor().acquire(fd)? else {
        core.yield_now();
        return Ok(());
    };
    let _hold = Hold(fd.as_raw_fd());
    let deadline = limit.deadline(&core);
    wait_for_slot(&core, id, direction, deadline)
}

/// Waits until a descriptor may be read, or reports an error or its end. Lets other greenlets run.
///
/// Any number of greenlets may wait for one descriptor. A descriptor that the system cannot poll,
/// such as that of a regular file or a directory, is always ready, as with `poll(2)`: other
/// greenlets run once, and the call returns.
///
/// # Errors
///
/// `TimedOut` when the time is up first; the system's error when it refuses the descriptor.
///
/// # Cancellation
///
/// A kill or a timeout leaves the descriptor as it was.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use ramie::io::wait_read;
///
/// let (left, mut right) = UnixStream::pair()?;
/// assert!(wait_read(&left, Some(Duration::from_millis(1))).is_err());
/// right.write_all(b"x")?;
/// wait_read(&left, None)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_read<F: AsFd + ?Sized>(fd: &F, limit: impl Into<Limit>) -> io::Result<()> {
    wait_fd(fd, Direction::Read, limit.into())
}

/// Waits until a descriptor may be written, or reports an error; see [`wait_read`].
///
/// # Errors
///
/// As [`wait_read`].
///
/// # Cancellation
///
/// As [`wait_read`].
pub fn wait_write<F: AsFd + ?Sized>(fd: &F, limit: impl Into<Limit>) -> io::Result<()> {
    wait_fd(fd, Direction::Write, limit.into())
}

/// Waits until a descriptor may be read or written; see [`wait_read`].
///
/// # Errors
///
/// As [`wait_read`].
///
/// # Cancellation
///
/// As [`wait_read`].
pub fn wait_readwrite<F: AsFd + ?Sized>(fd: &F, limit: impl Into<Limit>) -> io::Result<()> {
    wait_any_fd(&[(fd.as_fd(), true, true)], limit)
}

/// Waits until one of several descriptors is ready. Each entry has a descriptor, whether to wait
/// for reading, and whether to wait for writing. Lets other greenlets run.
///
/// This does not report which descriptor is ready: the caller asks the system. A descriptor with
/// neither flag is not waited for.
///
/// # Errors
///
/// As [`wait_read`].
///
/// # Cancellation
///
/// A kill or a timeout leaves the descriptors as they were.
#[doc(hidden)]
pub fn wait_any_fd(fds: &[(BorrowedFd<'_>, bool, bool)], limit: impl Into<Limit>) -> io::Result<()> {
    let core = current::core();
    let mut watched = Vec::with_capacity(fds.len());
    for (fd, readable, writable) in fds.iter().filter(|(_, readable, writable)| *readable || *writable) {
        let Some(id) = core.reactor().acquire(*fd)? else {
            core.yield_now();
            return Ok(());
        };
        watched.push((id, Hold(fd.as_raw_fd()), *readable, *writable));
    }
    let token = core.token();
    let mut places = Vec::with_capacity(2 * fds.len());
    for (id, _, readable, writable) in &watched {
        for (wanted, direction) in [(*readable, Direction::Read), (*writable, Direction::Write)] {
            if wanted {
                places.push(Place::take(&core, *id, direction, IoWaiter::Greenlet(token)));
            }
        }
    }
    let _timer = TimerGuard::limit(&core, token, limit.into().deadline(&core));
    match core.park(token, "waiting for descriptors") {
        WakeReason::TimedOut => Err(TimedOut.into()),
        _ => Ok(()),
    }
}
