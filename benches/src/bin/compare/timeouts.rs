//! A limit on something that needs no time: its timer is started, which reads the clock, and cancelled, while so many
//! others are pending, spread over an hour that is an hour away.
//!
//! The limits of tokio and smol are lazy: a future that is ready at once never starts its timer. So there a timer is
//! polled once and dropped, which is what a limit costs when it is needed. Go is asked for a timer and to stop it;
//! its usual `context.WithTimeout` does more.

use std::hint::black_box;
use std::pin::pin;
use std::time::{Duration, Instant};

use crate::measure::cost;
use crate::runtimes::{CurrentThread, InLocalSet, Tokio};
use crate::workload::{Run, Workload};
use crate::yields::{spread, start};

pub(crate) const TIMEOUT: Workload = Workload {
    name: "timeout",
    what: "a limit that is started and cancelled, while so many others are pending",
    unit: "ns",
    sizes: &[0, 100_000],
    growth: &[0, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    run: Run::Cost(&[
        ("ramie", ramie),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
    ]),
    peers: &["go", "go-1", "gevent"],
};

const LONG: Duration = Duration::from_secs(10);

fn ramie(pending: u64) -> f64 {
    let others: Vec<_> = (0..pending).map(|number| ramie::Timeout::new(spread(number, pending))).collect();
    others.iter().for_each(ramie::Timeout::start);
    let cost = cost(1, |times| {
        let start = Instant::now();
        for _ in 0..times {
            black_box(ramie::with_timeout(black_box(LONG), || black_box(5)).expect("it is long"));
        }
        start.elapsed()
    });
    others.iter().for_each(ramie::Timeout::close);
    cost
}

fn tokio<T: Tokio>(pending: u64) -> f64 {
    cost(1, |times| {
        T::block_on(async move {
            let sleep = |number| Box::pin(tokio::time::sleep(spread(number, pending)));
            let mut others: Vec<_> = (0..pending).map(sleep).collect();
            for other in &mut others {
                start(other.as_mut()).await;
            }
            let begin = Instant::now();
            for _ in 0..times {
                start(pin!(tokio::time::sleep(black_box(LONG)))).await;
            }
            begin.elapsed()
        })
    })
}

fn smol(pending: u64) -> f64 {
    cost(1, |times| {
        smol::block_on(async {
            let timer = |number| Box::pin(smol::Timer::after(spread(number, pending)));
            let mut others: Vec<_> = (0..pending).map(timer).collect();
            for other in &mut others {
                start(other.as_mut()).await;
            }
            let begin = Instant::now();
            for _ in 0..times {
                start(pin!(smol::Timer::after(black_box(LONG)))).await;
            }
            begin.elapsed()
        })
    })
}
