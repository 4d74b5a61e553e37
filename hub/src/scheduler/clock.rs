//! The clock of a hub: nanoseconds since its creation.
//!
//! Every limit reads it once or twice. On Linux it is read without `Instant`, which takes four times
//! as many instructions, in the clock that `Instant` reads there.

#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "reads the monotonic clock"))]

use std::time::{Duration, Instant};

/// The greatest difference between the epochs of the two clocks, unless the thread is preempted often.
#[cfg(target_os = "linux")]
const CLOSE: Duration = Duration::from_micros(2);
/// There is only one clock.
#[cfg(not(target_os = "linux"))]
const CLOSE: Duration = Duration::ZERO;

/// The clock, with its epoch.
pub(super) struct Clock {
    epoch: Instant,
    /// The same time on the monotonic clock, or a little later.
    #[cfg(target_os = "linux")]
    start: u64,
}

impl Clock {
    #[cfg(target_os = "linux")]
    pub(super) fn new() -> Clock {
        let mut left = 10;
        loop {
            let epoch = Instant::now();
            let start = monotonic();
            left -= 1;
            if left == 0 || epoch.elapsed() < CLOSE {
                return Clock { epoch, start };
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn new() -> Clock {
        Clock { epoch: Instant::now() }
    }

    /// Returns the time.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        #[cfg(target_os = "linux")]
        return monotonic().saturating_sub(self.start);
        #[cfg(not(target_os = "linux"))]
        return nanos(self.epoch.elapsed());
    }

    /// Returns the time of an instant; 0 before the epoch. A deadline is never reached before its
    /// instant, since [`now`](Clock::now) counts from the epoch or from a little later.
    #[inline]
    pub(super) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.epoch))
    }

    /// Returns an instant at which a time has been reached. Returns `None` for one that the system
    /// cannot represent.
    pub(super) fn instant(&self, at: u64) -> Option<Instant> {
        self.epoch.checked_add(Duration::from_nanos(at))?.checked_add(CLOSE)
    }
}

/// Reads the monotonic clock.
#[cfg(target_os = "linux")]
#[inline]
fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a value of this type. The call fails for no clock that exists, and
    // this one exists since Linux 2.6; the time would stay zero.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos)
}

/// Converts a duration to nanoseconds. More than 584 years count as no limit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_the_clock_agree() {
        let clock = Clock::new();
        for _ in 0..100 {
            let (before, now, after) = (Instant::now(), clock.now(), Instant::now());
            // The epoch of the clock may be a little later than that of the instants.
            assert!(clock.at(before) <= now + 1_000_000, "{} {now}", clock.at(before));
            assert!(now <= clock.at(after), "{now} {}", clock.at(after));
        }
    }

    #[test]
    fn an_instant_before_the_epoch_is_zero() {
        let before = Instant::now();
        let clock = Clock::new();
        assert_eq!(clock.at(before), 0);
    }
}
