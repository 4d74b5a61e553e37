//! Writing to a child and reading from it at the same time.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::process::{ExitStatus, Output};
use std::time::Duration;

use ramie_hub::{Limit, TimedOut, wait_any_fd, yield_now};
use rustix::io::Errno;

use super::child::{Child, ChildHandle, ChildStdin, ChildStdout};

/// The size of one read: the capacity of a pipe on Linux.
const CHUNK: usize = 1 << 16;

/// The error of a child that did not finish before a timeout. Either the child was killed, or it
/// has exited and a process that it left behind keeps its output open. Contained in the `io::Error`
/// of kind `TimedOut`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::process::{Command, TimeoutExpired};
///
/// let mut command = Command::new("sh");
/// command.args(["-c", "echo so far; exec sleep 3600"]);
/// let error = command.output_timeout(Duration::from_secs(1)).unwrap_err();
/// let expired: TimeoutExpired = error.downcast().unwrap();
/// assert_eq!(expired.stdout, b"so far\n");
/// assert_eq!(expired.status, None, "it was killed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutExpired {
    /// The timeout.
    pub timeout: Duration,
    /// The status of a child that exited by itself, or `None` if it was killed.
    pub status: Option<ExitStatus>,
    /// The standard output of the child, as far as it was read.
    pub stdout: Vec<u8>,
    /// The standard error of the child, as far as it was read.
    pub stderr: Vec<u8>,
}

impl fmt::Display for TimeoutExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = self.timeout;
        match self.status {
            None => write!(f, "the process was killed because it did not exit within {timeout:?}"),
            Some(status) => {
                write!(f, "the process exited ({status}), but its pipes were not closed within {timeout:?}")
            }
        }
    }
}

impl Error for TimeoutExpired {}

impl TimeoutExpired {
    pub(super) fn into_error(self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, self)
    }
}

/// Kills and reaps a child that has not exited when the call that owns it ends, for whatever
/// reason.
pub(super) struct KillOnDrop<'a>(pub(super) &'a ChildHandle);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.put_down();
    }
}

pub(super) fn communicate(child: Child, input: &[u8], limit: Limit) -> io::Result<Output> {
    let Child { stdin, stdout, stderr, process } = child;
    let ward = KillOnDrop(&process.handle);
    if stdin.is_none() && !input.is_empty() {
        let what = "the standard input of the process must be a pipe to write input to it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let timeout = limit.duration();
    let limit = limit.fixed();
    let mut pipes = Pipes {
        // Without input the pipe is closed now.
        stdin: stdin.filter(|_| !input.is_empty()),
        input,
        outputs: [stdout, stderr],
        read: [Vec::new(), Vec::new()],
    };
    let piped = pipes.pump(limit);
    let [stdout, stderr] = pipes.read;
    drop((pipes.stdin, pipes.outputs));
    let ended = piped.and_then(|()| process.handle.wait_timeout(limit));
    let expired = match &ended {
        Ok(status) => status.is_none(),
        Err(error) => error.kind() == io::ErrorKind::TimedOut,
    };
    // The child may have exited by itself, while a process that it left behind keeps the pipes
    // open.
    let status = if expired { process.handle.try_wait()? } else { None };
    drop(ward);
    match (ended, timeout) {
        (_, Some(timeout)) if expired => Err(TimeoutExpired { timeout, status, stdout, stderr }.into_error()),
        (Ok(Some(status)), _) => Ok(Output { status, stdout, stderr }),
        // Without a limit the result is a status or an error.
        (Ok(None), _) => Err(io::ErrorKind::TimedOut.into()),
        (Err(error), _) => Err(error),
    }
}

/// The pipes of a child that have not ended.
struct Pipes<'a> {
    stdin: Option<ChildStdin>,
    input: &'a [u8],
    outputs: [Option<ChildStdout>; 2],
    read: [Vec<u8>; 2],
}

impl Pipes<'_> {
    /// Moves data in all directions until all pipes have ended.
    ///
    /// One greenlet does this, without the waits of the pipes themselves: an exception raised in it
    /// ends all directions at once.
    fn pump(&mut self, limit: Limit) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let mut moved = self.feed()?;
            for (from, into) in self.outputs.iter_mut().zip(&mut self.read) {
                moved |= drain(from, &mut chunk, into)?;
            }
            let [stdout, stderr] = &self.outputs;
            let outputs = [stdout, stderr].into_iter().flatten().map(|end| (end.as_fd(), true, false));
            let ends =
                outputs.chain(self.stdin.iter().map(|end| (end.as_fd(), false, true))).collect::<Vec<_>>();
            if ends.is_empty() {
                return Ok(());
            }
            // A child that writes without pause must neither outlast the limit nor keep the thread
            // busy.
            if limit.duration() == Some(Duration::ZERO) {
                return Err(TimedOut.into());
            }
            if moved { yield_now() } else { wait_any_fd(&ends, limit)? }
        }
    }

    /// Writes input, unless the child has stopped reading. Returns `true` if it should be called
    /// again at once.
    fn feed(&mut self) -> io::Result<bool> {
        let Some(stdin) = &self.stdin else { return Ok(false) };
        match rustix::io::write(stdin, self.input) {
            Ok(written) => self.input = &self.input[written..],
            Err(Errno::PIPE) => self.input = &[],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
        Ok(true)
    }
}

/// Reads available output. Returns `true` if it should be called again at once.
fn drain(from: &mut Option<ChildStdout>, chunk: &mut [u8], into: &mut Vec<u8>) -> io::Result<bool> {
    let Some(end) = from else { return Ok(false) };
    match rustix::io::read(end, &mut *chunk) {
        Ok(0) => *from = None,
        Ok(length) => into.extend_from_slice(&chunk[..length]),
        Err(Errno::INTR) => {}
        Err(Errno::AGAIN) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}
