//! Feeding a child and reading from it, all at once.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::process::Output;
use std::time::{Duration, Instant};

use ramie_hub::scope;

use super::child::{Child, ChildHandle, ChildStdin, ChildStdout};

/// How much is read at once: what a pipe of Linux holds.
const CHUNK: usize = 1 << 16;

/// A child was killed because its time was over. Found inside the `io::Error` of kind `TimedOut` that says so.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ramie::process::{Command, TimeoutExpired};
///
/// let mut command = Command::new("sh");
/// command.args(["-c", "echo so far; exec sleep 3600"]);
/// let error = command.output_timeout(Duration::from_millis(300)).unwrap_err();
/// let expired: TimeoutExpired = error.downcast().unwrap();
/// assert_eq!(expired.stdout, b"so far\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutExpired {
    /// The limit.
    pub timeout: Duration,
    /// What the child had written to its standard output, as far as it was read.
    pub stdout: Vec<u8>,
    /// What the child had written to its standard error, as far as it was read.
    pub stderr: Vec<u8>,
}

impl fmt::Display for TimeoutExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the process was killed as it had not ended after {:?}", self.timeout)
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
    let mut output = [Vec::new(), Vec::new()];
    let [out, err] = &mut output;
    let piped = scope(|s| {
        let mut beside = Vec::new();
        match stdin {
            Some(stdin) if !input.is_empty() => beside.push(s.spawn(move || feed(&stdin, input, deadline))),
            closed => drop(closed),
        }
        if let Some(stderr) = stderr {
            beside.push(s.spawn(move || drain(&stderr, err, deadline)));
        }
        let mut result = stdout.map_or(Ok(()), |stdout| drain(&stdout, out, deadline));
        for greenlet in beside {
            if result.is_err() {
                greenlet.kill();
            } else {
                // A failure is a kill from outside, or a stack that could not be had.
                let joined = greenlet.join();
                result = joined.unwrap_or_else(|failure| Err(io::Error::other(failure.to_text())));
            }
        }
        result
    });
    let ended = piped.and_then(|()| process.handle.wait_until(deadline));
    let expired = match &ended {
        Ok(status) => status.is_none(),
        Err(error) => error.kind() == io::ErrorKind::TimedOut,
    };
    drop(ward);
    let [stdout, stderr] = output;
    match (ended, timeout) {
        (_, Some(timeout)) if expired => Err(TimeoutExpired { timeout, stdout, stderr }.into_error()),
        (Ok(Some(status)), _) => Ok(Output { status, stdout, stderr }),
        // Without a limit there is a status or an error.
        (Ok(None), _) => Err(io::ErrorKind::TimedOut.into()),
        (Err(error), _) => Err(error),
    }
}

/// Writes everything, unless the child has stopped reading.
fn feed(mut stdin: &ChildStdin, mut input: &[u8], deadline: Option<Instant>) -> io::Result<()> {
    while !input.is_empty() {
        stdin.set_write_timeout(left(deadline)?)?;
        match stdin.write(input) {
            Ok(written) => input = &input[written..],
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads everything.
fn drain(mut from: &ChildStdout, into: &mut Vec<u8>, deadline: Option<Instant>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        from.set_read_timeout(left(deadline)?)?;
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            length => into.extend_from_slice(&chunk[..length]),
        }
    }
}

/// What is left until a deadline, never nothing.
fn left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    let Some(deadline) = deadline else { return Ok(None) };
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(Some(left)),
    }
}
