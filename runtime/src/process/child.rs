//! Running child processes.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::process::{self, ExitStatus, Output};
use std::rc::Rc;

use ramie_hub::{Limit, LinkId, Waitable, get_hub};
use rustix::process::{Pid, Signal, kill_process};

use super::communicate::communicate;
use super::{exit, orphans};
use crate::io::handle::Handle;
use crate::io::{PipeReader, PipeWriter};

/// The standard input of a child: the writing end of a pipe.
pub type ChildStdin = PipeWriter;
/// The standard output of a child: the reading end of a pipe.
pub type ChildStdout = PipeReader;
/// The standard error of a child: the reading end of a pipe.
pub type ChildStderr = PipeReader;

/// A child process with the ends of its pipes: the counterpart of `std::process::Child`. Returned
/// by [`Command::spawn`](super::Command::spawn).
///
/// A child dereferences to its [`ChildHandle`]. Other greenlets may have clones of the handle, for
/// example to kill a child that this one waits for.
///
/// When it is dropped, the child continues to run, unless it was started with
/// [`kill_on_drop`](super::Command::kill_on_drop); see [the module](super#what-becomes-of-a-child).
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
/// assert!(child.wait()?.success()); // closes the child's input, which makes it exit
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// The standard input of the child, if it is a pipe. A drop closes it.
    pub stdin: Option<ChildStdin>,
    /// The standard output of the child, if it is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The standard error of the child, if it is a pipe.
    pub stderr: Option<ChildStderr>,
    pub(super) process: Owned,
}

impl Child {
    /// Converts a child of std.
    pub(super) fn new(mut std: process::Child, kill_on_drop: bool) -> io::Result<Self> {
        let (stdin, stdout, stderr) = (std.stdin.take(), std.stdout.take(), std.stderr.take());
        let pid = Pid::from_child(&std);
        let exit = exit::notice(&mut std).and_then(Handle::new);
        let exit = match exit {
            Ok(exit) => exit,
            Err(error) => {
                // No caller can get a handle of this child any more.
                let _ = std.kill();
                orphans::adopt(std);
                return Err(error);
            }
        };
        let handle = ChildHandle(Rc::new(Process { pid, std: RefCell::new(Some(std)), exit }));
        // From here on an error kills the child.
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

    /// Returns the handle, which can be cloned.
    pub fn handle(&self) -> &ChildHandle {
        self
    }

    /// Closes the standard input of the child, and waits until it has exited. Returns the same
    /// status at once if it has exited already.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the child running, without its input.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.process.handle.wait()
    }

    /// Closes the standard input of the child, reads its output, and waits until it has exited.
    ///
    /// # Errors
    ///
    /// Returns the error of the system. The child is killed then.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout first kills and reaps the child. The output that was read is lost.
    pub fn wait_with_output(self) -> io::Result<Output> {
        communicate(self, &[], Limit::Never)
    }

    /// Writes `input` to the child, closes its input, reads its output at the same time, and waits
    /// until it has exited: gevent's `communicate`.
    ///
    /// The call cannot deadlock, however much data there is in either direction. A child that does
    /// not read all of its input is no error. The output contains only the streams that are pipes:
    /// see [`Stdio::piped`](super::Stdio::piped).
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if there is input and no pipe to write it to, or the error of the
    /// system. The child is killed then.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout first kills and reaps the child. The output that was read is lost.
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
        communicate(self, input.as_ref(), Limit::Never)
    }

    /// Runs [`communicate`](Child::communicate) with a timeout for all of it. After the timeout the
    /// child is killed and reaped.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`communicate`](Child::communicate), and `TimedOut` with a
    /// [`TimeoutExpired`](super::TimeoutExpired) that contains the output that was read.
    ///
    /// # Cancellation
    ///
    /// Same as for [`communicate`](Child::communicate).
    pub fn communicate_timeout(
        self,
        input: impl AsRef<[u8]>,
        timeout: impl Into<Limit>,
    ) -> io::Result<Output> {
        communicate(self, input.as_ref(), timeout.into())
    }
}

/// Converts a child that std has started. Its pipes are put into non-blocking mode on this side.
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

/// A child, and the choice whether a drop kills it.
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

/// A child process without its pipes, to kill it or wait for it. Returned by [`Child::handle`].
///
/// Clones are handles of the same child. Like the child, a handle belongs to one thread. As an
/// object to [`wait`](fn@crate::wait) for, it is ready when the child has exited.
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
    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.0.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills the child by `SIGKILL`. Does nothing if it has exited. Does not wait for the exit, and
    /// does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Asks the child to exit by `SIGTERM`. See [`send_signal`](ChildHandle::send_signal).
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sends one of the named [signals](crate::signal) to the child. Does nothing if it has exited.
    /// Does not let other greenlets run.
    ///
    /// # Errors
    ///
    /// Returns `InvalidInput` if there is no such signal, or the error of the system.
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        let known = Signal::from_named_raw(signal);
        self.signal(known.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such signal"))?)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        // The process id is not reused before the child has been reaped.
        match self.try_wait()? {
            Some(_) => Ok(()),
            None => Ok(kill_process(self.0.pid, signal)?),
        }
    }

    /// Returns the exit status of the child, or `None` if it is running. Does not let other
    /// greenlets run.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        self.0.std.borrow_mut().as_mut().map_or(Ok(None), process::Child::try_wait)
    }

    /// Waits until the child has exited. Any number of greenlets may wait.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    ///
    /// # Cancellation
    ///
    /// A kill or a timeout leaves the child running.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_timeout(None)? {
                return Ok(status);
            }
        }
    }

    /// Waits at most `timeout` until the child has exited, and leaves its pipes open. Returns
    /// `None` after the timeout; the child continues to run.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
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
        self.0.exit.ask_until(timeout, || self.try_wait())
    }

    /// Kills the child if it has not exited, and waits for it. Only kills in a callback of the hub,
    /// where nothing can wait.
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

/// A process that is known only by its handles.
struct Process {
    pid: Pid,
    /// `None` only while it is dropped.
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
