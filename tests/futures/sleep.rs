//! The future of the hub's timers.

use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ramie::hub::Sleep;
use ramie::{block_on, run, sleep, spawn, with_timeout, yield_now};

use crate::util::eventually::{rests, until};
use crate::util::executor::{Wakes, poll, poll_once};
use crate::util::footprint::settled;
use crate::util::participants::LIMIT;
use crate::util::{assert_send, within};

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    within(LIMIT, || {
        run(|| {
            let begun = Instant::now();
            let order = [3, 1, 2].map(|n| {
                spawn(move || {
                    block_on(Sleep::until(begun + n * 20 * MS));
                    (begun.elapsed(), n)
                })
            });
            let mut order = order.map(|greenlet| greenlet.take().unwrap());
            order.sort();
            assert_eq!(order.map(|(_, n)| n), [1, 2, 3]);
            assert!(order.iter().all(|(slept, n)| *slept >= *n * 20 * MS));
        });
    });
}

#[test]
fn what_is_over_is_ready_at_once_and_starts_no_timer() {
    within(LIMIT, || {
        let before = settled();
        assert!(poll_once(&mut Sleep::until(Instant::now())).is_ready());
        assert!(poll_once(&mut Sleep::after(Duration::ZERO)).is_ready());
        let mut endless = Sleep::after(Duration::MAX);
        assert!(poll_once(&mut endless).is_pending());
        drop(endless);
        assert_eq!(settled(), before);
    });
}

#[test]
fn the_waker_of_the_last_poll_is_woken_once() {
    within(LIMIT, || {
        let (first, one) = Wakes::new();
        let (last, other) = Wakes::new();
        let mut nap = Sleep::after(5 * MS);
        assert!(poll(&mut nap, &one).is_pending());
        assert!(poll(&mut nap, &other).is_pending());
        until(|| last.count() > 0);
        sleep(10 * MS);
        assert_eq!((first.count(), last.count()), (0, 1));
        assert_eq!((poll(&mut nap, &other), poll(&mut nap, &other)), (Poll::Ready(()), Poll::Ready(())));
    });
}

#[test]
fn a_reset_moves_the_deadline_both_ways() {
    within(LIMIT, || {
        let before = settled();
        let (wakes, waker) = Wakes::new();
        let mut nap = Sleep::after(HOUR);
        assert!(poll(&mut nap, &waker).is_pending());
        nap.reset(Instant::now() + 5 * MS);
        assert!(poll(&mut nap, &waker).is_pending());
        until(|| wakes.count() == 1);
        nap.reset(Instant::now() + HOUR);
        assert!(poll(&mut nap, &waker).is_pending());
        drop(nap);
        assert_eq!(settled(), before);
    });
}

#[test]
fn a_kill_or_a_timeout_cancels_the_timer() {
    within(LIMIT, || {
        let before = settled();
        assert!(with_timeout(MS, || block_on(Sleep::after(HOUR))).is_err());
        let sleeper = spawn(|| block_on(Sleep::after(HOUR)));
        yield_now();
        sleeper.kill();
        drop(sleeper);
        rests(before);
    });
}

#[test]
fn it_moves_to_the_hub_of_another_thread() {
    assert_send::<Sleep>();
    within(LIMIT, || {
        let before = settled();
        let begun = Instant::now();
        let (wakes, waker) = Wakes::new();
        let mut nap = Box::pin(Sleep::after(30 * MS));
        assert!(poll(&mut nap, &waker).is_pending());
        let slept = thread::spawn(move || {
            block_on(nap);
            begun.elapsed()
        });
        assert!(slept.join().unwrap() >= 30 * MS);
        // The timer here was cancelled by the poll there.
        rests(before);
        assert_eq!(wakes.count(), 0);
    });
}

#[test]
fn a_drop_elsewhere_cancels_the_timer() {
    within(LIMIT, || {
        let before = settled();
        let (wakes, waker) = Wakes::new();
        let mut nap = Sleep::after(HOUR);
        assert!(Pin::new(&mut nap).poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        thread::spawn(move || drop(nap)).join().unwrap();
        rests(before);
        assert_eq!(wakes.count(), 0);
    });
}

#[test]
fn it_outlives_the_hub_of_its_first_poll() {
    within(LIMIT, || {
        let first = thread::spawn(|| {
            let mut nap = Sleep::after(10 * MS);
            assert!(poll_once(&mut nap).is_pending());
            nap
        });
        block_on(first.join().unwrap());
    });
}
