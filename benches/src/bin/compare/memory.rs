//! What one that waits for an event takes: the growth of the process's resident memory and of its page tables, with
//! the handle that its maker keeps.
//!
//! What the kernel keeps for itself is not in it, which flatters threads: a record and a stack of 16 KiB each.
//! Each contender has the stack that it gives by default, of which the resident memory has the pages touched.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use corosensei::Coroutine;
use ramie_benches::slots;

use crate::runtimes::{CurrentThread, InLocalSet, Tokio, Workers, on_may, on_smol};
use crate::workload::{Run, Workload};

pub(crate) const MEMORY: Workload = Workload {
    name: "memory",
    what: "one that waits, of so many: resident memory and page tables",
    unit: "bytes",
    sizes: &[10_000, 100_000, 1_000_000],
    growth: &[],
    run: Run::Cost(&[
        ("ramie", ramie),
        ("corosensei", corosensei),
        ("may", may),
        ("tokio", tokio::<CurrentThread>),
        ("tokio-local", tokio::<InLocalSet>),
        ("smol", smol),
        ("threads", threads),
    ]),
    peers: &["go", "gevent", "boost"],
};

/// Bytes of memory that are this process's.
fn used() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this system tells what a process uses");
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
        let kibibytes = line.split_whitespace().next().expect("it has a number");
        kibibytes.parse::<u64>().expect("it is a number") * 1024
    };
    bytes("VmRSS:") + bytes("VmPTE:")
}

fn each(before: u64, count: u64) -> f64 {
    used().saturating_sub(before) as f64 / count as f64
}

fn ramie(count: u64) -> f64 {
    let event = ramie::sync::Event::new();
    let park = |_| {
        let event = event.clone();
        ramie::spawn(move || event.wait())
    };
    drop(park(0));
    ramie::yield_now();
    let before = used();
    let _parked: Vec<_> = (0..count).map(park).collect();
    ramie::yield_now();
    each(before, count)
}

fn corosensei(count: u64) -> f64 {
    let before = used();
    let park = |stack| {
        let mut coroutine = Coroutine::<(), (), (), _>::with_stack(stack, |yielder, ()| yielder.suspend(()));
        coroutine.resume(());
        coroutine
    };
    let _parked: Vec<_> = slots::slots(count as usize).into_iter().map(park).collect();
    each(before, count)
}

fn may(count: u64) -> f64 {
    on_may(Workers::Cores, move || {
        let (flag, waiting) = (Arc::new(may::sync::SyncFlag::new()), Arc::new(AtomicU64::new(0)));
        let park = |_| {
            let (flag, waiting) = (flag.clone(), waiting.clone());
            may::go!(move || {
                waiting.fetch_add(1, Ordering::Relaxed);
                flag.wait();
            })
        };
        drop(park(0));
        may::coroutine::sleep(Duration::from_millis(10));
        let before = used();
        let _parked: Vec<_> = (0..count).map(park).collect();
        while waiting.load(Ordering::Relaxed) <= count {
            may::coroutine::sleep(Duration::from_millis(10));
        }
        each(before, count)
    })
}

fn tokio<T: Tokio>(count: u64) -> f64 {
    T::block_on(async move {
        let event = Arc::new(tokio::sync::Notify::new());
        let park = |_| {
            let event = event.clone();
            T::spawn(async move { event.notified().await })
        };
        let before = used();
        let _parked: Vec<_> = (0..count).map(park).collect();
        settle(tokio::task::yield_now).await;
        each(before, count)
    })
}

fn smol(count: u64) -> f64 {
    on_smol(async |executor| {
        let (_event, waiting) = smol::channel::bounded::<()>(1);
        let park = |_| {
            let waiting = waiting.clone();
            executor.spawn(async move { waiting.recv().await })
        };
        let before = used();
        let _parked: Vec<_> = (0..count).map(park).collect();
        settle(smol::future::yield_now).await;
        each(before, count)
    })
}

/// Yields until everything that was spawned has run: an executor may serve the one that spawns more often.
async fn settle<F: Future>(yield_now: impl Fn() -> F) {
    let mut before = 0;
    while used() > before {
        before = used();
        for _ in 0..20_000 {
            yield_now().await;
        }
    }
}

fn threads(count: u64) -> f64 {
    let event = Arc::new((Mutex::new(0), Condvar::new()));
    let park = |_| {
        let event = event.clone();
        let wait = move || {
            let mut waiting = event.0.lock().expect("no thread panics");
            *waiting += 1;
            // It ends with the process.
            drop(event.1.wait_while(waiting, |_| true));
        };
        thread::Builder::new().spawn(wait).expect("the system has room for a thread")
    };
    let before = used();
    let _parked: Vec<_> = (0..count).map(park).collect();
    while *event.0.lock().expect("no thread panics") < count {
        thread::sleep(Duration::from_millis(1));
    }
    each(before, count)
}
