//! Two that take turns: the cost of one yield, of one hand-over from the code that runs to the next.
//! With workers on several cores (`may`, `go`) they need not take turns, and then it is no hand-over.
//!
//! * `yield`: with so many calls around it, each of which works a little before and after. Starting the two is not in
//!   it. In async code the calls are awaits of futures inside each other, which the compiler may merge; bare
//!   coroutines are resumed in turn by a plain loop; threads pass a baton by a mutex and condition variables, since a
//!   yield of theirs is no hand-over.
//!   `tokio-wake` yields as a future may that wakes itself, which puts the task at the end of the
//!   queue; tokio's own `yield_now` lets the driver poll first.
//! * `ring`: so many that yield in turn, from their first function.
//! * `pending`: two, while so many timers are pending, which are spread over an hour that is an hour away.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use corosensei::Coroutine;
use ramie_benches::{at_depth, slots};

use crate::least_hub::{self, Current};
use crate::measure::cost;
use crate::runtimes::{CurrentThread, InLocalSet, Smol, Tokio, Workers, on_may, on_smol};
use crate::workload::{Run, Workload};

pub(crate) const YIELD: Workload = Workload {
    name: "yield",
    what: "one yield of two that take turns, so many calls deep",
    unit: "ns",
    sizes: &[0, 3, 10],
    growth: &[0, 1, 2, 3, 5, 7, 10, 14, 20],
    run: Run::Cost(&[
        ("ramie", |depth| ramie_ring(2, ramie_yield(depth))),
        ("least-hub", |depth| least_ring(2, at(depth))),
        ("corosensei", |depth| corosensei(2, depth as u32)),
        ("may", |depth| may(Workers::Cores, 2, depth as u32)),
        ("may-1", |depth| may(Workers::One, 2, depth as u32)),
        ("tokio", |depth| tokio_ring::<CurrentThread, _>(2, move || tokio_yield(depth))),
        ("tokio-local", |depth| tokio_ring::<InLocalSet, _>(2, move || tokio_yield(depth))),
        ("tokio-wake", |depth| tokio_ring::<CurrentThread, _>(2, move || tokio_wake(depth))),
        ("smol", |depth| smol_ring(2, move || smol_yield(depth))),
        ("threads", |depth| threads(2, depth as u32)),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

pub(crate) const RING: Workload = Workload {
    name: "ring",
    what: "one yield in a ring of so many",
    unit: "ns",
    sizes: &[100, 10_000, 100_000],
    growth: &[2, 10, 100, 1_000, 10_000, 100_000],
    run: Run::Cost(&[
        ("ramie", |size| ramie_ring(size, ramie_yield(0))),
        ("least-hub", |size| least_ring(size, at(0))),
        ("corosensei", |size| corosensei(size, 0)),
        ("may", |size| may(Workers::Cores, size, 0)),
        ("may-1", |size| may(Workers::One, size, 0)),
        ("tokio", |size| tokio_ring::<CurrentThread, _>(size, || tokio_yield(0))),
        ("tokio-local", |size| tokio_ring::<InLocalSet, _>(size, || tokio_yield(0))),
        ("tokio-wake", |size| tokio_ring::<CurrentThread, _>(size, || tokio_wake(0))),
        ("smol", |size| smol_ring(size, || smol_yield(0))),
        ("threads", |size| threads(size, 0)),
    ]),
    peers: &["go", "go-1", "gevent", "boost"],
};

pub(crate) const PENDING: Workload = Workload {
    name: "pending",
    what: "one yield of two that take turns, while so many timers are pending",
    unit: "ns",
    sizes: &[100_000],
    growth: &[0, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    run: Run::Cost(&[
        ("ramie", ramie_pending),
        ("least-hub", least_pending),
        ("tokio", tokio_pending::<CurrentThread>),
        ("tokio-local", tokio_pending::<InLocalSet>),
        ("smol", smol_pending),
    ]),
    peers: &["go", "go-1", "gevent"],
};

/// When the `number`th of so many pending timers is due: spread over an hour, and not while anything is measured.
pub(crate) fn spread(number: u64, count: u64) -> Duration {
    Duration::from_secs_f64(3600.0 + 3600.0 * number as f64 / count as f64)
}

fn ramie_yield(depth: u64) -> impl Fn() + Copy {
    move || {
        at_depth(depth as u32, &ramie::yield_now);
    }
}

/// The cost of one `piece` in a ring of so many greenlets; the piece yields once.
pub(crate) fn ramie_ring(size: u64, piece: impl Fn() + Copy + 'static) -> f64 {
    cost(size, |rounds| {
        let (start, left) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(size)));
        let member = |_| {
            let (start, left) = (start.clone(), left.clone());
            ramie::spawn(move || {
                // Until all have come to here.
                ramie::yield_now();
                start.set(start.get().or_else(|| Some(Instant::now())));
                for _ in 0..rounds {
                    piece();
                }
                left.set(left.get() - 1);
                (left.get() == 0).then(|| start.get().expect("the first has set it").elapsed())
            })
        };
        let members: Vec<_> = (0..size).map(member).collect();
        let took = |member: ramie::Greenlet<_>| member.get().expect("it is not killed");
        members.into_iter().filter_map(took).next().expect("one is the last")
    })
}

fn ramie_pending(count: u64) -> f64 {
    let timers: Vec<_> = (0..count).map(|number| ramie::Timeout::new(spread(number, count))).collect();
    timers.iter().for_each(ramie::Timeout::start);
    let cost = ramie_ring(2, ramie::yield_now);
    timers.iter().for_each(ramie::Timeout::close);
    cost
}

fn at(depth: u64) -> impl Fn(&Current<'_>) + Copy {
    move |current| {
        at_depth(depth as u32, &|| current.yield_now());
    }
}

/// The same on the least hub.
pub(crate) fn least_ring(size: u64, piece: impl Fn(&Current<'_>) + Copy + 'static) -> f64 {
    cost(size, |rounds| least_hub::run(move |main| least_rounds(main, size, rounds, piece)))
}

fn least_rounds(
    main: &Current<'_>,
    size: u64,
    rounds: u64,
    piece: impl Fn(&Current<'_>) + Copy + 'static,
) -> Duration {
    let (start, took) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(Duration::ZERO)));
    let member = |_| {
        let (start, took) = (start.clone(), took.clone());
        main.hub.spawn(move |current| {
            current.yield_now();
            let start: Instant = start.get().unwrap_or_else(|| {
                let now = Instant::now();
                start.set(Some(now));
                now
            });
            for _ in 0..rounds {
                piece(current);
            }
            // That of the last one stays.
            took.set(start.elapsed());
        })
    };
    let members: Vec<_> = (0..size).map(member).collect();
    members.into_iter().for_each(|member| main.join(member));
    took.get()
}

fn least_pending(count: u64) -> f64 {
    cost(2, |rounds| {
        least_hub::run(move |main| {
            let timer = |number| main.hub.start_timer(spread(number, count), main.id);
            let timers: Vec<_> = (0..count).map(timer).collect();
            let took = least_rounds(main, 2, rounds, |current| current.yield_now());
            timers.into_iter().for_each(|timer| main.hub.cancel_timer(timer));
            took
        })
    })
}

fn corosensei(size: u64, depth: u32) -> f64 {
    let mut stacks = slots::slots(size as usize);
    cost(size, |rounds| {
        let member = |stack| {
            Coroutine::<(), (), (), _>::with_stack(stack, move |yielder, ()| {
                for _ in 0..=rounds {
                    at_depth(depth, &|| yielder.suspend(()));
                }
            })
        };
        let mut members: Vec<_> = stacks.drain(..).map(member).collect();
        let mut round = || {
            for member in &mut members {
                member.resume(());
            }
        };
        round();
        let start = Instant::now();
        (0..rounds).for_each(|_| round());
        let took = start.elapsed();
        round();
        stacks.extend(members.into_iter().map(Coroutine::into_stack));
        took
    })
}

fn may(workers: Workers, size: u64, depth: u32) -> f64 {
    let ring = move |rounds| {
        let go = Arc::new(may::sync::SyncFlag::new());
        let member = |_| {
            let go = go.clone();
            may::go!(move || {
                go.wait();
                for _ in 0..rounds {
                    at_depth(depth, &may::coroutine::yield_now);
                }
            })
        };
        let members: Vec<_> = (0..size).map(member).collect();
        may::coroutine::sleep(Duration::from_millis(2));
        let start = Instant::now();
        go.fire();
        members.into_iter().for_each(|member| member.join().expect("it does not panic"));
        start.elapsed()
    };
    on_may(workers, move || cost(size, ring))
}

/// `deep!(a, b, c, => bottom)`: async functions inside each other that work as `at_depth`'s do.
macro_rules! deep {
    ($name:ident, $($rest:ident,)* => $yield:path) => {
        async fn $name(seed: u64) -> u64 {
            deep!(@below $($rest,)* => $yield);
            let before = std::hint::black_box(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
            let below = below(before).await;
            std::hint::black_box(below ^ seed).rotate_left(7)
        }
    };
    (@below $next:ident, $($rest:ident,)* => $yield:path) => {
        deep!($next, $($rest,)* => $yield);
        use $next as below;
    };
    (@below => $yield:path) => {
        async fn below(seed: u64) -> u64 {
            $yield().await;
            seed
        }
    };
}

/// An async function `$name(depth)` that yields by `$yield` inside so many others.
macro_rules! deep_yield {
    ($name:ident, $yield:path) => {
        async fn $name(depth: u64) {
            deep!(f1, => $yield);
            deep!(f2, a, => $yield);
            deep!(f3, a, b, => $yield);
            deep!(f5, a, b, c, d, => $yield);
            deep!(f7, a, b, c, d, e, f, => $yield);
            deep!(f10, a, b, c, d, e, f, g, h, i, => $yield);
            deep!(f14, a, b, c, d, e, f, g, h, i, j, k, l, m, => $yield);
            deep!(f20, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, => $yield);
            match depth {
                0 => return $yield().await,
                1 => f1(1).await,
                2 => f2(1).await,
                3 => f3(1).await,
                5 => f5(1).await,
                7 => f7(1).await,
                10 => f10(1).await,
                14 => f14(1).await,
                20 => f20(1).await,
                depth => panic!("no future is {depth} deep"),
            };
        }
    };
}

deep_yield!(tokio_yield, tokio::task::yield_now);
deep_yield!(smol_yield, smol::future::yield_now);

deep_yield!(tokio_wake, wake_self);

/// Yields by a wake of the own task.
pub(crate) async fn wake_self() {
    let mut woken = false;
    std::future::poll_fn(|context| {
        if woken {
            return Poll::Ready(());
        }
        woken = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn tokio_rounds<T: Tokio, F>(size: u64, rounds: u64, piece: impl Piece<F> + Send + 'static) -> Duration
where
    F: Future + Send + 'static,
{
    let base = Instant::now();
    let (start, left) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(size)));
    let member = |_| {
        let (start, left) = (start.clone(), left.clone());
        T::spawn(async move {
            tokio::task::yield_now().await;
            note_start(&start, base);
            for _ in 0..rounds {
                piece().await;
            }
            (left.fetch_sub(1, Ordering::Relaxed) == 1).then(|| since_start(&start, base))
        })
    };
    let members: Vec<_> = (0..size).map(member).collect();
    let mut took = None;
    for member in members {
        took = member.await.expect("it is not aborted").or(took);
    }
    took.expect("one is the last")
}

/// Something asynchronous that yields once.
pub(crate) trait Piece<F>: Fn() -> F + Copy {}

impl<F, T: Fn() -> F + Copy> Piece<F> for T {}

/// The first one's call counts.
fn note_start(start: &AtomicU64, base: Instant) {
    if start.load(Ordering::Relaxed) == 0 {
        start.store(base.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

fn since_start(start: &AtomicU64, base: Instant) -> Duration {
    base.elapsed() - Duration::from_nanos(start.load(Ordering::Relaxed))
}

/// The cost of one `piece` in a ring of so many tasks.
pub(crate) fn tokio_ring<T: Tokio, F>(size: u64, piece: impl Piece<F> + Send + 'static) -> f64
where
    F: Future + Send + 'static,
{
    cost(size, |rounds| T::block_on(tokio_rounds::<T, F>(size, rounds, piece)))
}

fn tokio_pending<T: Tokio>(count: u64) -> f64 {
    cost(2, |rounds| {
        T::block_on(async {
            let sleep = |number| Box::pin(tokio::time::sleep(spread(number, count)));
            let mut sleeps: Vec<_> = (0..count).map(sleep).collect();
            for sleep in &mut sleeps {
                start(sleep.as_mut()).await;
            }
            tokio_rounds::<T, _>(2, rounds, || tokio_yield(0)).await
        })
    })
}

/// Polls a future once, which starts a timer that is lazy.
pub(crate) async fn start(mut timer: std::pin::Pin<&mut impl Future>) {
    std::future::poll_fn(|context| {
        assert!(timer.as_mut().poll(context).is_pending(), "it is not due yet");
        Poll::Ready(())
    })
    .await;
}

async fn smol_rounds<F: Future>(
    executor: Smol,
    size: u64,
    rounds: u64,
    piece: impl Piece<F> + 'static,
) -> Duration {
    let (start, left) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(size)));
    let member = |_| {
        let (start, left) = (start.clone(), left.clone());
        executor.spawn(async move {
            smol::future::yield_now().await;
            start.set(start.get().or_else(|| Some(Instant::now())));
            for _ in 0..rounds {
                piece().await;
            }
            left.set(left.get() - 1);
            (left.get() == 0).then(|| start.get().expect("the first has set it").elapsed())
        })
    };
    let members: Vec<_> = (0..size).map(member).collect();
    let mut took = None;
    for member in members {
        took = member.await.or(took);
    }
    took.expect("one is the last")
}

/// The cost of one `piece` in a ring of so many tasks.
pub(crate) fn smol_ring<F: Future>(size: u64, piece: impl Piece<F> + 'static) -> f64 {
    cost(size, |rounds| on_smol(|executor| smol_rounds(executor, size, rounds, piece)))
}

fn smol_pending(count: u64) -> f64 {
    let timer = |number| Box::pin(smol::Timer::after(spread(number, count)));
    let mut timers: Vec<_> = (0..count).map(timer).collect();
    smol::block_on(async {
        for timer in &mut timers {
            start(timer.as_mut()).await;
        }
    });
    smol_ring(2, || smol_yield(0))
}

fn threads(size: u64, depth: u32) -> f64 {
    let size = size as usize;
    cost(size as u64, |rounds| {
        let turn = Arc::new(Mutex::new(0));
        let wakes: Arc<[Condvar]> = (0..size).map(|_| Condvar::new()).collect();
        let member = |number: usize| {
            let (turn, wakes) = (turn.clone(), wakes.clone());
            let pass = move || {
                let turn = turn.lock().expect("no thread panics");
                let mut turn =
                    wakes[number].wait_while(turn, |turn| *turn != number).expect("no thread panics");
                *turn = (number + 1) % size;
                wakes[*turn].notify_one();
            };
            let go_round = move || {
                // When the baton comes to the first again, all are there.
                pass();
                let start = Instant::now();
                for _ in 0..rounds {
                    at_depth(depth, &pass);
                }
                start.elapsed()
            };
            thread::Builder::new().spawn(go_round).expect("the system has room for a thread")
        };
        let members: Vec<_> = (0..size).map(member).collect();
        let took = members.into_iter().map(|member| member.join().expect("it does not panic"));
        // That of the first, and all have ended.
        took.reduce(|first, _| first).expect("there are members")
    })
}
