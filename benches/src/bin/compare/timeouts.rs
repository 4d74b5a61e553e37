//! Limits that are not reached.
//!
//! * `timeout`: a limit on something that needs no time: its timer is started, which reads the clock,
//!   and cancelled, while so many others are pending, spread over an hour that is an hour away.
//! * `timeout-yield`: a limit that is started and cancelled around a yield, by two that take turns.
//!
//! The limits of tokio and smol are lazy: a future that is ready at once never starts its timer. So
//! in `timeout` a timer is polled once there and dropped, which is what a limit costs when it is
//! needed. Around a yield they have their usual form: tokio's `timeout`, and smol's timer raced
//! against the future. Go is asked for a timer and to stop it; its usual `context.WithTimeout` does
//! more. may and Boost.Fiber have no limit around code.

use std::hint::black_box;
use std::pin::pin;
use std::time::{Duration, Instant};

use crate::least_hub::{self, Current};
use crate::measure::cost;
use crate::runtimes::{CurrentThread, InLocalSet, Tokio};
use crate::workload::{Run, Workload};
use crate::yields::{least_ring, ramie_ring, smol_ring, spread, start, tokio_ring, wake_self};

pub(crate) const TIMEOUT: Workload = Workload {
    name: "timeout",
    what: "a limit that is started and cancelled, while so many others are pending",
    unit: "ns",
    sizes: &[0, 100_000],
    growth: &[0, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    run: Run::Cost(&[
        ("ramie", ramie),
        ("least-hub", least),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
    ]),
    peers: &["go", "go-1", "gevent"],
};

pub(crate) const TIMEOUT_YIELD: Workload = Workload {
    name: "timeout-yield",
    what: "a limit that is started and cancelled around a yield, by two that take turns",
    unit: "ns",
    sizes: &[0],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", |_| ramie_ring(2, || ramie::with_timeout(LONG, ramie::yield_now).expect("it is long"))),
        ("least-hub", |_| least_ring(2, least_limit)),
        ("tokio", |_| tokio_ring::<CurrentThread, _>(2, tokio_limit)),
        ("tokio-local", |_| tokio_ring::<InLocalSet, _>(2, tokio_limit)),
        ("tokio-wake", |_| tokio_ring::<CurrentThread, _>(2, tokio_limit_wake)),
        ("smol", |_| smol_ring(2, smol_limit)),
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

fn least(pending: u64) -> f64 {
    cost(1, |times| {
        least_hub::run(move |main| {
            let timer = |number| main.hub.start_timer(spread(number, pending), main.id);
            let others: Vec<_> = (0..pending).map(timer).collect();
            let start = Instant::now();
            for _ in 0..times {
                let timer = main.hub.start_timer(black_box(LONG), main.id);
                black_box(5);
                main.hub.cancel_timer(timer);
            }
            let took = start.elapsed();
            others.into_iter().for_each(|timer| main.hub.cancel_timer(timer));
            took
        })
    })
}

fn least_limit(current: &Current<'_>) {
    let timer = current.hub.start_timer(LONG, current.id);
    current.yield_now();
    current.hub.cancel_timer(timer);
}

async fn tokio_limit() {
    tokio::time::timeout(LONG, tokio::task::yield_now()).await.expect("it is long");
}

async fn tokio_limit_wake() {
    tokio::time::timeout(LONG, wake_self()).await.expect("it is long");
}

async fn smol_limit() {
    let late = async {
        smol::Timer::after(LONG).await;
        panic!("it is long");
    };
    smol::future::or(smol::future::yield_now(), late).await;
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
