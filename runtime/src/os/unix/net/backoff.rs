//! Retries with exponential back-off, for conditions that the kernel does not report readiness for:
//! the full backlog of a listener, or the full queue of an unconnected socket.

use std::io;
use std::time::Duration;

use ramie_hub::{Limit, TimedOut, sleep};

/// The first pause between two attempts. Each pause is twice as long as the one before, up to
/// `LONGEST`.
const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(16);

/// Repeats the attempt until it succeeds or fails, or the limit is reached. The attempt is given
/// the limit, for waits of its own.
pub(super) fn retry_with_backoff<R>(
    limit: impl Into<Limit>,
    mut attempt: impl FnMut(Limit) -> io::Result<Option<R>>,
) -> io::Result<R> {
    let limit = limit.into().fixed();
    let mut pause = FIRST;
    loop {
        let left = limit.duration();
        if let Some(done) = attempt(limit)? {
            return Ok(done);
        }
        if left == Some(Duration::ZERO) {
            return Err(TimedOut.into());
        }
        sleep(left.map_or(pause, |left| left.min(pause)));
        pause = LONGEST.min(2 * pause);
    }
}
