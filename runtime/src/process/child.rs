//! Children that run.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::process::{self, ExitStatus, Output};
use std::rc::Rc;
use std::time::Instant;

use ramie_hub::{Limit, LinkId, Waitable, get_hub};
use rustix::process::{Pid, Signal, kill_process};

use super::communicate::communicate;
use super::{exit, orphans};
use crate::io::handle::Handle;
use crate::io::{PipeReader, PipeWriter};

/// What is written to a child's standard input: the writing end of a pipe.
pub type ChildStdin = PipeWriter;
/// What a child writes to its standard output: the reading end of a pipe.
pub type ChildStdout = PipeReader;
/// What a child writes to its standard error: the reading end of a pipe.
pub type ChildStderr = PipeReader;

/// A child process, with the ends of its pipes: `std::process::Child`'s counterpart. Made by
/// [`Command::spawn`](super::Command::spawn).
///
/// It dereferences to its [`ChildHandle`], of which other greenlets may have clones: to kill what this one waits for.
///
/// Dropped, the child runs on, unless it was started with [`kill_on_drop`](super::Command::kill_on_drop); the
/// [module's page](super#what-becomes-of-a-child) says more.
///
/// # Examples
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use ramie::process::{Command, Stdio};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
/// writeln!(child.stdin.as_ref().unwrap(), "are you there?")?;
/// assert_eq!(lines.next().unwrap()?, "are you there?");
/// assert!(child.wait()?.success()); // closes its input, at the end of which it ends
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// The child's standard input, if that is a pipe. Dropping it is the end of the input.
    pub stdin: Option<ChildStdin>,
    /// The child's standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The child's standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    pub(super) process: Owned,
}

impl Child {
    /// Takes over a child of std's.
    pub(super) fn new(mut std: process::Child, kill_on_drop: bool) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (std.stdin.take(), std.stdout.take(), std.stderr.take());
        let pid = Pid::from_child(&std);
        let exit = exit::notice(&mut std).and_then(Handle::new);
        let exit = match exit {
            Ok(exit) => exit,
            Err(error) => {
                // Nobody will ever hear of it.
                let _ = std.kill();
                orphans::adopt(std);
                return Err(error);
            }
        };
        let handle = ChildHandle(Rc::new(Process { pid, std: RefCell::new(Some(std)), exit }));
        // From here on a failure kills it.
        let process = Owned { handle, kill_on_drop: true };
        let child = Child {
            stdin: stdin.map(|end| PipeWriter::try_from(OwnedFd::from(end))).transpose()?,
            stdout: stdout.map(|end| PipeReader::try_from(OwnedFd::from(end))).transpose()?,
            stderr: stderr.map(|end| PipeReader::try_from(OwnedFd::from(end))).transpose()?,
            process,
        };
        Ok(child.kill_on_drop(kill_on_drop))
    }

    fn kill_on_drop(mut self, kill_on_drop: bool) -> Self {
        self.process.kill_on_drop = kill_on_drop;
        self
    }

    /// The handle, which may be cloned.
    pub fn handle(&self) -> &ChildHandle {
        self
    }

    /// Closes the child's standard input, and waits until it has ended. Returns at once, and the same, if it has.
    ///
    /// # Errors
    ///
    /// The system's own.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the child running, without its input.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.process.handle.wait()
    }

    /// Closes the child's standard input, reads what it writes, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// The system's own; the child is killed then.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout kills and reaps the child first. What was read is lost.
    pub fn wait_with_output(self) -> io::Result<Output> {
        communicate(self, &[], None)
    }

    /// Writes `input` to the child, closes its input, reads what it writes meanwhile, and waits until it has ended: gevent's
    /// `communicate`.
    ///
    /// However much there is in whichever direction, nobody waits for the other. A child that does not read all of its
    /// input, or none, is no error. Of the output there is what goes into a pipe: see
    /// [`Stdio::piped`](super::Stdio::piped).
    ///
    /// # Errors
    ///
    /// `InvalidInput` when there is something to write, and no pipe to write it to; the system's own. The child is
    /// killed then.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout kills and reaps the child first. What was read is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use ramie::process::{Command, Stdio};
    ///
    /// let sort = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(sort.communicate("b\na\n")?.stdout, b"a\nb\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn communicate(self, input: impl AsRef<[u8]>) -> io::Result<Output> {
        communicate(self, input.as_ref(), None)
    }

    /// [`communicate`](Child::communicate) with a limit for all of it, at which the child is killed and reaped.
    ///
    /// # Errors
    ///
    /// As [`communicate`](Child::communicate), and `TimedOut`, with a [`TimeoutExpired`](super::TimeoutExpired) that
    /// has what was read.
    ///
    /// # Cancellation
    ///
    /// As [`communicate`](Child::communicate).
    pub fn communicate_timeout(
        self,
        input: impl AsRef<[u8]>,
        timeout: impl Into<Limit>,
    ) -> io::Result<Output> {
        communicate(self, input.as_ref(), timeout.into().duration())
    }
}

