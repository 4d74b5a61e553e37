//! Waiting for the first of many descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use ramie_hub::{Limit, sleep, wait_any_fd, yield_now};
use rustix::event::{PollFlags, Timespec};

/// A descriptor in a [`poll`]: what is waited for, and what the last poll has found.
#[derive(Clone, Debug)]
pub struct PollFd<'fd> {
    fd: BorrowedFd<'fd>,
    wanted: PollFlags,
    found: PollFlags,
}

impl<'fd> PollFd<'fd> {
    /// Waits until it can be read.
    pub fn readable<F: AsFd + ?Sized>(fd: &'fd F) -> Self {
        Self::new(fd, PollFlags::IN)
    }

    /// Waits until it can be written.
    pub fn writable<F: AsFd + ?Sized>(fd: &'fd F) -> Self {
        Self::new(fd, PollFlags::OUT)
    }

    /// Waits until it can be read or written.
    pub fn both<F: AsFd + ?Sized>(fd: &'fd F) -> Self {
        Self::new(fd, PollFlags::IN | PollFlags::OUT)
    }

    fn new<F: AsFd + ?Sized>(fd: &'fd F, wanted: PollFlags) -> Self {
        PollFd { fd: fd.as_fd(), wanted, found: PollFlags::empty() }
    }

    /// Whether anything was found.
    pub fn is_ready(&self) -> bool {
        !self.found.is_empty()
    }

    /// Whether it was asked for reading and a read would not wait: there is something, or the end, or an error.
    pub fn is_readable(&self) -> bool {
        self.wanted.contains(PollFlags::IN) && self.found.intersects(PollFlags::IN | BROKEN)
    }

    /// Whether it was asked for writing and a write would not wait: there is room, or an error.
    pub fn is_writable(&self) -> bool {
        self.wanted.contains(PollFlags::OUT) && self.found.intersects(PollFlags::OUT | BROKEN)
    }

    /// Whether the other side is gone.
    pub fn is_hangup(&self) -> bool {
        self.found.contains(PollFlags::HUP)
    }

    /// Whether there is an error, also that the descriptor is none that can be asked.
    pub fn is_error(&self) -> bool {
        self.found.intersects(PollFlags::ERR | PollFlags::NVAL)
    }
}

/// What is reported without having been asked for.
const BROKEN: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

impl AsFd for PollFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

/// Waits until one of the descriptors is ready, and says how many are; 0 when the time is over. Others run meanwhile.
///
/// The counterpart of `poll(2)` and of gevent's `select`: each [`PollFd`] says afterwards what was found. Descriptors that are
/// ready already, and a timeout of zero, still let others run once. Without descriptors it is a sleep. Regular files are always
/// ready. Urgent data is not looked for.
///
/// For sockets and pipes of this crate among other things that can be waited for, there are [`wait`](fn@crate::wait) and
/// [`select!`](crate::select!).
///
/// # Errors
///
/// The system's own.
///
/// # Cancellation
///
/// A kill or a timeout leaves the descriptors as they were.
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
    let timeout = limit.into().duration();
    let found = ask(fds)?;
    if found > 0 || timeout == Some(Duration::ZERO) {
        yield_now();
        return Ok(found);
    }
    if fds.is_empty() {
        sleep(timeout.unwrap_or(Duration::MAX));
        return Ok(0);
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let wanted =
        fds.iter().map(|fd| (fd.fd, fd.wanted.contains(PollFlags::IN), fd.wanted.contains(PollFlags::OUT)));
    let wanted = wanted.collect::<Vec<_>>();
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let over = match wait_any_fd(&wanted, left) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => true,
            other => other.map(|()| false)?,
        };
        // Somebody else may have taken what was there.
        let found = ask(fds)?;
        if found > 0 || over {
            return Ok(found);
        }
    }
}

/// Asks the system what is ready now.
fn ask(fds: &mut [PollFd<'_>]) -> io::Result<usize> {
    let mut asked = Vec::with_capacity(fds.len());
    asked.extend(fds.iter().map(|fd| rustix::event::PollFd::from_borrowed_fd(fd.fd, fd.wanted)));
    let found = rustix::io::retry_on_intr(|| rustix::event::poll(&mut asked, Some(&Timespec::default())))?;
    for (fd, asked) in fds.iter_mut().zip(&asked) {
        fd.found = asked.revents();
    }
    Ok(found)
}
