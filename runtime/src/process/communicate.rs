//! Feeding a child and reading from it, all at once.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::process::{ExitStatus, Output};
use std::time::{Duration, Instant};

use ramie_hub::{wait_any_fd, yield_now};
use rustix::io::Errno;

use super::child::{Child, ChildHandle, ChildStdin, ChildStdout};

/// How much is read at once: what a pipe of Linux holds.
const CHUNK: usize = 1 << 16;

/// The time for a child was over: it was killed, or had ended, and something that it has left keeps its output open. Found inside the
/// `io::Error` of kind `TimedOut` that says so.
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
    /// The limit.
    pub timeout: Duration,
    /// How the child had ended by itself; `None` if it had not, and was killed.
    pub status: Option<ExitStatus>,
    /// What the child had written to its standard output, as far as it was read.
    pub stdout: Vec<u8>,
    /// What the child had written to its standard error, as far as it was read.
    pub stderr: Vec<u8>,
}

impl fmt::Display for TimeoutExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = self.timeout;
        match self.status {
            None => write!(f, "the process was killed as it had not ended after {timeout:?}"),
            Some(status) => {
                write!(f, "the process has ended ({status}), but its pipes had not after {timeout:?}")
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

/// Kills and reaps a child that has not ended by the end of the call that owns it, however that comes.
pub(super) struct Ward<'a>(pub(super) &'a ChildHandle);

impl Drop for Ward<'_> {
    fn drop(&mut self) {
        self.0.put_down();
    }
}

pub(super) fn communicate(child: Child, input: &[u8], timeout: Option<Duration>) -> io::Result<Output> {
    let Child { stdin, stdout, stderr, process } = child;
    let ward = Ward(&process.handle);
    if stdin.is_none() && !input.is_empty() {
        let what = "there is input, and the standard input of the process is no pipe";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut pipes = Pipes {
        // Without input its end is now.
        stdin: stdin.filter(|_| !input.is_empty()),
        input,
        outputs: [stdout, stderr],
        read: [Vec::new(), Vec::new()],
    };
    let piped = pipes.pump(deadline);
    let [stdout, stderr] = pipes.read;
    drop((pipes.stdin, pipes.outputs));
    let ended = piped.and_then(|()| process.handle.wait_until(deadline));
    let expired = match &ended {
        Ok(status) => status.is_none(),
        Err(error) => error.kind() == io::ErrorKind::TimedOut,
    };
    // It may have ended by itself, and only something that it has left keeps the pipes open.
    let status = if expired { process.handle.try_wait()? } else { None };
    drop(ward);
    match (ended, timeout) {
        (_, Some(timeout)) if expired => Err(TimeoutExpired { timeout, status, stdout, stderr }.into_error()),
        (Ok(Some(status)), _) => Ok(Output { status, stdout, stderr }),
        // Without a limit there is a status or an error.
        (Ok(None), _) => Err(io::ErrorKind::TimedOut.into()),
        (Err(error), _) => Err(error),
    }
}

/// The pipes of a child, those that have not ended.
struct Pipes<'a> {
    stdin: Option<ChildStdin>,
    input: &'a [u8],
    outputs: [Option<ChildStdout>; 2],
    read: [Vec<u8>; 2],
}

impl Pipes<'_> {
    /// Moves what there is, whatever way, until all pipes have ended.
    ///
    /// One greenlet does it, past the pipes' own waits: so whatever is raised in it ends everything at once.
    fn pump(&mut self, deadline: Option<Instant>) -> io::Result<()> {
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
            let left = left(deadline)?;
            // A child that is never silent does not keep the thread.
            if moved { yield_now() } else { wait_any_fd(&ends, left)? }
        }
    }

    /// Writes what goes in, unless the child has stopped reading. Says whether to try again at once.
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

/// Reads what is there. Says whether to try again at once.
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

/// What is left until a deadline, never nothing.
fn left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else { return Ok(None) };
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(Some(left)),
    }
}
