//! Retries with exponential back-off, for conditions that the kernel does not report readiness for:
//! the full backlog of a listener, or the full queue of an unconnected socket.

use std::io;
use std::time::{Duration, Instant};

use ramie_hub::{TimedOut, sleep};

/// The first pause between two attempts. Each pause is twice as long as the one before, up to
/// `LONGEST`.
const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(16);

/// Repeats the attempt until it succeeds or fails, or the limit is reached.
pub(super) fn retry_with_backoff<R>(
    timeout: Option<Duration>,
    mut attempt: impl FnMut(Option<Duration>) -> io::Result<Option<R>>,
) -> io::Result<R> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut pause = FIRST;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if let Some(done) = attempt(left)? {
            return Ok(done);
        }
        if left == Some(Duration::ZERO) {
            return Err(TimedOut.into());
        }
        sleep(left.map_or(pause, |left| left.min(pause)));
        pause = LONGEST.min(2 * pause);
    }
}
