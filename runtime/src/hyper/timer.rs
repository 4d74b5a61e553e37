//! hyper's timers, by those of the hub.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::Timer;

use crate::hub::Sleep;

/// The timers of the hub, for builders of hyper: `http1::Builder::new().timer(RamieTimer)`.
///
/// A builder of hyper without a timer has no limits, not even the default ones. A timer belongs to
/// the hub of the thread that polls the connection.
///
/// # Examples
///
/// ```
/// use hyper::rt::Timer;
/// use ramie::hyper::RamieTimer;
/// use std::time::{Duration, Instant};
///
/// let begun = Instant::now();
/// ramie::block_on(RamieTimer.sleep(Duration::from_millis(2)));
/// assert!(begun.elapsed() >= Duration::from_millis(2));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RamieTimer;

impl Timer for RamieTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TimerSleep(Sleep::after(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(TimerSleep(Sleep::until(deadline)))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<TimerSleep>() {
            Some(own) => own.get_mut().0.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// A sleep of the hub, as hyper's trait.
struct TimerSleep(Sleep);

impl Future for TimerSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl hyper::rt::Sleep for TimerSleep {}
