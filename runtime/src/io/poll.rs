//! Waiting for the first of several descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ramie_hub::{Limit, sleep, wait_any_fd, yield_now};
use rustix::event::{PollFlags, Timespec};

/// A descriptor in a [`poll`], with the requested events and the results of the last poll.
#[derive(Clone, Debug)]
pub struct PollFd<'fd> {
    fd: BorrowedFd<'fd>,
    wanted: PollFlags,
    found: PollFlags,
}

impl<'fd> PollFd<'fd> {
    /// Requests readability.
    pub fn readable<F: AsFd + ?Sized>(fd: &'fd F) -> Self {
        Self::new(fd, PollFlags::IN)
    }

    /// Requests writability.
    pub fn writable<F: AsFd + ?Sized>(fd: &'fd F) -> Self {
        Self::new(fd, PollFlags::OUT)
    }

    /// Requests readability and writability.
    pub fn both<F: AsFd + ?Sized>(fd: &'fd F) -> Self {
        Self::new(fd, PollFlags::IN | PollFlags::OUT)
    }

    fn new<F: AsFd + ?Sized>(fd: &'fd F, wanted: PollFlags) -> Self {
        PollFd { fd: fd.as_fd(), wanted, found: PollFlags::empty() }
    }

    /// Returns `true` if the last poll reported any event.
    pub fn is_ready(&self) -> bool {
        !self.found.is_empty()
    }

    /// Returns `true` if readability was requested and a read would not wait: there is data, the
    /// end of the stream, or an error.
    pub fn is_readable(&self) -> bool {
        self.wanted.contains(PollFlags::IN) && self.found.intersects(PollFlags::IN | BROKEN)
    }

    /// Returns `true` if writability was requested and a write would not wait: there is room, or an
    /// error.
    pub fn is_writable(&self) -> bool {
        self.wanted.contains(PollFlags::OUT) && self.found.intersects(PollFlags::OUT | BROKEN)
    }

    /// Returns `true` if the peer is gone.
    pub fn is_hangup(&self) -> bool {
        self.found.contains(PollFlags::HUP)
    }

    /// Returns `true` if there is an error, or if the descriptor cannot be polled.
    pub fn is_error(&self) -> bool {
        self.found.intersects(PollFlags::ERR | PollFlags::NVAL)
    }
}

/// The events that are reported without being requested.
const BROKEN: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

impl AsFd for PollFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

/// Waits until one of the descriptors is ready. Returns the number of ready descriptors, or 0 after
/// the timeout. Lets other greenlets run.
///
/// The counterpart of `poll(2)` and of gevent's `select`: the results are stored in each
/// [`PollFd`]. It lets other greenlets run once even if descriptors are already ready or the
/// timeout is zero. Without descriptors it is a sleep. Regular files are always ready. Urgent data
/// is not polled for.
///
/// To wait for sockets and pipes of this crate together with other waitable objects, use
/// [`wait`](fn@crate::wait) or [`select!`](crate::select!).
///
/// # Errors
///
/// Returns the error of the system.
///
/// # Cancellation
///
/// A kill or a timeout does not affect the descriptors.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
/// use ramie::io::{PollFd, poll};
///
/// let (one, _other_of_one) = UnixStream::pair()?;
/// let (two, mut other_of_two) = UnixStream::pair()?;
/// let mut fds = [PollFd::readable(&one), PollFd::readable(&two)];
/// assert_eq!(poll(&mut fds, Some(Duration::from_millis(1)))?, 0);
/// other_of_two.write_all(b"x")?;
/// assert_eq!(poll(&mut fds, None)?, 1);
/// assert_eq!(fds.map(|fd| fd.is_readable()), [false, true]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn poll(fds: &mut [PollFd<'_>], limit: impl Into<Limit>) -> io::Result<usize> {
    let limit = limit.into().fixed();
    let found = ask(fds)?;
    if found > 0 || limit.duration() == Some(Duration::ZERO) {
        yield_now();
        return Ok(found);
    }
    if fds.is_empty() {
        sleep(limit.duration().unwrap_or(Duration::MAX));
        return Ok(0);
    }
    let wanted =
        fds.iter().map(|fd| (fd.fd, fd.wanted.contains(PollFlags::IN), fd.wanted.contains(PollFlags::OUT)));
    let wanted = wanted.collect::<Vec<_>>();
    loop {
        let over = match wait_any_fd(&wanted, limit) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => true,
            other => other.map(|()| false)?,
        };
        // Another reader may have taken the data that was available.
        let found = ask(fds)?;
        if found > 0 || over {
            return Ok(found);
        }
    }
}

/// Polls the system without waiting.
fn ask(fds: &mut [PollFd<'_>]) -> io::Result<usize> {
    let mut asked = Vec::with_capacity(fds.len());
    asked.extend(fds.iter().map(|fd| rustix::event::PollFd::from_borrowed_fd(fd.fd, fd.wanted)));
    let found = rustix::io::retry_on_intr(|| rustix::event::poll(&mut asked, Some(&Timespec::default())))?;
    for (fd, asked) in fds.iter_mut().zip(&asked) {
        fd.found = asked.revents();
    }
    Ok(found)
}
