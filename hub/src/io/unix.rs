//! Sources on Unix: anything with a descriptor, registered by its number.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use mio::Interest;
use mio::unix::SourceFd;

use super::{Limit, wait_for_slot};
use crate::core::{Core, IoWaiter, Watch};
use crate::current;
use crate::error::TimedOut;
use crate::poller::{Direction, SourceId};
use crate::task::Verdict;
use crate::watcher::Watcher;

/// What an [`Io`](super::Io) can hold: on Unix, anything that lends its descriptor.
pub trait Source: AsFd {}

impl<S: AsFd> Source for S {}

/// Whether a read that returns less than was asked for has taken all there was: so it is with epoll and kqueue.
pub(super) const SHORT_READ_DRAINS: bool = true;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// An [`Io`](super::Io) also asks for urgent data where the system can tell: see [`Slot::drained`].
///
/// [`Slot::drained`]: crate::poller::Slot::drained
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = BOTH.add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = BOTH;

/// Nothing is registered before somebody has to wait.
pub(super) fn register_early<S: Source>(_source: &mut S) -> io::Result<Option<SourceId>> {
    Ok(None)
}

/// Registers a source; `None` when the system cannot poll it, as with a regular file.
pub(super) fn register<S: Source>(core: &Core, source: &S) -> io::Result<Option<SourceId>> {
    register_fd(core, source.as_fd(), INTEREST)
}

fn register_fd(core: &Core, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Option<SourceId>> {
    let add = |fd: RawFd| {
        core.poller.borrow_mut().register(
            |registry, token, interest| registry.register(&mut SourceFd(&fd), token, interest),
            interest,
        )
    };
    match add(fd.as_raw_fd()) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Somebody else of this hub has registered the same descriptor, and the system takes it only once.
            let duplicate = fd.try_clone_to_owned()?;
            let id = add(duplicate.as_raw_fd())?;
            core.with_slot(id, |slot| slot.duplicate = Some(duplicate));
            Ok(Some(id))
        }
        Err(error) => Err(error),
    }
}

/// The descriptor that is registered on behalf of `fd`.
fn registered(core: &Core, id: SourceId, fd: RawFd) -> RawFd {
    let duplicate = core.with_slot(id, |slot| slot.duplicate.as_ref().map(AsRawFd::as_raw_fd));
    duplicate.flatten().unwrap_or(fd)
}

pub(super) fn deregister<S: Source>(core: &Core, id: SourceId, source: &S) {
    deregister_fd(core, id, source.as_fd().as_raw_fd());
}

fn deregister_fd(core: &Core, id: SourceId, fd: RawFd) {
    let fd = registered(core, id, fd);
    let slot = core.poller.borrow_mut().deregister(id, |registry| registry.deregister(&mut SourceFd(&fd)));
    drop(slot);
}

/// Has the system look at a registered source afresh: if it is ready already, there will be an event.
pub(super) fn rearm<S: Source>(core: &Core, id: SourceId, source: &S) -> io::Result<()> {
    rearm_fd(core, id, source.as_fd().as_raw_fd(), INTEREST)
}

fn rearm_fd(core: &Core, id: SourceId, fd: RawFd, interest: Interest) -> io::Result<()> {
    let fd = registered(core, id, fd);
    let mut poller = core.poller.borrow_mut();
    poller.registry().reregister(&mut SourceFd(&fd), id.token(), interest)?;
    if let Some(slot) = poller.slot(id) {
        slot.would_block(Direction::Read);
        slot.would_block(Direction::Write);
    }
    Ok(())
}

/// What an operation on a closed source reports.
pub(super) fn closed_error() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

/// A descriptor that is watched on behalf of several, as long as any of them waits.
struct Shared {
    id: SourceId,
    users: usize,
}

/// The descriptors that are waited for by number.
#[derive(Default)]
pub(crate) struct FdTable(RefCell<HashMap<RawFd, Shared>>);

impl FdTable {
    /// Registers a descriptor, or makes the system look at it afresh; `None` when it cannot be polled.
    fn acquire(&self, core: &Core, fd: BorrowedFd<'_>) -> io::Result<Option<SourceId>> {
        let mut table = self.0.borrow_mut();
        if let Some(shared) = table.get_mut(&fd.as_raw_fd()) {
            rearm_fd(core, shared.id, fd.as_raw_fd(), BOTH)?;
            shared.users += 1;
            return Ok(Some(shared.id));
        }
        let Some(id) = register_fd(core, fd, BOTH)? else { return Ok(None) };
        table.insert(fd.as_raw_fd(), Shared { id, users: 1 });
        Ok(Some(id))
    }

    fn release(&self, core: &Core, fd: RawFd) {
        let mut table = self.0.borrow_mut();
        let Some(shared) = table.get_mut(&fd) else { return };
        shared.users -= 1;
        if shared.users == 0 {
            if let Some(shared) = table.remove(&fd) {
                deregister_fd(core, shared.id, fd);
            }
        }
    }
}

/// Gives a descriptor's registration up when nobody waits any more.
struct Hold(RawFd);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(core) = current::try_core() {
            core.fds.release(&core, self.0);
        }
    }
}

fn wait_fd<F: AsFd + ?Sized>(fd: &F, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
    let core = current::core();
    let fd = fd.as_fd();
    let Some(id) = core.fds.acquire(&core, fd)? else {
        core.yield_now();
        return Ok(());
    };
    let _hold = Hold(fd.as_raw_fd());
    let deadline = Limit::from(timeout).deadline(&core);
    wait_for_slot(&core, id, direction, deadline)
}