/// Takes over a child that std has started; its pipes are put into non-blocking mode on this side.
impl TryFrom<process::Child> for Child {
    type Error = io::Error;

    fn try_from(std: process::Child) -> io::Result<Self> {
        Child::new(std, false)
    }
}

impl Deref for Child {
    type Target = ChildHandle;

    fn deref(&self) -> &ChildHandle {
        &self.process.handle
    }
}

/// A child and what its end of life is to be.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) handle: ChildHandle,
    pub(super) kill_on_drop: bool,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.kill_on_drop {
            let _ = self.handle.kill();
        }
    }
}

/// A child process without its pipes, for whoever has to kill it or to wait for it. Made by [`Child::handle`].
///
/// A clone is a handle of the same child. Like the child it belongs to one thread. It is ready, as something to
/// [`wait`](fn@crate::wait) for, when the child has ended.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::process::Command;
///
/// let mut child = Command::new("sleep").arg("3600").spawn()?;
/// let handle = child.handle().clone();
/// ramie::spawn_later(Duration::from_millis(10), move || handle.kill());
/// assert!(!child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChildHandle(Rc<Process>);

impl ChildHandle {
    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.0.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills the child, by `SIGKILL`. For one that has ended nothing happens. Does not let others run, nor wait for the end.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Asks the child to end, by `SIGTERM`. See [`send_signal`](ChildHandle::send_signal).
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends the child one of the [signals](crate::signal) that have a name. For one that has ended nothing happens.
    /// Does not let others run.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no such signal; the system's own.
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        let known = Signal::from_named_raw(signal);
        self.signal(known.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such signal"))?)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        // As long as it has not been reaped, its number is nobody else's.
        match self.try_wait()? {
            Some(_) => Ok(()),
            None => Ok(kill_process(self.0.pid, signal)?),
        }
    }

    /// How the child has ended; `None` if it has not. Does not let others run.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.0.std.borrow_mut().as_mut().map_or(Ok(None), process::Child::try_wait)
    }

    /// Waits until the child has ended. Any number of greenlets may.
    ///
    /// # Errors
    ///
    /// The system's own.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the child running.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_until(None)? {
                return Ok(status);
            }
        }
    }

    /// Waits at most that long for the end of the child, and leaves its pipes alone; `None` when the time is over, and
    /// the child runs on.
    ///
    /// # Errors
    ///
    /// The system's own.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the child running.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ramie::process::Command;
    ///
    /// let child = Command::new("sleep").arg("3600").spawn()?;
    /// if child.wait_timeout(Duration::from_millis(10))?.is_none() {
    ///     child.terminate()?;
    /// }
    /// assert!(!child.handle().wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: impl Into<Limit>) -> io::Result<Option<ExitStatus>> {
        self.wait_until(timeout.into().instant())
    }

    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> io::Result<Option<ExitStatus>> {
        self.0.exit.ask_until(deadline, || self.try_wait())
    }

    /// Kills the child and waits for its end, if it has not ended. In a callback of the hub, where nothing can wait, it
    /// only kills.
    pub(super) fn put_down(&self) {
        if let Ok(None) = self.try_wait() {
            let killed = self.kill();
            if killed.is_ok() && !get_hub().in_callback() {
                let _ = self.wait();
            }
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.try_wait(), Ok(None))
    }
}

impl Waitable for ChildHandle {
    fn is_ready(&self) -> bool {
        !self.is_running()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        self.0.exit.link_ready(|| !self.is_running(), f)
    }

    fn unlink(&self, id: LinkId) {
        self.0.exit.io().unlink_readable(id);
    }
}

impl Waitable for Child {
    fn is_ready(&self) -> bool {
        self.handle().is_ready()
    }

    fn rawlink(&self, f: Box<dyn FnOnce()>) -> LinkId {
        Waitable::rawlink(self.handle(), f)
    }

    fn unlink(&self, id: LinkId) {
        self.handle().unlink(id);
    }
}

/// A process that only its handles know.
struct Process {
    pid: Pid,
    /// `None` only when it is dropped.
    std: RefCell<Option<process::Child>>,
    exit: Handle<OwnedFd>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.std.take() {
            if let Ok(None) = child.try_wait() {
                orphans::adopt(child);
            }
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Process").field(&self.pid).finish()
    }
}
