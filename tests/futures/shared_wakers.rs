//! Wakers whose functions panic, wait, or use the primitive that calls them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use ramie::shared::{Event, Semaphore, channel};
use ramie::{run, sleep, spawn, yield_now};

use crate::util::executor::{Wakes, poll, poll_once};
use crate::util::participants::LIMIT;
use crate::util::within;

/// A waker that runs a function.
struct Run<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Run<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(f: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Run(f)))
}

#[test]
fn a_waker_that_panics_keeps_no_other_waiter_from_its_wake() {
    within(LIMIT, || {
        let event = Event::new();
        let (mut bad, mut good) = (event.wait_async(), event.wait_async());
        assert!(poll(&mut bad, &waker(|| panic!("the waker panics on purpose"))).is_pending());
        let greenlet = spawn({
            let event = event.clone();
            move || event.wait()
        });
        yield_now();
        let (wakes, counts) = Wakes::new();
        assert!(poll(&mut good, &counts).is_pending());
        event.set();
        greenlet.join();
        assert_eq!(wakes.count(), 1);
        assert_eq!((poll_once(&mut bad), poll_once(&mut good)), (Poll::Ready(()), Poll::Ready(())));
    });
}

#[test]
fn a_waker_that_panics_does_not_stop_an_unwinding() {
    within(LIMIT, || {
        let semaphore = Semaphore::new(1);
        let holder = spawn({
            let semaphore = semaphore.clone();
            move || {
                let _permit = semaphore.permit();
                sleep(LIMIT);
            }
        });
        yield_now();
        let mut future = semaphore.acquire_async();
        assert!(poll(&mut future, &waker(|| panic!("the waker panics on purpose"))).is_pending());
        holder.kill();
        assert!(poll_once(&mut future).is_ready());
    });
}

#[test]
fn a_waker_may_not_wait() {
    within(LIMIT, || {
        let event = Event::new();
        let mut future = event.wait_async();
        let after = Arc::new(AtomicBool::new(false));
        let slept = after.clone();
        let sleeps = waker(move || {
            sleep(Duration::from_millis(1));
            slept.store(true, Ordering::SeqCst);
        });
        assert!(poll(&mut future, &sleeps).is_pending());
        spawn(move || event.set()).join();
        assert!(poll_once(&mut future).is_ready());
        assert!(!after.load(Ordering::SeqCst), "the wait was refused");
    });
}

#[test]
fn a_waker_may_drop_the_last_handle() {
    within(LIMIT, || {
        let (sender, receiver) = channel::bounded::<u8>(1);
        let kept = Arc::new(Mutex::new(Some(receiver.clone())));
        let mut future = receiver.recv_async();
        let drops = waker(move || drop(kept.lock().unwrap().take()));
        assert!(poll(&mut future, &drops).is_pending());
        drop(drops);
        sender.send(3).expect("the receiver lives");
        assert_eq!(poll_once(&mut future), Poll::Ready(Ok(3)));
        drop(future);
        drop(receiver);
        assert!(sender.send(4).is_err());
    });
}

#[test]
fn a_waker_may_use_the_primitive_when_it_is_woken_and_when_it_is_dropped() {
    /// Locks the queue of the primitive when it is dropped.
    struct Uses(Semaphore);

    impl Drop for Uses {
        fn drop(&mut self) {
            self.0.try_acquire();
        }
    }

    within(LIMIT, || {
        let semaphore = Semaphore::new(0);
        let uses = || {
            let uses = Uses(semaphore.clone());
            waker(move || {
                uses.0.release();
            })
        };
        let mut future = semaphore.acquire_async();
        // Replaced: dropped by the second poll.
        assert!(poll(&mut future, &uses()).is_pending());
        assert!(poll(&mut future, &uses()).is_pending());
        // Woken: releases a second permit and, when dropped, takes it.
        semaphore.release();
        assert!(poll_once(&mut future).is_ready());
        let left = semaphore.counter();
        // Dropped with the future.
        let mut future = semaphore.acquire_async();
        while poll(&mut future, &uses()).is_ready() {
            future = semaphore.acquire_async();
        }
        drop(future);
        assert!(left <= 1);
        assert_eq!(semaphore.linkcount(), 0);
    });
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken() {
    let event = Event::new();
    let mut future = event.wait_async();
    let ((first, one), (second, other)) = (Wakes::new(), Wakes::new());
    assert!(poll(&mut future, &one).is_pending());
    assert!(poll(&mut future, &other).is_pending());
    event.set();
    assert_eq!((first.count(), second.count()), (0, 1));
    assert_eq!(Arc::strong_count(&first), 2, "the replaced waker is dropped");
}

#[test]
fn a_waker_runs_in_the_thread_that_wakes_and_reaches_a_greenlet() {
    within(LIMIT, || {
        // An executor that is a greenlet of another hub: its waker sends a message to it.
        let (jobs, job) = channel::unbounded();
        let event = Event::new();
        let waits = event.clone();
        let executor = std::thread::spawn(move || {
            run(move || {
                let mut future = waits.wait_async();
                let wakes = waker(move || jobs.send(()).expect("the executor lives"));
                while poll(&mut future, &wakes).is_pending() {
                    job.recv().expect("the waker lives");
                }
            });
        });
        event.set();
        executor.join().expect("the executor ends");
    });
}
