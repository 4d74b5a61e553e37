//! The end of one that waits, of so many that are all ended from outside: what it holds is dropped, and its end is
//! waited for.
//!
//! ramie kills, tokio aborts, may cancels, gevent kills; smol cancels too, one after another, as `Task::cancel` waits. What
//! has a stack is unwound on it, bare coroutines when they are dropped.
//! Goroutines cannot be ended: there it is the channel of a context that all of them watch.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use corosensei::Coroutine;
use ramie_benches::slots;

use crate::measure::each;
use crate::runtimes::{CurrentThread, InLocalSet, Tokio, Workers, on_may, on_smol};
use crate::workload::{Run, Workload};

pub(crate) const KILL: Workload = Workload {
    name: "kill",
    what: "one of so many that wait is ended from outside, and its end waited for",
    unit: "ns",
    sizes: &[10_000, 100_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie),
        ("corosensei", corosensei),
        ("may", |count| may(Workers::Cores, count)),
        ("may-1", |count| may(Workers::One, count)),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
    ]),
    peers: &["go", "go-1", "gevent"],
};

/// Counts how many have begun to wait and how many of them were cleaned up.
struct Held(Rc<Cell<u64>>);

impl Held {
    fn new(count: &Rc<Cell<u64>>) -> Held {
        count.set(count.get() + 1);
        Held(count.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The same between threads.
struct Shared(Arc<AtomicU64>);

impl Shared {
    fn new(count: &Arc<AtomicU64>) -> Shared {
        count.fetch_add(1, Ordering::Relaxed);
        Shared(count.clone())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn ramie(count: u64) -> f64 {
    let held = Rc::new(Cell::new(0));
    let event = ramie::sync::Event::new();
    let park = |_| {
        let (event, held) = (event.clone(), held.clone());
        ramie::spawn(move || {
            let _held = Held::new(&held);
            event.wait();
        })
    };
    let parked: Vec<_> = (0..count).map(park).collect();
    while held.get() < count {
        ramie::yield_now();
    }
    let start = Instant::now();
    ramie::killall(&parked);
    let took = start.elapsed();
    assert_eq!(held.get(), 0);
    each(took, count)
}

fn corosensei(count: u64) -> f64 {
    let held = Rc::new(Cell::new(0));
    let park = |stack| {
        let held = held.clone();
        let mut coroutine = Coroutine::<(), (), (), _>::with_stack(stack, move |yielder, ()| {
            let _held = Held::new(&held);
            yielder.suspend(());
        });
        coroutine.resume(());
        coroutine
    };
    let parked: Vec<_> = slots::slots(count as usize).into_iter().map(park).collect();
    let start = Instant::now();
    drop(parked);
    let took = start.elapsed();
    assert_eq!(held.get(), 0);
    each(took, count)
}

fn may(workers: Workers, count: u64) -> f64 {
    on_may(workers, move || {
        let (held, flag) = (Arc::new(AtomicU64::new(0)), Arc::new(may::sync::SyncFlag::new()));
        let park = |_| {
            let (held, flag) = (held.clone(), flag.clone());
            may::go!(move || {
                let _held = Shared::new(&held);
                flag.wait();
            })
        };
        let parked: Vec<_> = (0..count).map(park).collect();
        while held.load(Ordering::Relaxed) < count {
            may::coroutine::sleep(Duration::from_millis(1));
        }
        let start = Instant::now();
        for coroutine in &parked {
            cancel(coroutine.coroutine());
        }
        for coroutine in parked {
            // It ends with may's own panic.
            drop(coroutine.join());
        }
        let took = start.elapsed();
        assert_eq!(held.load(Ordering::Relaxed), 0);
        each(took, count)
    })
}

#[expect(unsafe_code, reason = "may's cancel is unsafe")]
fn cancel(coroutine: &may::coroutine::Coroutine) {
    // SAFETY: the coroutine waits for a flag of may's, which may be left by unwinding, and holds plain counters.
    unsafe { coroutine.cancel() }
}

fn tokio<T: Tokio>(count: u64) -> f64 {
    T::block_on(async move {
        let (held, event) = (Arc::new(AtomicU64::new(0)), Arc::new(tokio::sync::Notify::new()));
        let park = |_| {
            let (held, event) = (held.clone(), event.clone());
            T::spawn(async move {
                let _held = Shared::new(&held);
                event.notified().await;
            })
        };
        let parked: Vec<_> = (0..count).map(park).collect();
        while held.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        parked.iter().for_each(tokio::task::JoinHandle::abort);
        for task in parked {
            task.await.expect_err("it was aborted");
        }
        let took = start.elapsed();
        assert_eq!(held.load(Ordering::Relaxed), 0);
        each(took, count)
    })
}

fn smol(count: u64) -> f64 {
    on_smol(async |executor| {
        let held = Rc::new(Cell::new(0));
        let (_event, waiting) = smol::channel::bounded::<()>(1);
        let park = |_| {
            let (held, waiting) = (held.clone(), waiting.clone());
            executor.spawn(async move {
                let _held = Held::new(&held);
                waiting.recv().await
            })
        };
        let parked: Vec<_> = (0..count).map(park).collect();
        while held.get() < count {
            smol::future::yield_now().await;
        }
        let start = Instant::now();
        for task in parked {
            task.cancel().await;
        }
        let took = start.elapsed();
        assert_eq!(held.get(), 0);
        each(took, count)
    })
}
