//! Evidence that other greenlets run while one waits in a call of another crate.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ramie::{Greenlet, block_on, block_on_timeout, sleep, spawn, with_timeout};
use tokio::runtime::Builder;

use crate::util::within;

/// The time after which a test of this package hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const TICKS: u32 = 10;

/// Runs a test of a crate that needs tokio twice, within its limit: with tokio's reactor on the
/// shared thread, and with tokio on the thread of the greenlets.
#[track_caller]
pub(crate) fn within_both_reactors(test: impl Fn() + Send + Clone + 'static) {
    within(LIMIT, test.clone());
    within(LIMIT, move || on_this_thread(test));
}

/// Runs a test with a runtime of tokio on this thread.
pub(crate) fn on_this_thread(test: impl Fn()) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    ramie::tokio::run(&runtime, test);
}

/// Runs `wait` in a greenlet that only `release` can end, and `release` in another one after
/// several waits. Returns the value of `wait`.
///
/// If `wait` blocked the thread, `release` would never run, and the test would hang.
///
/// # Panics
///
/// If `wait` is over before `release` runs.
#[track_caller]
pub(crate) fn while_others_run<T: 'static>(
    wait: impl FnOnce() -> T + 'static,
    release: impl FnOnce() + 'static,
) -> T {
    let ticks = Rc::new(Cell::new(0));
    let seen = ticks.clone();
    let waiter = spawn(move || {
        let value = wait();
        assert_eq!(seen.get(), TICKS, "the wait is over before its release");
        value
    });
    let releaser = spawn(move || {
        for _ in 0..TICKS {
            sleep(Duration::from_millis(1));
            ticks.set(ticks.get() + 1);
        }
        release();
    });
    releaser.get().unwrap();
    waiter.take().unwrap()
}

/// Runs a body in each of several greenlets at once, and returns their values in order.
#[track_caller]
pub(crate) fn in_greenlets<T: 'static, F: FnOnce() -> T + 'static>(
    count: usize,
    body: impl Fn(usize) -> F,
) -> Vec<T> {
    let greenlets = (0..count).map(|number| spawn(body(number))).collect::<Vec<_>>();
    greenlets.into_iter().map(|greenlet| greenlet.take().unwrap()).collect()
}

/// A sequence of numbers that looks random, by an xorshift.
#[derive(Clone)]
struct Random(Rc<Cell<u64>>);

impl Random {
    fn new() -> Self {
        Random(Rc::new(Cell::new(0x9e37_79b9_7f4a_7c15)))
    }

    fn below(&self, bound: u64) -> u64 {
        let mut state = self.0.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.0.set(state);
        state % bound
    }

    /// Returns a limit that is over before, while or after a call of the loopback is answered.
    fn limit(&self) -> Duration {
        Duration::from_micros(self.below(4000))
    }
}

const CALLERS: usize = 20;
const KILLS: usize = 200;

/// Keeps greenlets that run a body each, and kills them at random. A body that has returned is
/// over: returns when all are.
#[track_caller]
fn kill_at_random(random: &Random, body: impl Fn() + Clone + 'static) {
    let check = |caller: &Greenlet<()>| {
        let failure = caller.exception().filter(|failure| !failure.is_exit());
        assert!(failure.is_none(), "a caller fails: {failure:?}");
    };
    let mut callers = (0..CALLERS).map(|_| spawn(body.clone())).collect::<Vec<_>>();
    for _ in 0..KILLS {
        sleep(Duration::from_micros(500));
        let caller = &mut callers[random.below(CALLERS as u64) as usize];
        caller.kill();
        check(caller);
        *caller = spawn(body.clone());
    }
    for caller in callers {
        caller.join();
        check(&caller);
    }
}

/// Runs a call, which checks its answer, again and again in several greenlets, and cuts it at
/// random by timeouts and kills.
///
/// # Panics
///
/// With the panic of a call.
#[track_caller]
pub(crate) fn cut_calls_at_random(call: impl Fn(usize) + Clone + 'static) {
    let random = Random::new();
    let next = Rc::new(Cell::new(0));
    let (limits, cut) = (random.clone(), Rc::new(Cell::new(0)));
    let cuts = cut.clone();
    kill_at_random(&random, move || {
        for _ in 0..10 {
            let number = next.replace(next.get() + 1);
            if with_timeout(limits.limit(), || call(number)).is_err() {
                cuts.set(cuts.get() + 1);
            }
        }
    });
    assert!(cut.get() > 0, "no call was cut");
}

/// Receives numbers in several greenlets until there are no more, and cuts their waits at random by
/// timeouts and kills. Returns the sum of the numbers that were received.
#[track_caller]
pub(crate) fn receive_with_random_cuts<F>(receive: impl Fn() -> F + Clone + 'static) -> u64
where
    F: Future<Output = Option<u64>>,
{
    let random = Random::new();
    let sum = Rc::new(Cell::new(0));
    let (limits, received) = (random.clone(), sum.clone());
    kill_at_random(&random, move || {
        // The number counts before the next wait of the greenlet.
        let count = |number: Option<u64>| {
            received.set(received.get() + number.unwrap_or_default());
            number.is_some()
        };
        loop {
            let more = match limits.below(3) {
                0 => count(block_on(receive())),
                1 => block_on_timeout(receive(), limits.limit()).map_or(true, count),
                _ => with_timeout(limits.limit(), || count(block_on(receive()))).unwrap_or(true),
            };
            if !more {
                break;
            }
        }
    });
    sum.get()
}