/// Waits until a descriptor may be read, or reports an error or its end. Others run meanwhile.
///
/// Any number of greenlets may wait for one descriptor. A descriptor that the system cannot poll, a regular file's,
/// is always ready.
///
/// # Errors
///
/// `TimedOut` when the time is over first; what the system says when it refuses the descriptor.
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
/// use ramie_hub::wait_read;
///
/// let (left, mut right) = UnixStream::pair()?;
/// assert!(wait_read(&left, Some(Duration::from_millis(1))).is_err());
/// right.write_all(b"x")?;
/// wait_read(&left, None)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn wait_read<F: AsFd + ?Sized>(fd: &F, timeout: Option<Duration>) -> io::Result<()> {
    wait_fd(fd, Direction::Read, timeout)
}

/// Waits until a descriptor may be written, or reports an error; see [`wait_read`].
///
/// # Errors
///
/// As [`wait_read`].
pub fn wait_write<F: AsFd + ?Sized>(fd: &F, timeout: Option<Duration>) -> io::Result<()> {
    wait_fd(fd, Direction::Write, timeout)
}

/// Waits until a descriptor may be read or written; see [`wait_read`].
///
/// # Errors
///
/// As [`wait_read`].
pub fn wait_readwrite<F: AsFd + ?Sized>(fd: &F, timeout: Option<Duration>) -> io::Result<()> {
    wait_any_fd(&[(fd.as_fd(), true, true)], timeout)
}

/// Waits until one of several descriptors may be read or written, as each of them is asked for: a descriptor, whether
/// to read, whether to write. Others run meanwhile.
///
/// Says nothing about which of them it is: whoever called asks the system. A descriptor for which neither is asked is
/// not waited for.
///
/// # Errors
///
/// As [`wait_read`].
///
/// # Cancellation
///
/// A kill or a timeout leaves the descriptors as they were.
#[doc(hidden)]
pub fn wait_any_fd(fds: &[(BorrowedFd<'_>, bool, bool)], timeout: Option<Duration>) -> io::Result<()> {
    let core = current::core();
    let mut watched = Vec::with_capacity(fds.len());
    for (fd, readable, writable) in fds {
        let Some(id) = core.fds.acquire(&core, *fd)? else {
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
                places.push(super::Place::take(&core, *id, direction, IoWaiter::Greenlet(token)));
            }
        }
    }
    let _timer = super::TimerGuard::limit(&core, token, Limit::from(timeout).deadline(&core));
    match core.park(token, "waiting for descriptors") {
        Verdict::TimedOut => Err(TimedOut.into()),
        _ => Ok(()),
    }
}

/// A watcher's descriptor.
pub(crate) struct FdWatch {
    fd: Box<dyn AsFd>,
    directions: Vec<Direction>,
    held: RefCell<Option<(SourceId, Hold)>>,
    key: Cell<u64>,
}

impl FdWatch {
    pub(crate) fn start(&self, core: &Core, watch: Rc<dyn Watch>) -> io::Result<()> {
        let fd = self.fd.as_fd();
        let Some(id) = core.fds.acquire(core, fd)? else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this descriptor cannot be polled"));
        };
        *self.held.borrow_mut() = Some((id, Hold(fd.as_raw_fd())));
        self.key.set(core.new_number());
        core.with_slot(id, |slot| {
            for direction in &self.directions {
                slot.waiters[*direction as usize].push((self.key.get(), IoWaiter::Watcher(watch.clone())));
            }
        });
        Ok(())
    }

    pub(crate) fn stop(&self, core: &Core) {
        let held = self.held.borrow_mut().take();
        if let Some((id, hold)) = held {
            let removed = core.with_slot(id, |slot| {
                let key = self.key.get();
                let mut removed = Vec::new();
                for waiters in &mut slot.waiters {
                    let (out, stay) = waiters.drain(..).partition(|(other, _)| *other == key);
                    *waiters = stay;
                    removed.push(out);
                }
                removed
            });
            drop(hold);
            drop::<Option<Vec<Vec<(u64, IoWaiter)>>>>(removed);
        }
    }

    /// Makes the system report the descriptor again if it is still ready.
    pub(crate) fn rearm(&self, core: &Core) {
        let fd = self.fd.as_fd().as_raw_fd();
        let table = core.fds.0.borrow();
        if let Some(shared) = table.get(&fd) {
            // A descriptor that the system has forgotten reports nothing any more.
            let _ = rearm_fd(core, shared.id, fd, BOTH);
        }
    }
}

impl crate::hub::Hub {
    /// A watcher that is due whenever a descriptor may be read or written, as long as it may.
    ///
    /// The watcher keeps the descriptor: give it a duplicate, or something shared such as an `Rc`.
    ///
    /// # Panics
    ///
    /// When neither reading nor writing is asked for.
    pub fn io(&self, fd: impl AsFd + 'static, readable: bool, writable: bool) -> Watcher {
        assert!(readable || writable, "a descriptor is watched for reading or for writing");
        let asked = [(readable, Direction::Read), (writable, Direction::Write)];
        let directions =
            asked.into_iter().filter(|(wanted, _)| *wanted).map(|(_, direction)| direction).collect();
        Watcher::with_io(FdWatch {
            fd: Box::new(fd),
            directions,
            held: RefCell::new(None),
            key: Cell::new(0),
        })
    }
}
