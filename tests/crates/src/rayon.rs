//! rayon: its pool works on borrowed data, by `ramie::blocking`, while the greenlet waits.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use ramie::pool::blocking_owned;
use ramie::{ThreadPool, blocking, spawn, with_timeout, yield_now};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::util::within;
use crate::witness::{LIMIT, in_greenlets, while_others_run};

const GREENLETS: usize = 20;
const NUMBERS: u64 = 10_000;

#[test]
fn greenlets_use_its_pool_at_once() {
    within(LIMIT, || {
        let sums = in_greenlets(GREENLETS, |_| {
            || {
                let mut numbers = (0..NUMBERS).rev().collect::<Vec<_>>();
                // It borrows from this frame.
                blocking(|| numbers.par_sort_unstable());
                assert!(numbers.is_sorted());
                blocking(|| numbers.par_iter().map(|number| number * 2).sum::<u64>())
            }
        });
        assert_eq!(sums, [NUMBERS * (NUMBERS - 1); GREENLETS]);
    });
}

#[test]
fn others_run_during_a_computation() {
    within(LIMIT, || {
        let (release, released) = mpsc::channel();
        let sum = while_others_run(
            move || {
                blocking(move || {
                    rayon::scope(move |_| released.recv().unwrap());
                    (0..NUMBERS).into_par_iter().sum::<u64>()
                })
            },
            move || release.send(()).unwrap(),
        );
        assert_eq!(sum, NUMBERS * (NUMBERS - 1) / 2);
    });
}

/// A pool of few threads bounds the number of computations.
#[test]
fn a_pool_of_threads_bounds_the_computations() {
    within(LIMIT, || {
        let pool = ThreadPool::new(2);
        let results = (0..NUMBERS).step_by(1000).map(|start| {
            pool.spawn(move || (start..start + 1000).into_par_iter().filter(|number| number % 3 == 0).count())
        });
        let results = results.collect::<Vec<_>>();
        let count = results.iter().map(|result| result.get().unwrap()).sum::<usize>();
        assert_eq!(count, (0..NUMBERS).filter(|number| number % 3 == 0).count());
    });
}

/// A computation that has begun, and ends when `release` is dropped.
struct Computation {
    release: Sender<()>,
    begun: Receiver<()>,
    sum: Receiver<u64>,
}

/// Returns work for a thread, and the other ends of its channels.
fn computation() -> (impl FnOnce() + Send + 'static, Computation) {
    let (release, released) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let (send, sum) = mpsc::channel();
    let work = move || {
        // The other ends may be gone.
        let _ = begin.send(());
        rayon::scope(move |_| released.recv().unwrap_err());
        let _ = send.send((0..NUMBERS).into_par_iter().sum::<u64>());
    };
    (work, Computation { release, begun, sum })
}

/// `blocking_owned` is left at once, and the computation continues by itself.
#[test]
fn a_timeout_and_a_kill_leave_a_computation() {
    within(LIMIT, || {
        let (work, _computation) = computation();
        assert!(with_timeout(Duration::from_millis(5), || blocking_owned(work)).is_err());

        let (work, Computation { release, begun, sum }) = computation();
        let worker = spawn(move || blocking_owned(work));
        blocking(move || begun.recv().unwrap());
        worker.kill();
        assert!(worker.dead());
        drop(release);
        assert_eq!(blocking(move || sum.recv().unwrap()), NUMBERS * (NUMBERS - 1) / 2);
    });
}

/// `blocking` borrows from its caller, so a kill is raised when the computation has ended.
#[test]
fn a_kill_waits_for_a_computation_that_borrows() {
    within(LIMIT, || {
        let (work, Computation { release, begun, sum }) = computation();
        let worker = spawn(move || blocking(work));
        blocking(move || begun.recv().unwrap());
        worker.kill_nowait();
        yield_now();
        assert!(!worker.dead(), "the computation uses its frame");
        drop(release);
        worker.join();
        assert!(worker.get().unwrap_err().is_exit());
        assert_eq!(sum.recv(), Ok(NUMBERS * (NUMBERS - 1) / 2));
    });
}
