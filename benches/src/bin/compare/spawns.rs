//! One that is made, runs an empty body, ends, and is waited for; by so many that are made before the first is waited
//! for.
//!
//! What the first use of a stack costs is not in it, since stacks are used again. Bare coroutines
//! run when they are resumed, on stacks that are there; they have no result and are not waited for.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use corosensei::Coroutine;
use ramie_benches::slots;

use crate::least_hub;
use crate::measure::cost;
use crate::runtimes::{CurrentThread, InLocalSet, Tokio, Workers, on_may, on_smol};
use crate::workload::{Run, Workload};

pub(crate) const SPAWN: Workload = Workload {
    name: "spawn",
    what: "spawn and join of an empty body, by so many",
    unit: "ns",
    sizes: &[1, 1_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie),
        ("least-hub", least),
        ("corosensei", corosensei),
        ("may", |by| may(Workers::Cores, by)),
        ("may-1", |by| may(Workers::One, by)),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
        ("threads", threads),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

fn body() {
    black_box(());
}

fn timed(batches: u64, mut batch: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..batches).for_each(|_| batch());
    start.elapsed()
}

fn ramie(by: u64) -> f64 {
    let mut made = Vec::with_capacity(by as usize);
    cost(by, |batches| {
        timed(batches, || {
            made.extend((0..by).map(|_| ramie::spawn(body)));
            made.drain(..).for_each(|greenlet| greenlet.join());
        })
    })
}

fn least(by: u64) -> f64 {
    cost(by, |batches| {
        least_hub::run(move |main| {
            let mut made = Vec::with_capacity(by as usize);
            timed(batches, || {
                made.extend((0..by).map(|_| main.hub.spawn(|_| body())));
                made.drain(..).for_each(|task| main.join(task));
            })
        })
    })
}

fn corosensei(by: u64) -> f64 {
    let mut stacks = slots::slots(by as usize);
    let mut made = Vec::with_capacity(by as usize);
    cost(by, |batches| {
        timed(batches, || {
            let make = |stack| Coroutine::<(), (), (), _>::with_stack(stack, |_, ()| body());
            made.extend(stacks.drain(..).map(make));
            stacks.extend(made.drain(..).map(|mut coroutine: Coroutine<_, _, _, _>| {
                coroutine.resume(()).as_return().expect("it does not suspend");
                coroutine.into_stack()
            }));
        })
    })
}

fn may(workers: Workers, by: u64) -> f64 {
    on_may(workers, move || {
        let mut made = Vec::with_capacity(by as usize);
        cost(by, |batches| {
            timed(batches, || {
                made.extend((0..by).map(|_| may::go!(body)));
                made.drain(..).for_each(|coroutine| coroutine.join().expect("it does not panic"));
            })
        })
    })
}

fn tokio<T: Tokio>(by: u64) -> f64 {
    let mut made = Vec::with_capacity(by as usize);
    cost(by, |batches| {
        T::block_on(async {
            let start = Instant::now();
            for _ in 0..batches {
                made.extend((0..by).map(|_| T::spawn(async { body() })));
                for task in made.drain(..) {
                    task.await.expect("it does not panic");
                }
            }
            start.elapsed()
        })
    })
}

fn smol(by: u64) -> f64 {
    let mut made = Vec::with_capacity(by as usize);
    cost(by, |batches| {
        on_smol(async |executor| {
            let start = Instant::now();
            for _ in 0..batches {
                made.extend((0..by).map(|_| executor.spawn(async { body() })));
                for task in made.drain(..) {
                    task.await;
                }
            }
            start.elapsed()
        })
    })
}

fn threads(by: u64) -> f64 {
    let mut made = Vec::with_capacity(by as usize);
    cost(by, |batches| {
        timed(batches, || {
            made.extend((0..by).map(|_| thread::spawn(body)));
            made.drain(..).for_each(|thread| thread.join().expect("it does not panic"));
        })
    })
}
